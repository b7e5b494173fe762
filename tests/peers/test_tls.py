"""Foreign clients over mutual TLS: p4runtime-shell, finsy, `turnout shell`, `turnout show`."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import finsy as fy
import pytest

from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import write_bundle
from compiler.printers.p4info import p4info
from runtime.client.channels import ClientTls
from runtime.client.errors import UnreachableError
from runtime.client.session import Session
from runtime.lab.installation import turnout_program
from tests.conformance.certs import Certs
from tests.peers.conftest import Files, OpenShell
from tests.peers.finsyclient import everything_in, made, options
from tests.peers.handwritten import workloads
from tests.peers.processes import started
from tests.peers.terminal import on_terminal

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@dataclass(frozen=True, kw_only=True)
class Secured:
    address: str
    certs: Certs

    def tls(self, name: str) -> ClientTls:
        return ClientTls(
            ca=self.certs.path("ca.pem"), cert=self.certs.path(f"{name}.pem"), key=self.certs.path(f"{name}.key")
        )


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Generator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    certs = Certs(folder=folder / "certs")
    certs.make("--client", "alice")
    command = [turnout_program(), "device", "run", "--name", "peer", "--target", "model", "--listen", "127.0.0.1:0"]
    with started([*command, *certs.server_arguments], folder) as (_, address):
        yield Secured(address=address, certs=certs)


def test_finsy(secured: Secured, files: Files) -> None:
    tls = secured.tls("alice")
    chosen = options(files, 10)(
        channel_credentials=fy.GRPCCredentialsTLS(cacert=tls.ca, cert=tls.cert, private_key=tls.key)
    )

    async def converse() -> list[object]:
        async with fy.Switch("secured", secured.address, chosen) as switch:
            await switch.delete_all()
            await switch.insert([made(workloads()[0])])
            return list(await everything_in(switch))

    assert asyncio.run(asyncio.wait_for(converse(), 30)) == [workloads()[0].numbers()]


def test_p4runtime_shell(secured: Secured, files: Files, open_shell: OpenShell) -> None:
    tls = secured.tls("alice")
    with open_shell(secured.address) as shell:
        shell.connect(20, config=files, tls=(tls.ca, tls.cert, tls.key))
        shell.insert(workloads()[0])
        assert shell.read_table("network") == [workloads()[0].numbers()]
        shell.disconnect()


def test_turnout_shell_and_show(secured: Secured, shell_home: dict[str, str], tmp_path: Path) -> None:
    with Session(secured.address, election_id=30, tls=secured.tls("alice")) as session:
        session.become_primary()
        session.set_pipeline(p4info(pipeline()), write_bundle(pipeline()), 1)
    arguments = ["--device", f"d={secured.address}", *secured.certs.client_arguments("alice")]
    shown = subprocess.run(
        [turnout_program(), "show", "tables", *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.split()[:5] == ["DEVICE", "TABLE", "ENTRIES", "SIZE", "KIND"]
    with on_terminal(
        [turnout_program(), "shell", "--election-id", "0,40", *arguments], tmp_path, shell_home
    ) as terminal:
        terminal.wait_for("P4Runtime sh >>>")
        terminal.type("tables")
        assert terminal.wait_for("tunnel\n")
        terminal.type("exit")
        assert terminal.wait_for_end() == 0


def test_why_our_client_does_not_get_through(secured: Secured, tmp_path: Path) -> None:
    strangers = Certs(folder=tmp_path)
    strangers.make("--client", "alice")
    theirs = ClientTls(ca=tmp_path / "ca.pem", cert=tmp_path / "alice.pem", key=tmp_path / "alice.key")
    ours = secured.tls("alice")
    wrong_client = ClientTls(ca=ours.ca, cert=theirs.cert, key=theirs.key)
    reasons = {
        theirs: "its certificate is not believed: unable to get local issuer certificate",
        wrong_client: f"it ends the connection: it does not believe the certificate {theirs.cert}",
        None: "somebody listens there; if it asks for TLS, give --tls-ca, --tls-cert and --tls-key",
    }
    for tls, reason in reasons.items():
        with pytest.raises(UnreachableError) as refused, Session(secured.address, tls=tls):
            pass
        assert str(refused.value) == f"no P4Runtime server answers at {secured.address}: {reason}"
