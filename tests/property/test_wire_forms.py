"""The pattern of a table's entries against the plain reading of them: it says the same, or nothing."""

from __future__ import annotations

import pytest
from finsy.proto import p4r
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.entries import ActionCall
from compiler.ir.tables import MatchKind
from runtime.device.records import ActionSet, Row, Tally, WeightedAction
from runtime.device.schema import TableCodec, table_codec
from runtime.device.wireforms import REMEMBERED
from runtime.device.wirerows import counter_data, inserts, read_response
from tests.property.wire_entries import (
    ACTIONS,
    CODECS,
    EXACT,
    RARE,
    WIDTHS,
    Reading,
    any_entries,
    plainly,
    right_entries,
    table_of,
)


def _recognised(codec: TableCodec, entry: p4r.TableEntry) -> Reading | None:
    assert codec.form is not None
    raw = entry.SerializeToString()
    return codec.form.read_within(raw, 0, len(raw))


@given(right_entries())
def test_what_controllers_send_is_recognised(entry: p4r.TableEntry) -> None:
    codec = CODECS[entry.table_id]
    expected = plainly(codec, entry)
    assert expected is not None
    if not entry.HasField("action"):
        expected = (expected[0], None, b"", 0)
    assert _recognised(codec, entry) == expected


@given(any_entries())
def test_what_is_recognised_is_what_the_plain_reading_says(entry: p4r.TableEntry) -> None:
    codec = CODECS[entry.table_id]
    found = _recognised(codec, entry)
    assert found is None or found == plainly(codec, entry)
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
        assert found is None or found == plainly(codec, damaged)


@given(right_entries(), st.none() | st.builds(Tally, st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 63) - 1)))
def test_a_row_is_written_as_protobuf_writes_it(entry: p4r.TableEntry, tally: Tally | None) -> None:
    codec = CODECS[entry.table_id]
    read = plainly(codec, entry)
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
        assert _recognised(codec, entry) == plainly(codec, entry)
    assert codec.form is not None
    assert codec.form.remembered <= REMEMBERED


@pytest.mark.parametrize("kind", [MatchKind.TERNARY, MatchKind.RANGE, MatchKind.OPTIONAL])
def test_tables_with_priorities_are_read_the_plain_way(kind: MatchKind) -> None:
    assert table_codec(table_of(300, (16, EXACT), (8, kind)), {action.name: action for action in ACTIONS}).form is None


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
    assert plainly(codec, parsed) is None
    assert _recognised(codec, parsed) is None


@pytest.mark.parametrize("members", [10, 2000, 20_000])
def test_an_action_of_any_length_is_read_or_left(members: int) -> None:
    """Its length takes one, two, or three bytes."""
    codec = CODECS[0x02000000 + 202]
    entry = p4r.TableEntry(table_id=codec.table.id)
    entry.match.add(field_id=1).exact.value = b"\x07"
    entry.action.action_profile_action_set.action_profile_actions.add(weight=members)
    for _ in range(members // 10):
        entry.action.action_profile_action_set.action_profile_actions.add(weight=1).action.action_id = 0x01000003
    assert _recognised(codec, entry) is None
