"""Volumes on another node over TLS: real qemu-storage-daemons at both ends, and who is turned away."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from agents.storage.io.nbdclient import NbdClient
from agents.storage.io.nbdtls import NbdTls
from agents.storage.io.volumeserver import VolumeServer
from agents.storage.snapshotter import Snapshotter
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import CATALOG
from tests.images.agent import running_agent, wait_until
from tests.images.conversions import command, turnout
from tests.images.registry import free_port
from tests.images.test_remote import FIRST, LAST, LAYER, Pair, ended
from tests.images.test_show_volumes import claim

pytestmark = [pytest.mark.root, pytest.mark.slow]


def certificates(folder: Path, *words: str) -> Path:
    program = Path(command()[0])
    subprocess.run([program, "device", "certs", folder, *words], check=True, capture_output=True)
    return folder


def side(folder: Path, name: str) -> NbdTls:
    return NbdTls(ca=folder / "ca.pem", certificate=folder / f"{name}.pem", key=folder / f"{name}.key")


class SecretPair(Pair):
    """Its server speaks TLS; `client` is what the other node shows."""

    def __init__(self, folder: Path) -> None:
        self.certificates = certificates(folder / "certs", "--host", "127.0.0.1", "--client", "node-b")
        self.client: NbdTls | None = side(self.certificates, "node-b")
        super().__init__(folder, server_tls=side(self.certificates, "server"), client_tls=self.client)


@pytest.fixture
def secret() -> Generator[SecretPair]:
    with ended("secret-", SecretPair) as made:
        yield made


def refused(secret: SecretPair, tls: NbdTls | None) -> str:
    with pytest.raises(ImageError) as error:
        NbdClient(secret.address, CATALOG, tls=tls)
    return str(error.value)


def test_a_container_reads_over_tls(secret: SecretPair) -> None:
    (record,) = (secret.here / "volumes").glob("*.nbd")
    assert f'"nbds://127.0.0.1:{secret.address.port}"' in record.read_text()
    secret.snapshots.prepare("run", secret.chain, {})
    assert (secret.volume / "first").read_bytes() == FIRST
    assert (secret.volume / "last").read_bytes() == LAST
    wait_until(lambda: any((secret.root / "volumes").glob("*.erofs")), "the copy is not made whole")


def test_a_server_that_comes_back_is_waited_for(secret: SecretPair) -> None:
    secret.snapshots.prepare("run", secret.chain, {})
    assert (secret.volume / "first").read_bytes() == FIRST
    secret.signal(secret.there / "serving", signal.SIGKILL)
    reader = subprocess.Popen(["cat", secret.volume / "last"], stdout=subprocess.PIPE)
    secret.serve_again()
    assert reader.communicate()[0] == LAST


def test_nothing_goes_in_the_clear(secret: SecretPair) -> None:
    """Neither to a server that speaks TLS, nor to one that does not and should."""
    plain = replace(secret.address, tls=False)
    with pytest.raises(ImageError) as error:
        NbdClient(plain, CATALOG)
    assert str(error.value) == f"{plain} speaks TLS alone: its name begins with nbds://"
    secret.server.close()
    server = VolumeServer(secret.there, plain)
    try:
        assert refused(secret, secret.client) == f"{secret.address} speaks no TLS: its name begins with nbd://"
        secret.lose_layers()
        why = f"{secret.address} speaks no TLS: its name begins with nbd://"
        assert Pair.refused(secret) == secret.not_to_be_had(why)
    finally:
        server.close()


def test_who_has_no_certificate_of_the_authority_is_turned_away(secret: SecretPair) -> None:
    needed = f"{secret.address} speaks TLS: --tls-ca, --tls-cert and --tls-key are needed"
    assert refused(secret, None) == needed
    strange = certificates(secret.folder / "strange", "--client", "node-c")
    stranger = NbdTls(ca=secret.certificates / "ca.pem", certificate=strange / "node-c.pem", key=strange / "node-c.key")
    assert refused(secret, stranger).startswith(f"{secret.address}")
    secret.snapshots.close()
    secret.snapshots = Snapshotter(secret.root, secret.here)
    secret.lose_layers()
    assert Pair.refused(secret) == secret.not_to_be_had(needed)


def test_a_server_is_not_taken_on_trust(secret: SecretPair) -> None:
    strange = certificates(secret.folder / "strange", "--host", "127.0.0.1", "--client", "node-b")
    assert refused(secret, side(strange, "node-b")) == (
        f"{secret.address}: its certificate is refused: unable to get local issuer certificate"
    )
    other = replace(secret.address, host="localhost")
    with pytest.raises(ImageError) as error:
        NbdClient(other, CATALOG, tls=secret.client)
    assert str(error.value) == (
        f"{other}: its certificate is refused: Hostname mismatch, certificate is not valid for 'localhost'."
    )


def test_files_that_are_none(secret: SecretPair) -> None:
    assert secret.client is not None
    gone = replace(secret.client, key=secret.folder / "gone")
    assert refused(secret, gone) == (
        f"{secret.folder / 'gone'}: no such file; TLS needs an authority, a certificate and its key"
    )
    mixed = replace(secret.client, key=secret.certificates / "server.key")
    assert refused(secret, mixed) == f"{mixed.certificate} and {mixed.key}: key values mismatch"
    with pytest.raises(ImageError):
        VolumeServer(secret.folder / "other", replace(secret.address, port=free_port()), gone)


def test_certificates_that_are_renewed(secret: SecretPair) -> None:
    """A daemon that is started later reads the new ones."""
    assert secret.client is not None
    for path in (secret.client.certificate, secret.client.key):
        path.unlink()
    certificates(secret.certificates, "--client", "node-b")
    secret.snapshots.prepare("run", secret.chain, {})
    assert (secret.volume / "first").read_bytes() == FIRST


def test_the_commands(secret: SecretPair) -> None:
    address, third = f"127.0.0.1:{free_port()}", secret.folder / "images"
    ca = ("--tls-ca", secret.certificates / "ca.pem")
    server, client = (
        (*ca, "--tls-cert", secret.certificates / f"{name}.pem", "--tls-key", secret.certificates / f"{name}.key")
        for name in ("server", "node-b")
    )
    serve = command("serve", "--listen", address, "--store", secret.there, *server)
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stderr is not None
            assert serving.stderr.readline() == f"1 volumes of {secret.there} at nbds://{address}\n"
            done = turnout("adopt", f"nbds://{address}", "--store", third, *client)
            assert (done.returncode, done.stderr) == (0, "")
            with running_agent(secret.folder, *client) as agent:
                chain = claim(agent, LAYER)
                agent.call("Prepare", key="run", parent=chain)
                (place,) = (agent.root / "attached").iterdir()
                assert (place / "last").read_bytes() == LAST
                for key in ("run", chain):
                    agent.call("Remove", key=key)
        finally:
            serving.terminate()


def test_a_command_without_all_three(tmp_path: Path) -> None:
    done = turnout("adopt", "nbds://127.0.0.1", "--store", tmp_path, "--tls-ca", tmp_path / "ca.pem")
    assert done.returncode == 2
    done = turnout("adopt", "nbds://127.0.0.1", "--store", tmp_path)
    said = "turnout: error: nbds://127.0.0.1:10809 speaks TLS: --tls-ca, --tls-cert and --tls-key are needed\n"
    assert (done.returncode, done.stderr) == (1, said)
