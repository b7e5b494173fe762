"""The pattern of a table's entries against the plain reading of them: it says the same, or nothing."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from finsy.proto import p4r
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.entries import ActionCall
from compiler.ir.expressions import MetaRef, width_bits
from compiler.ir.tables import Action, ActionRef, Key, MatchKind, Param, Selector, Table
from runtime.device.records import ActionSet, Row, RowAction, Tally, WeightedAction
from runtime.device.refusals import RefusedError
from runtime.device.schema import TableCodec, table_codec
from runtime.device.wireforms import REMEMBERED
from runtime.device.wirerows import counter_data, inserts, read_response

Reading: TypeAlias = tuple[bytes, RowAction | None, bytes, int]

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


def _table(number: int, *keys: tuple[int, MatchKind], selector: bool = False) -> Table:
    made = tuple(
        Key(name=f"k{at}", id=at, expr=MetaRef(name=f"m{width}", width_bits=width), match=kind)
        for at, (width, kind) in enumerate(keys, 1)
    )
    chosen = Selector(name="hops", id=0x11000001, size=9, max_group_size=3, inputs=()) if selector else None
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
    *(_table(number, (width, EXACT)) for number, width in enumerate(WIDTHS)),
    *(_table(100 + number, (16, EXACT), (width, LPM)) for number, width in enumerate(WIDTHS)),
    _table(200, (12, EXACT), (48, EXACT), (1, EXACT), (128, EXACT)),
    _table(201, (32, LPM), (9, EXACT), (128, LPM)),
    _table(202, (16, EXACT), selector=True),
)
CODECS = {table.id: table_codec(table, {action.name: action for action in ACTIONS}) for table in TABLES}


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


def _plainly(codec: TableCodec, entry: p4r.TableEntry) -> Reading | None:
    """The plain reading; None for what it refuses."""
    try:
        key = codec.decode_key(entry)
        action = codec.decode_action(entry.action) if entry.HasField("action") else None
    except RefusedError:
        return None
    return key, action, entry.metadata, entry.controller_metadata  # pyright: ignore[reportDeprecated]


def _recognised(codec: TableCodec, entry: p4r.TableEntry) -> Reading | None:
    assert codec.form is not None
    return codec.form.read(entry.SerializeToString())


@given(right_entries())
def test_what_controllers_send_is_recognised(entry: p4r.TableEntry) -> None:
    codec = CODECS[entry.table_id]
    expected = _plainly(codec, entry)
    assert expected is not None
    if not entry.HasField("action"):
        expected = (expected[0], None, b"", 0)
    assert _recognised(codec, entry) == expected


@given(any_entries())
def test_what_is_recognised_is_what_the_plain_reading_says(entry: p4r.TableEntry) -> None:
    codec = CODECS[entry.table_id]
    found = _recognised(codec, entry)
    assert found is None or found == _plainly(codec, entry)
    if any(field.name in RARE for field, _ in entry.ListFields()):
        assert found is None


@given(right_entries(), st.data())
def test_damaged_bytes_are_read_as_protobuf_would(entry: p4r.TableEntry, data: st.DataObject) -> None:
    """Unknown fields, lengths that do not fit: nothing is made up from what is no message of this table."""
    raw = bytearray(entry.SerializeToString())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    codec = CODECS[entry.table_id]
    try:
        damaged = p4r.TableEntry.FromString(bytes(raw))
    except Exception:  # noqa: BLE001  protobuf's own, whose class depends on its implementation
        return
    if damaged.table_id == entry.table_id:
        found = _recognised(codec, damaged)
        assert found is None or found == _plainly(codec, damaged)


@given(right_entries(), st.none() | st.builds(Tally, st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 63) - 1)))
def test_a_row_is_written_as_protobuf_writes_it(entry: p4r.TableEntry, tally: Tally | None) -> None:
    codec = CODECS[entry.table_id]
    read = _plainly(codec, entry)
    assert read is not None
    key, action, metadata, cookie = read
    row = Row(key, action or codec.table.default_call, metadata, cookie)
    expected = codec.encode(row)
    if tally is not None:
        expected.counter_data.SetInParent()
        expected.counter_data.packet_count, expected.counter_data.byte_count = tally.packets, tally.bytes
    assert codec.rows is not None
    raw = codec.rows.write(row, counter_data(tally) if tally is not None else b"")
    assert raw == expected.SerializeToString()
    entity = p4r.Entity(table_entry=expected)
    assert read_response([raw, raw]) == p4r.ReadResponse(entities=[entity, entity]).SerializeToString()
    update = p4r.Update(type=p4r.Update.INSERT, entity=entity)
    assert inserts([raw, raw]) == p4r.WriteRequest(updates=[update, update]).SerializeToString()


def test_a_row_with_an_action_set_is_written_too() -> None:
    codec = CODECS[0x02000000 + 202]
    sets = ActionSet((WeightedAction(ActionCall(action="one", arguments=(7,)), 2),))
    row = Row(codec.keys.pack(5), sets, hidden_group=3)
    assert codec.rows is not None
    assert codec.rows.write(row) == codec.encode(row).SerializeToString()


@given(right_entries())
def test_keys_as_bytes_and_back(entry: p4r.TableEntry) -> None:
    codec = CODECS[entry.table_id]
    matches = codec.decode_matches(entry.match)
    key = codec.keys.key_of(matches)
    assert (codec.keys.matches_of(key), codec.keys.priority_of(key)) == (matches, 0)


def test_no_more_is_remembered_than_said() -> None:
    codec = CODECS[0x02000000]
    for number in range(2 * REMEMBERED + 5):
        entry = p4r.TableEntry(table_id=0x02000000, metadata=number.to_bytes(3, "big"))
        entry.match.add(field_id=1).exact.value = b"\1"
        entry.action.action.action_id = 0x01000003
        entry.action.action.params.add(param_id=1, value=bytes([number & 255]))
        assert _recognised(codec, entry) == _plainly(codec, entry)
    assert codec.form is not None
    assert codec.form.remembered <= REMEMBERED


@pytest.mark.parametrize("kind", [MatchKind.TERNARY, MatchKind.RANGE, MatchKind.OPTIONAL])
def test_tables_with_priorities_are_read_the_plain_way(kind: MatchKind) -> None:
    assert table_codec(_table(300, (16, EXACT), (8, kind)), {action.name: action for action in ACTIONS}).form is None


@pytest.mark.parametrize("where", ["behind the call", "behind the entry's action"])
def test_a_parameter_in_another_place_is_none(where: str) -> None:
    """Protobuf writes unknown fields last: what looks like the next parameter is not in the call, which lacks it."""
    codec, one = CODECS[0x02000000 + WIDTHS.index(16)], ACTIONS[2]
    call = p4r.Action(action_id=one.id)
    stray = p4r.Action(params=[p4r.Action.Param(param_id=1, value=b"\x05")]).SerializeToString()
    action = p4r.TableAction(action=call).SerializeToString() + (stray if where == "behind the call" else b"")
    entry = p4r.TableEntry(table_id=codec.table.id)
    entry.match.add(field_id=1).exact.value = b"\x07"
    raw = entry.SerializeToString() + bytes((0x1A, len(action))) + action
    raw += stray if where != "behind the call" else b""
    parsed = p4r.TableEntry.FromString(raw)
    assert _plainly(codec, parsed) is None
    assert _recognised(codec, parsed) is None
