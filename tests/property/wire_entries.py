"""Tables of all widths, and entries of them: such as controllers send, and such in which much is wrong."""

from __future__ import annotations

from typing import TypeAlias

from finsy.proto import p4r
from hypothesis import strategies as st

from compiler.ir.entries import ActionCall
from compiler.ir.expressions import MetaRef, width_bits
from compiler.ir.tables import Action, ActionRef, Key, MatchKind, Param, Selector, Table
from runtime.device.records import RowAction
from runtime.device.refusals import RefusedError
from runtime.device.schema import TableCodec, table_codec

PROFILE_ID = 0x11000001
Reading: TypeAlias = tuple[bytes, RowAction | None, bytes, int]
"""Key, action, metadata, controller_metadata."""

WIDTHS = (1, 7, 8, 9, 12, 16, 24, 32, 33, 48, 64, 65, 127, 128)
ACTIONS = (
    Action(name="nothing", id=0x01000001),
    Action(
        name="all", id=0x01000002, params=tuple(Param(name=f"p{w}", id=w, width_bits=w) for w in (1, 9, 16, 48, 128))
    ),
    Action(name="one", id=0x01000003, params=(Param(name="port", id=1, width_bits=9),)),
    Action(name="miss", id=0x01000004),
    Action(name="other", id=0x01000005),
)
OFFERED = (
    *(ActionRef(name=name) for name in ("nothing", "all", "one")),
    ActionRef(name="miss", in_entries=False, as_default=True),
)


def table_of(number: int, *keys: tuple[int, MatchKind], selector: bool = False) -> Table:
    made = tuple(
        Key(name=f"k{at}", id=at, expr=MetaRef(name=f"m{width}", width_bits=width), match=kind)
        for at, (width, kind) in enumerate(keys, 1)
    )
    chosen = Selector(name="hops", id=PROFILE_ID, size=9, max_group_size=3, inputs=()) if selector else None
    return Table(
        name=f"t{number}",
        id=0x02000000 + number,
        keys=made,
        actions=OFFERED,
        default_action="miss",
        size=9,
        selector=chosen,
    )


EXACT, LPM = MatchKind.EXACT, MatchKind.LPM
TABLES = (
    *(table_of(number, (width, EXACT)) for number, width in enumerate(WIDTHS)),
    *(table_of(100 + number, (16, EXACT), (width, LPM)) for number, width in enumerate(WIDTHS)),
    table_of(200, (12, EXACT), (48, EXACT), (1, EXACT), (128, EXACT)),
    table_of(201, (32, LPM), (9, EXACT), (128, LPM)),
    table_of(202, (16, EXACT), selector=True),
)
CODECS = {table.id: table_codec(table, {action.name: action for action in ACTIONS}) for table in TABLES}
SELECTING = CODECS[TABLES[-1].id]
"""The one whose entries have members of the profile `PROFILE_ID`."""


