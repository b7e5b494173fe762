"""Where a device listens: mutual TLS on TCP, and unix sockets beside it. The same for every target."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4r

from tests.conformance.certs import Certs
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import COMMAND, running

pytestmark = pytest.mark.slow
MODEL = ("--name", "d", "--target", "model")


@dataclass(frozen=True, kw_only=True)
class Secured:
    """A device on the model, on TCP and on a unix socket."""

    tcp: str
    unix: str
    certs: Certs
    log: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Generator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    certs = Certs(folder=folder / "certs")
    certs.make("--client", "alice")
    listens = ["--listen", "127.0.0.1:0", "--listen", f"unix:{folder}/d.sock"]
    with running([*MODEL, *listens, *certs.server_arguments], folder) as addresses:
        tcp, unix = addresses.split()
        yield Secured(tcp=tcp, unix=unix, certs=certs, log=folder / "device.log")


def is_taken(address: str, credentials: grpc.ChannelCredentials | None) -> bool:
    """Whether a client with these credentials gets through to the device."""
    client = Client(address, credentials=credentials)
    try:
        assert client.stub.Capabilities(p4r.CapabilitiesRequest(), timeout=20).p4runtime_api_version == "1.5.0"
    except grpc.RpcError as error:
        return RpcRefusedError(error).code != "UNAVAILABLE"
    finally:
        client.close()
    return True


def test_a_client_of_the_authority_is_taken(secured: Secured) -> None:
    assert is_taken(secured.tcp, secured.certs.credentials("alice"))


def test_the_unix_socket_is_there_as_well(secured: Secured) -> None:
    assert is_taken(secured.unix, None)
    assert stat.S_IMODE(Path(secured.unix.removeprefix("unix:")).stat().st_mode) == 0o600


def test_clients_that_are_refused(secured: Secured, tmp_path: Path) -> None:
    strangers = Certs(folder=tmp_path)
    strangers.make("--client", "alice")
    ours = secured.certs.path("ca.pem")
    assert not is_taken(secured.tcp, None)
    assert not is_taken(secured.tcp, secured.certs.credentials(None))
    assert not is_taken(secured.tcp, secured.certs.credentials("server"))
    assert not is_taken(secured.tcp, strangers.credentials("alice", ca=ours))


def test_a_client_does_not_take_another_device(secured: Secured, tmp_path: Path) -> None:
    strangers = Certs(folder=tmp_path)
    strangers.make("--client", "alice")
    assert not is_taken(secured.tcp, secured.certs.credentials("alice", ca=strangers.path("ca.pem")))


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    made = Certs(folder=tmp_path / "certs")
    made.make("--client", "alice")
    return made


def test_renewed_files_are_taken_up_by_a_running_device(certs: Certs, tmp_path: Path) -> None:
    old = certs.path("ca.pem").read_bytes()
    with running([*MODEL, "--listen", "127.0.0.1:0", *certs.server_arguments], tmp_path) as address:
        kept = Client(address, credentials=certs.credentials("alice"))
        session = kept.become_primary(1)
        for path in certs.folder.iterdir():
            path.rename(tmp_path / path.name)
        certs.make("--client", "alice")
        assert certs.path("ca.pem").read_bytes() != old
        assert is_taken(address, certs.credentials("alice"))
        assert not is_taken(address, Certs(folder=tmp_path).credentials("alice"))
        session.arbitrate(2)
        assert session.told() == (0, 2)
        kept.close()


@pytest.mark.root
def test_a_group_may_use_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with running([*MODEL, "--listen", f"unix:{path}", "--socket-group", "nogroup"], tmp_path) as address:
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o660, os.geteuid())
        assert is_taken(address, None)


def refused(*arguments: str) -> tuple[int, str]:
    run = subprocess.run(
        [*COMMAND, *MODEL, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    return run.returncode, run.stderr.splitlines()[-1]


def test_refused_options(certs: Certs, tmp_path: Path) -> None:
    files = certs.server_arguments
    tcp, unix = ("--listen", "127.0.0.1:0"), ("--listen", f"unix:{tmp_path}/x.sock")
    assert refused(*tcp, *files[:4]) == (
        2,
        "turnout device: error: --tls-cert, --tls-key and --tls-ca go together: clients are asked for a certificate",
    )
    assert refused(*unix, *files) == (
        2,
        "turnout device: error: TLS is for TCP: none of the addresses is HOST:PORT",
    )
    assert refused(*tcp, *files, "--insecure") == (
        2,
        "turnout device: error: --insecure and --tls-cert exclude each other",
    )
    assert refused(*unix, *unix) == (2, "turnout device: error: an address to listen on is given twice")
    assert refused(*unix, "--socket-group", "nobody-has-this") == (
        2,
        "turnout device: error: there is no group 'nobody-has-this' on this machine",
    )
    assert refused(*tcp, "--tls-cert", files[1], "--tls-key", files[3], "--tls-ca", str(certs.path("alice.pem"))) == (
        1,
        f"turnout device: error: {certs.path('alice.pem')}: CN=alice is not a certificate authority",
    )


def test_the_second_address_is_in_use(certs: Certs, tmp_path: Path) -> None:
    """The socket of the first one is taken away again."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
        code, said = refused("--listen", f"unix:{tmp_path}/x.sock", "--listen", address, *certs.server_arguments)
    assert code == 1
    assert said.startswith(f"turnout device: error: cannot listen on {address}: ")
    assert not (tmp_path / "x.sock").exists()
