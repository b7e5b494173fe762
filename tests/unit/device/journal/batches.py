"""Updates of every kind for the small pipeline, good and bad ones, as a controller may send them."""

from __future__ import annotations

from finsy.proto import p4r
from hypothesis import strategies as st

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
EXACT, LPM, MIXED, SPREAD, KNOWN = range(0x02000001, 0x02000006)
SEND, NOTHING = 0x01000001, 0x01000002
HOPS = 0x11000001
DROPS = 0x12000001
_KINDS = st.sampled_from((INSERT, INSERT, MODIFY, DELETE))


def _bytes(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _action(port: int) -> p4r.Action:
    if not port:
        return p4r.Action(action_id=NOTHING)
    params = [p4r.Action.Param(param_id=1, value=_bytes(port)), p4r.Action.Param(param_id=2, value=b"\2\0\0\0\0\1")]
    return p4r.Action(action_id=SEND, params=params)


_ACTIONS = st.integers(0, 3).map(_action)
_FEW = st.integers(0, 2)


@st.composite
def _entries(draw: st.DrawFn) -> p4r.TableEntry:
    table = draw(st.sampled_from((EXACT, LPM, MIXED, SPREAD, KNOWN)))
    made = p4r.TableEntry(table_id=table, metadata=draw(st.sampled_from((b"", b"note"))))
    low, high = draw(_FEW), draw(_FEW)
    if table == EXACT:
        made.match.add(field_id=1).exact.value = _bytes(low)
        made.match.add(field_id=2).exact.value = _bytes(high)
    elif table == LPM:
        made.match.add(field_id=1).exact.value = _bytes(low)
        prefix = made.match.add(field_id=2).lpm
        prefix.value, prefix.prefix_len = bytes((10, high, 0, 0)), 16
    elif table == MIXED:
        given = made.match.add(field_id=1).ternary
        given.value, given.mask = _bytes(low), b"\xff"
        made.priority = 1 + high
    else:
        made.match.add(field_id=1).exact.value = _bytes(low)
    if table != SPREAD:
        made.action.action.CopyFrom(draw(_ACTIONS))
    else:
        _choose(draw, made.action)
    if table == EXACT and draw(st.booleans()):
        made.counter_data.packet_count = 7
    return made


def _choose(draw: st.DrawFn, into: p4r.TableAction) -> None:
    match draw(st.integers(0, 3)):
        case 0:
            into.action_profile_member_id = 1 + draw(_FEW)
        case 1:
            into.action_profile_group_id = 1 + draw(_FEW)
        case _:
            for _ in range(draw(st.integers(1, 3))):
                one = into.action_profile_action_set.action_profile_actions.add(weight=draw(st.integers(1, 2)))
                one.action.CopyFrom(draw(_ACTIONS))


@st.composite
def _members(draw: st.DrawFn) -> p4r.ActionProfileMember:
    return p4r.ActionProfileMember(action_profile_id=HOPS, member_id=1 + draw(_FEW), action=draw(_ACTIONS))


@st.composite
def _groups(draw: st.DrawFn) -> p4r.ActionProfileGroup:
    made = p4r.ActionProfileGroup(action_profile_id=HOPS, group_id=1 + draw(_FEW), max_size=draw(st.integers(2, 3)))
    for member in draw(st.sets(st.integers(1, 3), max_size=2)):
        made.members.add(member_id=member, weight=1)
    return made


@st.composite
def _counters(draw: st.DrawFn) -> p4r.CounterEntry:
    data = p4r.CounterData(packet_count=draw(_FEW))
    return p4r.CounterEntry(counter_id=DROPS, index=p4r.Index(index=draw(st.integers(0, 4))), data=data)


@st.composite
def updates(draw: st.DrawFn) -> p4r.Update:
    made = p4r.Update(type=draw(_KINDS))
    entity = made.entity
    match draw(st.integers(0, 9)):
        case 0:
            entity.counter_entry.CopyFrom(draw(_counters()))
            made.type = MODIFY
        case 1 | 2:
            entity.action_profile_member.CopyFrom(draw(_members()))
        case 3:
            entity.action_profile_group.CopyFrom(draw(_groups()))
        case _:
            entity.table_entry.CopyFrom(draw(_entries()))
    return made


BATCHES = st.lists(st.lists(updates(), min_size=1, max_size=5), max_size=8)
