"""`--rights`: what clients may do by the names in their certificates. The same for every target."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from finsy.proto import p4r
from typer.testing import CliRunner

from cli.main import app
from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import write_bundle
from compiler.printers.p4info import p4info
from tests.conformance.certs import Certs
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import COMMAND, running

pytestmark = pytest.mark.slow
RIGHTS = """apiVersion: turnout.dev/v1alpha1
kind: DeviceRights
clients:
- {name: alice, roles: ["", routing]}
- {name: bob, roles: [routing]}
- {name: monitor, readOnly: true}
"""
DENIED = "PERMISSION_DENIED"


@dataclass(frozen=True, kw_only=True)
class Limited:
    tcp: str
    unix: str
    certs: Certs

    def client(self, name: str) -> Client:
        return Client(self.tcp, credentials=self.certs.credentials(name))


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Generator[Limited]:
    folder = tmp_path_factory.mktemp("limited")
    certs = Certs(folder=folder / "certs")
    certs.make("--client", "alice", "--client", "bob", "--client", "monitor", "--client", "stranger")
    (folder / "rights.yaml").write_text(RIGHTS)
    arguments = ["--name", "d", "--target", "model", "--listen", "127.0.0.1:0", "--listen", f"unix:{folder}/d.sock"]
    arguments += ["--rights", str(folder / "rights.yaml"), *certs.server_arguments]
    with running(arguments, folder) as addresses:
        tcp, unix = addresses.split()
        yield Limited(tcp=tcp, unix=unix, certs=certs)


@pytest.fixture
def alice(limited: Limited) -> Generator[Client]:
    """The primary of the default role, with a pipeline and 1 as election id."""
    client = limited.client("alice")
    client.become_primary(1)
    config = p4r.ForwardingPipelineConfig(p4info=p4info(pipeline()), p4_device_config=write_bundle(pipeline()))
    client.set_config("VERIFY_AND_COMMIT", config)
    yield client
    client.close()


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(RpcRefusedError) as refused:
        call()
    return refused.value.code, refused.value.text


def arbitration(client: Client, election_id: int | None, role: str = "") -> tuple[str, str]:
    session = client.session()
    session.arbitrate(election_id, role=role)
    return refusal(session.receive)


def test_a_client_without_rights(limited: Limited, alice: Client) -> None:
    stranger = limited.client("stranger")
    answer = (DENIED, "no rights are given to a client with the names 'stranger'")
    stranger.election_id = alice.election_id
    assert arbitration(stranger, 9) == answer
    assert refusal(lambda: stranger.read("table_entry { }")) == answer
    assert refusal(stranger.get_config) == answer
    assert refusal(lambda: stranger.write()) == answer
    assert refusal(lambda: stranger.set_config("COMMIT")) == answer
    stranger.close()


def test_a_client_of_one_role(limited: Limited, alice: Client) -> None:
    bob = limited.client("bob")
    assert arbitration(bob, 9) == (DENIED, "client 'bob' has no right to the default role")
    bob.election_id = alice.election_id
    assert refusal(lambda: bob.write()) == (DENIED, "client 'bob' has no right to the default role")
    bob.become_primary(5, role="routing")
    bob.write()
    assert refusal(lambda: alice.write(role="routing", election_id=5)) == (
        DENIED,
        "Not primary: election id 5 is that of another client, not of 'alice'",
    )
    assert bob.read("table_entry { }") == []
    bob.close()


def test_a_client_that_may_only_read(limited: Limited, alice: Client) -> None:
    monitor = limited.client("monitor")
    words = "client 'monitor' may only read: it may arbitrate without an election id, as a backup"
    assert arbitration(monitor, 9) == (DENIED, words)
    backup = monitor.session()
    backup.arbitrate(None)
    assert backup.told() == (6, 1)
    monitor.election_id = alice.election_id
    assert refusal(lambda: monitor.write()) == (DENIED, "client 'monitor' may only read")
    assert refusal(lambda: monitor.set_config("COMMIT")) == (DENIED, "client 'monitor' may only read")
    assert monitor.read("table_entry { }") == []
    monitor.close()


def test_names_that_are_nearly_a_role_of_the_client(limited: Limited, alice: Client) -> None:
    bob = limited.client("bob")
    for role in ("routing ", "Routing", "routing\0", "rou", "r\u043euting"):
        assert arbitration(bob, 9, role) == (DENIED, f"client 'bob' has no right to role {role!r}")
        bob.election_id = alice.election_id
        with pytest.raises(RpcRefusedError) as refused:
            bob.write(role=role)
        assert refused.value.code in ("NOT_FOUND", DENIED)
    bob.close()


def test_the_highest_id_of_all_is_kept_within_its_role(limited: Limited, alice: Client) -> None:
    """Who squats it has that role for good (P4Runtime remembers it); the default role is not concerned."""
    bob = limited.client("bob")
    highest = (1 << 128) - 1
    bob.become_primary(highest, role="routing")
    other = alice.session()
    other.arbitrate(highest - 1, role="routing")
    assert other.told() == (6, highest)
    alice.write()
    with pytest.raises(RpcRefusedError) as refused:
        bob.set_config("COMMIT")
    assert (refused.value.code, refused.value.text) == (
        "NOT_FOUND",
        "no config has been saved (VERIFY_AND_SAVE) since the last commit",
    )
    assert refusal(lambda: bob.set_config("COMMIT", election_id=highest - 1))[0] == DENIED
    bob.close()


def test_whoever_may_open_the_socket_has_all_rights(limited: Limited, alice: Client) -> None:
    local = Client(limited.unix)
    session = local.session()
    session.arbitrate(7, role="local")
    assert session.told() == (0, 7)
    local.write(role="local", election_id=7)
    local.close()


def refused(*arguments: str) -> tuple[int, str]:
    run = subprocess.run(
        [*COMMAND, "--name", "d", "--target", "model", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    return run.returncode, run.stderr


def test_who_may_ask_how_the_device_is(limited: Limited) -> None:
    """Who may read, and nobody else."""

    def shown(name: str) -> tuple[int, str, str]:
        arguments = ["show", "device", "--device", limited.tcp, *limited.certs.client_arguments(name)]
        run = CliRunner().invoke(app, arguments)
        return run.exit_code, run.stdout.partition(",")[0], run.stderr

    assert shown("monitor") == (0, "device d (id 1)", "")
    words = (
        f"turnout: error: {limited.tcp} does not tell how it is (PERMISSION_DENIED): no rights are given to a client "
    )
    assert shown("stranger") == (1, "", words + "with the names 'stranger'\n")


def test_refused_options(limited: Limited, tmp_path: Path) -> None:
    path = tmp_path / "rights.yaml"
    path.write_text("apiVersion: turnout.dev/v1alpha1\nkind: DeviceRights\nclients:\n- {name: a}\n")
    assert refused("--listen", f"unix:{tmp_path}/d.sock", "--rights", str(path)) == (
        2,
        "turnout device: error: --rights are those of clients with a certificate: it needs --tls-cert and the like\n",
    )
    code, said = refused("--listen", "127.0.0.1:0", "--rights", str(path), *limited.certs.server_arguments)
    assert code == 2
    assert f"{path}:4:10: error[E0103]: clients[0] has no right at all" in said
