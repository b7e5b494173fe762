"""The rules of the specification's sections on MasterArbitrationUpdate, message by message."""

from __future__ import annotations

import pytest
from finsy.proto import U128, p4r
from google.protobuf.any_pb2 import Any

from runtime.device.arbitration import MAX_CLIENTS, MAX_ROLES, Arbitration, Notices
from runtime.device.refusals import Code, RefusedError

OK, TAKEN, NONE = int(Code.OK), int(Code.ALREADY_EXISTS), int(Code.NOT_FOUND)


def update(election_id: int | None, *, device_id: int = 1, role: str = "") -> p4r.MasterArbitrationUpdate:
    message = p4r.MasterArbitrationUpdate(device_id=device_id)
    if election_id is not None:
        message.election_id.CopyFrom(U128.encode(election_id))
    if role:
        message.role.name = role
    return message


def told(arbitration: Arbitration, *clients: str) -> list[tuple[int, int]]:
    """Status code and election id that each client would hear."""
    notes = [arbitration.notification(client) for client in clients]
    return [(note.status.code, U128.decode(note.election_id)) for note in notes]


def refused(arbitration: Arbitration, client: str, message: p4r.MasterArbitrationUpdate) -> tuple[Code, str]:
    with pytest.raises(RefusedError) as error:
        arbitration.arbitrate(client, message)
    return error.value.code, error.value.text


@pytest.fixture
def two() -> Arbitration:
    """`a` is primary with 10, `b` a backup with 5."""
    arbitration = Arbitration(1)
    assert arbitration.arbitrate("a", update(10)) == Notices(settled=("a",))
    assert arbitration.arbitrate("b", update(5)) == Notices(now=("b",))
    return arbitration


def test_primary_and_backup(two: Arbitration) -> None:
    assert told(two, "a", "b") == [(OK, 10), (TAKEN, 10)]
    two.check_writer("", 10)


@pytest.mark.parametrize(
    ("role", "election_id", "code", "text"),
    [
        ("", 5, Code.PERMISSION_DENIED, "Not primary: the election id given is 5, the primary's is 10"),
        ("", None, Code.PERMISSION_DENIED, "Not primary: the election id given is none, the primary's is 10"),
        ("", 11, Code.PERMISSION_DENIED, "Not primary: the election id given is 11, the primary's is 10"),
        ("x", 10, Code.NOT_FOUND, "no client has ever named role 'x'"),
    ],
)
def test_only_the_primary_writes(two: Arbitration, role: str, election_id: int | None, code: Code, text: str) -> None:
    with pytest.raises(RefusedError) as error:
        two.check_writer(role, election_id)
    assert (error.value.code, error.value.text) == (code, text)


def test_higher_id_takes_over(two: Arbitration) -> None:
    assert two.arbitrate("b", update(11)) == Notices(now=("a",), settled=("b",))
    assert told(two, "a", "b") == [(TAKEN, 11), (OK, 11)]


def test_the_primary_says_the_same_again(two: Arbitration) -> None:
    assert two.arbitrate("a", update(10)) == Notices(now=("b",), settled=("a",))


def test_the_primary_steps_down(two: Arbitration) -> None:
    assert two.arbitrate("a", update(4)) == Notices(now=("a", "b"))
    assert told(two, "a", "b") == [(NONE, 10), (NONE, 10)]
    with pytest.raises(RefusedError, match="the default role has no primary"):
        two.check_writer("", 10)
    assert two.arbitrate("b", update(9)) == Notices(now=("b",))
    assert two.arbitrate("b", update(10)) == Notices(now=("a",), settled=("b",))


def test_the_primary_leaves_and_nobody_follows_by_itself(two: Arbitration) -> None:
    assert two.leave("a") == Notices(now=("b",))
    assert told(two, "b") == [(NONE, 10)]
    assert two.leave("a") == Notices()
    assert two.arbitrate("c", update(10)) == Notices(now=("b",), settled=("c",))


def test_a_backup_leaves_unnoticed(two: Arbitration) -> None:
    assert two.leave("b") == Notices()


def test_without_an_id_one_is_never_primary() -> None:
    arbitration = Arbitration(1)
    assert arbitration.arbitrate("a", update(None)) == Notices(now=("a",))
    note = arbitration.notification("a")
    assert (note.status.code, note.HasField("election_id")) == (NONE, False)
    assert arbitration.arbitrate("b", update(None)) == Notices(now=("b",))
    assert arbitration.arbitrate("b", update(0)) == Notices(now=("a",), settled=("b",))
    assert arbitration.notification("a").HasField("election_id")


def test_ids_have_128_bits(two: Arbitration) -> None:
    assert two.arbitrate("b", update(1 << 64)) == Notices(now=("a",), settled=("b",))
    assert told(two, "a") == [(TAKEN, 1 << 64)]


def test_roles_are_apart(two: Arbitration) -> None:
    assert two.arbitrate("c", update(10, role="x")) == Notices(settled=("c",))
    assert two.notification("c").role.name == "x"
    two.check_writer("x", 10)
    two.check_writer("", 10)
    assert two.leave("c") == Notices()
    with pytest.raises(RefusedError, match="role 'x' has no primary"):
        two.check_writer("x", 10)


def test_refusals(two: Arbitration) -> None:
    assert refused(two, "c", update(1, device_id=2)) == (Code.NOT_FOUND, "there is no device 2 here, only 1")
    assert refused(two, "c", update(10)) == (
        Code.INVALID_ARGUMENT,
        "election id 10 is already used by another client of this role",
    )
    assert refused(two, "b", update(10))[0] == Code.INVALID_ARGUMENT
    assert refused(two, "b", update(5, device_id=2)) == (
        Code.FAILED_PRECONDITION,
        "this stream is that of device 1, it cannot become 2's",
    )
    assert refused(two, "b", update(5, role="x")) == (
        Code.FAILED_PRECONDITION,
        "this stream is that of the default role; open another for role 'x'",
    )
    with_config = update(1)
    with_config.role.config.CopyFrom(Any(type_url="x/y"))
    assert refused(two, "c", with_config) == (
        Code.INVALID_ARGUMENT,
        "the default role: no scheme of role configurations is agreed with this device",
    )
    assert not two.is_live("c")
    assert told(two, "a", "b") == [(OK, 10), (TAKEN, 10)]


def test_limits() -> None:
    arbitration = Arbitration(1)
    for number in range(MAX_CLIENTS):
        arbitration.arbitrate(f"client {number}", update(number))
    assert refused(arbitration, "late", update(1000)) == (
        Code.RESOURCE_EXHAUSTED,
        f"the default role has {MAX_CLIENTS} streams, no more are taken",
    )
    arbitration.arbitrate("client 0", update(1000))
    for number in range(1, MAX_ROLES):
        arbitration.arbitrate(f"role {number}", update(1, role=f"r{number}"))
    assert refused(arbitration, "late", update(1, role="r"))[0] == Code.RESOURCE_EXHAUSTED
