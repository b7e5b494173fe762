"""The rules of the specification's sections on MasterArbitrationUpdate, message by message."""

from __future__ import annotations

import pytest
from finsy.proto import U128, p4r

from runtime.device.arbitration import MAX_CLIENTS, MAX_ROLE_NAME, MAX_ROLES, Arbitration, Notices
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
        ("x", 10, Code.NOT_FOUND, "no client names role 'x', and it never had a primary"),
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
    assert two.arbitrate("a", update(10)) == Notices(now=("a", "b"))


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
    assert refused(arbitration, "late", update(1, role="r")) == (
        Code.RESOURCE_EXHAUSTED,
        f"role 'r': the device has {MAX_ROLES} roles, no more are taken",
    )
    assert refused(arbitration, "late", update(1, role="r" * (MAX_ROLE_NAME + 1))) == (
        Code.RESOURCE_EXHAUSTED,
        f"a role's name has {MAX_ROLE_NAME} characters at most, this one {MAX_ROLE_NAME + 1}",
    )


def test_a_role_that_never_had_a_primary_is_forgotten(two: Arbitration) -> None:
    two.arbitrate("c", update(None, role="x"))
    with pytest.raises(RefusedError, match="role 'x' has no primary"):
        two.check_writer("x", 1)
    two.leave("c")
    with pytest.raises(RefusedError, match="no client names role 'x', and it never had a primary"):
        two.check_writer("x", 1)
    two.arbitrate("c", update(7, role="x"))
    two.leave("c")
    assert two.arbitrate("c", update(6, role="x")) == Notices(now=("c",))
    assert told(two, "c") == [(NONE, 7)]


def test_the_primary_may_give_up_its_id(two: Arbitration) -> None:
    assert two.arbitrate("a", update(None)) == Notices(now=("a", "b"))
    assert told(two, "a", "b") == [(NONE, 10), (NONE, 10)]
    assert two.arbitrate("b", update(10)) == Notices(now=("a",), settled=("b",))


def test_who_may_send_packets(two: Arbitration) -> None:
    two.check_primary("a")
    for client, words in (
        ("b", "this client is a backup of the default role"),
        ("c", "this stream has not arbitrated"),
    ):
        with pytest.raises(RefusedError) as error:
            two.check_primary(client)
        assert (error.value.code, error.value.text) == (Code.PERMISSION_DENIED, f"Not primary: {words}")
