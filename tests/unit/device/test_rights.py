"""Rights of clients by the names in their certificates, and the file that gives them."""

from __future__ import annotations

from pathlib import Path

import pytest
from finsy.proto import U128, p4r

from runtime.device.arbitration import Arbitration
from runtime.device.refusals import Code, RefusedError
from runtime.device.rights import ANYBODY, Peer, Rights, certificate_names
from runtime.device.rightsfile import RightsError, read_rights

HEAD = "apiVersion: turnout.dev/v1alpha1\nkind: DeviceRights\n"
GOOD = (
    HEAD
    + """clients:
- {name: alice, roles: ["", routing]}
- name: monitor.example.net
  readOnly: true
- {name: reader, roles: [routing], readOnly: true}
"""
)


def update(election_id: int | None, role: str = "") -> p4r.MasterArbitrationUpdate:
    message = p4r.MasterArbitrationUpdate(device_id=1, role=p4r.Role(name=role))
    if election_id is not None:
        message.election_id.CopyFrom(U128.encode(election_id))
    return message


@pytest.fixture
def rights(tmp_path: Path) -> Rights:
    path = tmp_path / "rights.yaml"
    path.write_text(GOOD)
    return read_rights(path)


def test_a_good_file(rights: Rights) -> None:
    assert rights.peers == {
        "alice": Peer(name="alice", roles=frozenset({"", "routing"})),
        "monitor.example.net": Peer(name="monitor.example.net", is_read_only=True),
        "reader": Peer(name="reader", roles=frozenset({"routing"}), is_read_only=True),
    }


def test_names_of_a_certificate(rights: Rights) -> None:
    assert rights.of(["x", "alice"]).name == "alice"
    assert rights.of(["monitor.example.net", "alice"]).name == "alice"
    for names, shown in ((["bob", "b"], "'bob', 'b'"), ([], "(none)")):
        with pytest.raises(RefusedError) as error:
            rights.of(names)
        assert (error.value.code, error.value.text) == (
            Code.PERMISSION_DENIED,
            f"no rights are given to a client with the names {shown}",
        )


def test_names_from_grpc() -> None:
    shown = {
        "transport_security_type": [b"ssl"],
        "x509_common_name": [b"alice"],
        "x509_subject_alternative_name": [b"alice", b"10.0.0.1"],
    }
    assert certificate_names(shown) == ("alice", "10.0.0.1")
    assert certificate_names({"transport_security_type": [b"insecure"]}) is None
    assert certificate_names({"transport_security_type": [b"ssl"]}) == ()


def refusal(arbitration: Arbitration, client: str, message: p4r.MasterArbitrationUpdate, peer: Peer) -> str:
    with pytest.raises(RefusedError) as error:
        arbitration.arbitrate(client, message, peer)
    assert error.value.code == Code.PERMISSION_DENIED
    return error.value.text


def test_arbitration(rights: Rights) -> None:
    arbitration = Arbitration(1)
    alice, monitor = rights.of(["alice"]), rights.of(["monitor.example.net"])
    reader = rights.of(["reader"])
    assert refusal(arbitration, "a", update(1, "other"), alice) == "client 'alice' has no right to role 'other'"
    assert refusal(arbitration, "a", update(1, "routing"), reader) == (
        "client 'reader' may only read: it may arbitrate without an election id, as a backup"
    )
    assert refusal(arbitration, "a", update(None), reader) == "client 'reader' has no right to the default role"
    arbitration.arbitrate("a", update(1), alice)
    arbitration.arbitrate("m", update(None), monitor)


def test_writing(rights: Rights) -> None:
    arbitration = Arbitration(1)
    alice = rights.of(["alice"])
    arbitration.arbitrate("a", update(1), alice)
    arbitration.check_writer("", 1, alice)
    arbitration.check_writer("", 1, ANYBODY)
    other = Peer(name="bob", roles=frozenset({""}))
    for peer, words in (
        (rights.of(["reader"]), "client 'reader' has no right to the default role"),
        (rights.of(["monitor.example.net"]), "client 'monitor.example.net' may only read"),
        (other, "Not primary: election id 1 is that of another client, not of 'bob'"),
    ):
        with pytest.raises(RefusedError) as error:
            arbitration.check_writer("", 1, peer)
        assert (error.value.code, error.value.text) == (Code.PERMISSION_DENIED, words)


WRONG = [
    (
        HEAD + "clients:\n- {name: alice}\n",
        """rights.yaml:4:10: error[E0103]: clients[0] has no right at all
    4 | - {name: alice}
      |          ^^^^^
      = expected: 'roles', the roles that it may have ("" is the default role), or 'readOnly: true'""",
    ),
    (
        HEAD + "clients:\n- {name: alice, role: [x]}\n",
        """rights.yaml:4:17: error[E0102]: clients[0] has no field 'role'
    4 | - {name: alice, role: [x]}
      |                 ^^^^
      = hint: 'roles' is a list, such as [routing]""",
    ),
    (
        HEAD + "clients:\n- {name: a, readOnly: true}\n- {name: a, roles: []}\n",
        """rights.yaml:5:10: error[E0202]: clients[1].name: 'a' is there already
    5 | - {name: a, roles: []}
      |          ^""",
    ),
    (
        HEAD + "clients: []\n",
        """rights.yaml:3:1: error[E0105]: clients: the list is empty
    3 | clients: []
      | ^^^^^^^
      = expected: at least one item""",
    ),
    (
        "apiVersion: turnout.dev/v1alpha1\nkind: DpuService\nclients: [{name: a, readOnly: true}]\n",
        """rights.yaml:2:7: error[E0105]: kind: 'DpuService' is not known
    2 | kind: DpuService
      |       ^^^^^^^^^^
      = expected: DeviceRights
      = hint: known: DeviceRights""",
    ),
    (
        "[]\n",
        """rights.yaml:1:1: error[E0010]: found no object
    1 | []
      | ^^
      = expected: an object with apiVersion and kind""",
    ),
    ("", "rights.yaml: there has to be one DeviceRights in it"),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_a_wrong_file(text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rights.yaml").write_text(text)
    with pytest.raises(RightsError) as error:
        read_rights(Path("rights.yaml"))
    assert str(error.value) == words


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RightsError) as error:
        read_rights(tmp_path / "none.yaml")
    assert str(error.value) == f"cannot read {tmp_path}/none.yaml: No such file or directory"
