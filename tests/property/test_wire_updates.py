"""Updates read where they lie in a request against the same ones taken out of it as messages."""

from __future__ import annotations

import pytest
from finsy.proto import U128, p4r
from hypothesis import given
from hypothesis import strategies as st

from runtime.device.wireupdates import NO_ENTRY, PROFILE, REMEMBERED, TABLE, Answer, WireUpdates
from tests.property.wire_entries import (
    CODECS,
    PROFILE_ID,
    SELECTING,
    any_entries,
    any_members,
    member_plainly,
    plainly,
    right_entries,
    right_members,
)

KINDS = (p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE)
assert SELECTING.members is not None
FORMS = {
    **{(TABLE, number): codec.form.read_within for number, codec in CODECS.items() if codec.form is not None},
    (PROFILE, PROFILE_ID): SELECTING.members.read_within,
}
UPDATES = 4
"""The number of the field in a request."""


def _entry_update(kind: p4r.Update.Type.ValueType, entry: p4r.TableEntry) -> p4r.Update:
    return p4r.Update(type=kind, entity=p4r.Entity(table_entry=entry))


def _member_update(kind: p4r.Update.Type.ValueType, member: p4r.ActionProfileMember) -> p4r.Update:
    return p4r.Update(type=kind, entity=p4r.Entity(action_profile_member=member))


def _group_update(kind: p4r.Update.Type.ValueType, size: int) -> p4r.Update:
    """Of a group with so many members."""
    members = [p4r.ActionProfileGroup.Member(member_id=number) for number in range(1, size + 1)]
    group = p4r.ActionProfileGroup(action_profile_id=PROFILE_ID, group_id=7, members=members)
    return p4r.Update(type=kind, entity=p4r.Entity(action_profile_group=group))


OTHERS = st.sampled_from(
    [
        p4r.Update(),
        p4r.Update(type=p4r.Update.INSERT),
        p4r.Update(type=p4r.Update.DELETE, entity=p4r.Entity(table_entry=p4r.TableEntry())),
        p4r.Update(type=p4r.Update.INSERT, entity=p4r.Entity(meter_entry=p4r.MeterEntry(meter_id=5))),
        *(_group_update(kind, size) for kind in KINDS for size in (0, 9, 300)),
        _member_update(p4r.Update.INSERT, p4r.ActionProfileMember()),
        p4r.Update(type=p4r.Update.INSERT, entity=p4r.Entity(table_entry=p4r.TableEntry(table_id=0x02000FFF))),
    ]
)
RIGHT = st.builds(_entry_update, st.sampled_from(KINDS), right_entries())
MEMBERS = st.builds(_member_update, st.sampled_from(KINDS), right_members())
ANY_KIND = st.sampled_from((*KINDS, p4r.Update.UNSPECIFIED))
ANY = (
    st.builds(_entry_update, ANY_KIND, any_entries())
    | st.builds(_member_update, ANY_KIND, any_members())
    | OTHERS
    | RIGHT
    | MEMBERS
)


@st.composite
def requests(draw: st.DrawFn, updates: st.SearchStrategy[p4r.Update]) -> p4r.WriteRequest:
    made = p4r.WriteRequest(updates=draw(st.lists(updates, max_size=6)))
    made.device_id = draw(st.sampled_from([0, 1, 1 << 40]))
    made.role = draw(st.sampled_from(["", "storage"]))
    made.atomicity = draw(st.sampled_from(p4r.WriteRequest.Atomicity.values()))
    if draw(st.booleans()):
        made.election_id.CopyFrom(U128.encode(draw(st.integers(0, (1 << 128) - 1))))
    return made


def _read(raw: bytes) -> list[Answer]:
    count = len(p4r.WriteRequest.FromString(raw).updates)
    return list(WireUpdates(FORMS).read(raw, count))


def _check(raw: bytes) -> None:
    """What is recognised is what the messages say."""
    for found, update in zip(_read(raw), p4r.WriteRequest.FromString(raw).updates, strict=True):
        if found is NO_ENTRY:
            assert update.entity.WhichOneof("entity") not in ("table_entry", "action_profile_member")
        elif found:
            kind, (entity, number), reading = found
            assert kind == update.type
            if entity == TABLE:
                assert number == update.entity.table_entry.table_id
                assert reading == plainly(CODECS[number], update.entity.table_entry)
            else:
                assert number == update.entity.action_profile_member.action_profile_id == PROFILE_ID
                assert reading == member_plainly(update.entity.action_profile_member)


@given(requests(RIGHT))
def test_what_controllers_send_is_recognised(request: p4r.WriteRequest) -> None:
    raw = request.SerializeToString()
    assert None not in _read(raw)
    for found, update in zip(_read(raw), request.updates, strict=True):
        codec = CODECS[update.entity.table_entry.table_id]
        assert codec.form is not None
        assert found
        alone = update.entity.table_entry.SerializeToString()
        assert found[2] == codec.form.read_within(alone, 0, len(alone))