def _bytes(width: int) -> st.SearchStrategy[bytes]:
    """Values of a width: canonical ones, at the borders, with leading zeros, too wide, empty."""
    inside = st.integers(0, (1 << width) - 1) | st.sampled_from([0, 1, (1 << width) - 1])
    outside = st.just(1 << width) | st.integers(0, 1 << 130)
    shortest = (inside | outside).map(lambda value: value.to_bytes((value.bit_length() + 7) // 8 or 1, "big"))
    return shortest | st.builds(bytes.rjust, shortest, st.integers(1, 18), st.just(b"\0")) | st.just(b"")


def _right(width: int) -> st.SearchStrategy[bytes]:
    return st.integers(0, (1 << width) - 1).map(lambda v: v.to_bytes((v.bit_length() + 7) // 8 or 1, "big"))


@st.composite
def _right_matches(draw: st.DrawFn, key: Key) -> p4r.FieldMatch:
    width = width_bits(key.expr)
    made = p4r.FieldMatch(field_id=key.id)
    if key.match is EXACT:
        made.exact.value = draw(_right(width))
        return made
    length = draw(st.integers(1, width))
    value = draw(st.integers(0, (1 << length) - 1)) << (width - length)
    made.lpm.value = value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")
    made.lpm.prefix_len = length
    return made


@st.composite
def _any_match(draw: st.DrawFn, key: Key) -> p4r.FieldMatch:
    width = width_bits(key.expr)
    made = p4r.FieldMatch(field_id=draw(st.just(key.id) | st.integers(0, 200)))
    kind = draw(st.sampled_from(["exact", "lpm", "ternary", "range", "optional", "none"]))
    if kind in ("exact", "lpm", "optional"):
        getattr(made, kind).value = draw(_bytes(width))
    if kind == "lpm":
        made.lpm.prefix_len = draw(st.integers(-1, width + 1) | st.integers(0, 300))
    if kind == "ternary":
        made.ternary.value, made.ternary.mask = draw(_bytes(width)), draw(_bytes(width))
    if kind == "range":
        made.range.low, made.range.high = draw(_bytes(width)), draw(_bytes(width))
    return made


@st.composite
def _action(draw: st.DrawFn, *, is_right: bool) -> p4r.TableAction:
    chosen = draw(st.sampled_from(ACTIONS[:3] if is_right else ACTIONS))
    params = [
        p4r.Action.Param(param_id=one.id, value=draw(_right(one.width_bits) if is_right else _bytes(one.width_bits)))
        for one in chosen.params
    ]
    if not is_right:
        params = draw(
            st.just(params)
            | st.permutations(params)
            | st.lists(st.sampled_from(params or [p4r.Action.Param()]), max_size=6)
        )
    action = p4r.Action(action_id=draw(st.just(chosen.id) | st.integers(0, 9)) if not is_right else chosen.id)
    action.params.extend(params)
    return p4r.TableAction(action=action)


@st.composite
def right_entries(draw: st.DrawFn) -> p4r.TableEntry:
    """What a controller sends: fields in order, lpm fields left out at times, values in shortest form."""
    table = draw(st.sampled_from(TABLES))
    entry = p4r.TableEntry(table_id=table.id)
    for key in table.keys:
        if key.match is EXACT or draw(st.booleans()):
            entry.match.append(draw(_right_matches(key)))
    if draw(st.booleans()):
        if table.selector is None:
            entry.action.CopyFrom(draw(_action(is_right=True)))
        else:
            entry.action.action_profile_member_id = draw(st.integers(1, 1 << 31))
        entry.metadata = draw(st.binary(max_size=3) | st.just(bytes(200)))
        entry.controller_metadata = draw(st.integers(0, (1 << 64) - 1))  # pyright: ignore[reportDeprecated]
    return entry


@st.composite
def right_members(draw: st.DrawFn) -> p4r.ActionProfileMember:
    """What a controller sends."""
    member = p4r.ActionProfileMember(action_profile_id=PROFILE_ID, member_id=draw(_member_ids))
    member.action.CopyFrom(draw(_action(is_right=True)).action)
    return member


_member_ids = st.integers(1, 300) | st.integers(1, (1 << 32) - 1) | st.sampled_from([127, 128, (1 << 28) - 1, 1 << 28])


@st.composite
def any_members(draw: st.DrawFn) -> p4r.ActionProfileMember:
    member = draw(right_members())
    if draw(st.booleans()):
        member.action.CopyFrom(draw(_action(is_right=False)).action)
    left_out = draw(st.sampled_from(["", "action_profile_id", "member_id", "action"]))
    kept = ((field, value) for field, value in member.ListFields() if field.name != left_out)
    return p4r.ActionProfileMember(**{field.name: value for field, value in kept})


def member_plainly(member: p4r.ActionProfileMember) -> tuple[int, ActionCall] | None:
    """As `plainly`, of one of the profile `PROFILE_ID`."""
    try:
        return member.member_id, SELECTING.choice.decode_for_entry(member.action)
    except RefusedError:
        return None


def _rare(entry: p4r.TableEntry, which: str) -> None:
    """Set a field that only some entries have."""
    match which:
        case "priority":
            entry.priority = 5
        case "idle_timeout_ns":
            entry.idle_timeout_ns = 1
        case "is_const" | "is_default_action":
            setattr(entry, which, True)
        case _:
            getattr(entry, which).SetInParent()


RARE = (
    "priority",
    "idle_timeout_ns",
    "is_const",
    "is_default_action",
    "counter_data",
    "meter_config",
    "meter_counter_data",
    "time_since_last_hit",
)


@st.composite
def any_entries(draw: st.DrawFn) -> p4r.TableEntry:
    """Entries in which much may be wrong, and fields are in any order."""
    entry = draw(right_entries())
    table = next(table for table in TABLES if table.id == entry.table_id)
    matches = list(entry.match)
    if draw(st.booleans()):
        matches += draw(st.lists(st.sampled_from(table.keys).flatmap(_any_match), max_size=2))
        matches = draw(st.permutations(matches))
    if draw(st.booleans()):
        matches = matches[: draw(st.integers(0, 3))]
    del entry.match[:]
    entry.match.extend(matches)
    if draw(st.booleans()):
        entry.action.CopyFrom(draw(_action(is_right=False)))
    for which in draw(st.sets(st.sampled_from(RARE), max_size=1)):
        _rare(entry, which)
    return entry


def plainly(codec: TableCodec, entry: p4r.TableEntry) -> Reading | None:
    """The plain reading; None for what it refuses."""
    try:
        key = codec.decode_key(entry)
        action = codec.decode_action(entry.action) if entry.HasField("action") else None
    except RefusedError:
        return None
    return key, action, entry.metadata, entry.controller_metadata  # pyright: ignore[reportDeprecated]