@given(requests(MEMBERS))
def test_members_that_controllers_send_are_recognised(request: p4r.WriteRequest) -> None:
    """Those of at most 127 bytes."""
    for found, update in zip(_read(request.SerializeToString()), request.updates, strict=True):
        if update.ByteSize() <= 127:
            assert found == (update.type, (PROFILE, PROFILE_ID), member_plainly(update.entity.action_profile_member))


@pytest.mark.slow
@given(requests(ANY))
def test_what_is_recognised_is_what_the_messages_say(request: p4r.WriteRequest) -> None:
    _check(request.SerializeToString())


@given(requests(ANY), st.data())
def test_damaged_bytes_say_nothing_else_than_protobuf_makes_of_them(
    request: p4r.WriteRequest, data: st.DataObject
) -> None:
    raw = bytearray(request.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        p4r.WriteRequest.FromString(bytes(raw))
    except Exception:  # noqa: BLE001  protobuf's own, whose class depends on its implementation
        return
    _check(bytes(raw))


UNKNOWN = st.sampled_from(
    [b"\x7b\x08\x22\x7c", b"\x79" + bytes(8), b"\x7d\x22\x00\x22\x00", b"\x7a\x02\x22\x00", b"\x78\x22"]
)
"""Fields with number 15: a group, 8 bytes, 4 bytes, a length, a number; what is in them looks like updates."""


@given(st.lists(st.tuples(UNKNOWN | st.just(b""), RIGHT), max_size=4))
def test_fields_between_updates(given_parts: list[tuple[bytes, p4r.Update]]) -> None:
    _check(b"".join(field + p4r.WriteRequest(updates=[one]).SerializeToString() for field, one in given_parts))


@given(right_entries(), st.sampled_from(KINDS), UNKNOWN)
def test_fields_behind_an_entry(entry: p4r.TableEntry, kind: p4r.Update.Type.ValueType, field: bytes) -> None:
    """In the update or in its entity: they are left alone by protobuf, and the update is read the plain way."""
    update = _entry_update(kind, entry).SerializeToString() + field
    entity = p4r.Update(type=kind).SerializeToString()
    inner = p4r.Entity(table_entry=entry).SerializeToString() + field
    entity += b"\x12" + _framed(inner)
    for one in (update, entity):
        raw = bytes((UPDATES << 3 | 2,)) + _framed(one)
        assert _read(raw) == [None]


@given(right_members(), UNKNOWN)
def test_fields_behind_a_member(member: p4r.ActionProfileMember, field: bytes) -> None:
    """In the update, its entity, the member or its action."""
    update = _member_update(KINDS[0], member).SerializeToString()
    known = p4r.ActionProfileMember(action_profile_id=PROFILE_ID, member_id=member.member_id).SerializeToString()
    action = member.action.SerializeToString()
    more = [(update, field)]
    for body in (known + b"\x1a" + _framed(action) + field, known + b"\x1a" + _framed(action + field)):
        more.append((b"\x08\x01\x12" + _framed(b"\x1a" + _framed(body)), b""))
    entity = b"\x1a" + _framed(member.SerializeToString()) + field
    more.append((b"\x08\x01\x12" + _framed(entity), b""))
    for one, behind in more:
        raw = bytes((UPDATES << 3 | 2,)) + _framed(one + behind)
        assert _read(raw) == [None]


@given(st.lists(right_entries(), min_size=1, max_size=3))
def test_an_entry_that_comes_twice_is_one(entries: list[p4r.TableEntry]) -> None:
    """Protobuf merges what comes again."""
    update = b"".join(_entry_update(KINDS[0], entry).SerializeToString() for entry in entries)
    _check(bytes((UPDATES << 3 | 2,)) + _framed(update))


def test_what_is_no_entry_is_known_where_it_is_short() -> None:
    request = p4r.WriteRequest(updates=[_group_update(kind, size) for kind in KINDS for size in (0, 9, 300)])
    assert _read(request.SerializeToString()) == [NO_ENTRY, NO_ENTRY, None] * 3


def test_no_more_is_remembered_than_said() -> None:
    wire = WireUpdates(FORMS)
    for number in range(2 * REMEMBERED + 5):
        entry = p4r.TableEntry(table_id=0x02000000 + number)
        raw = p4r.WriteRequest(updates=[_entry_update(KINDS[0], entry)]).SerializeToString()
        assert list(wire.read(raw, 1)) == [None]
    assert wire.remembered <= REMEMBERED


def _framed(data: bytes) -> bytes:
    return _length(data) + data


def _length(data: bytes) -> bytes:
    size = len(data)
    return bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
