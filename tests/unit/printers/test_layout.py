"""The bytes of map keys and values: fixed ones by hand, all others as round trips."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.entries import ActionCall, Exact, Lpm, MatchValue, Ternary
from compiler.ir.hashing import mix64, mix64_words
from compiler.ir.tables import MatchKind
from compiler.pipeline.assembly import pipeline
from compiler.printers.layout import GroupSlice, MapKind, Slot, SlotHead, StoreLayout, TableLayout, layout
from compiler.printers.layout_maps import SIDES
from compiler.printers.layout_struct import natural, with_byte

LAYOUT = layout(pipeline())
TABLES = st.sampled_from([table for table in LAYOUT.tables if table.masks is None])
STORES = st.sampled_from(LAYOUT.stores)


def number(width: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << width) - 1)


@st.composite
def keys(draw: st.DrawFn) -> tuple[TableLayout, tuple[MatchValue, ...]]:
    table = draw(TABLES)
    matches: list[MatchValue] = []
    for kind, member in zip(table.matches, table.key_members, strict=True):
        value = draw(number(member.width_bits))
        if kind is MatchKind.EXACT:
            matches.append(Exact(value=value))
        else:
            length = draw(st.integers(0, member.width_bits))
            host = member.width_bits - length
            matches.append(Lpm(value=value >> host << host, prefix_len=length))
    return table, tuple(matches)


@given(keys())
def test_keys_come_back(given_key: tuple[TableLayout, tuple[MatchValue, ...]]) -> None:
    table, matches = given_key
    raw = table.encode_key(matches)
    assert len(raw) == table.map.key_size
    assert table.decode_key(raw) == matches


@given(st.data())
def test_values_come_back(data: st.DataObject) -> None:
    table = data.draw(st.sampled_from([t for t in LAYOUT.tables if t.value is not None]))
    assert table.value is not None
    action = data.draw(st.sampled_from(table.value.actions))
    arguments = tuple(data.draw(number(m.width_bits)) for m in action.arguments.members)
    call, counter = ActionCall(action=action.name, arguments=arguments), data.draw(number(32))
    raw = table.encode_value(call, counter)
    assert len(raw) == table.map.value_size
    assert table.decode_value(raw) == (call, counter)


@given(st.data())
def test_slots_come_back(data: st.DataObject) -> None:
    store = data.draw(STORES)
    table = data.draw(st.sampled_from(store.tables))
    slot = Slot(
        table=table,
        key=tuple(data.draw(number(width)) for width in store.key_widths),
        arguments=tuple(data.draw(number(m.width_bits)) for m in store.arguments.members),
        head=SlotHead(
            version=2 * data.draw(number(31)),
            table=table.index,
            profile=data.draw(number(8)),
            seen_ms=data.draw(number(32)),
            pair=data.draw(number(32)),
            packets=data.draw(number(64)),
            bytes=data.draw(number(64)),
        ),
    )
    raw = store.encode_slot(slot)
    assert len(raw) == store.map.value_size
    assert store.decode_slot(raw) == slot


@given(st.data())
def test_slot_keys_are_the_words_that_are_hashed(data: st.DataObject) -> None:
    store: StoreLayout = data.draw(STORES)
    key = tuple(data.draw(number(width)) for width in store.key_widths)
    words = store.key_codec.unpack(store.encode_key(key))
    assert mix64_words(7, words) == mix64(7, zip(key, store.key_widths, strict=True))


def test_key_bytes_of_a_service() -> None:
    raw = LAYOUT.table("service_ipv4").encode_key(
        (Exact(value=0x0102), Exact(value=0x0A600001), Exact(value=6), Exact(value=80))
    )
    assert raw == bytes.fromhex("0201 0000 0100600a 06 00 5000")


def test_key_bytes_of_a_route_count_the_exact_bits() -> None:
    raw = LAYOUT.table("route_ipv4").encode_key((Exact(value=0x0102), Lpm(value=0x0A000000, prefix_len=8)))
    assert raw == bytes.fromhex("20000000 00 0102 0a000000")


def test_a_wide_number_is_two_words_high_first() -> None:
    key = LAYOUT.table("nd").encode_key((Exact(value=1), Exact(value=0x20010DB8 << 96 | 5)))
    assert key == bytes.fromhex("0100 000000000000 00000000b80d0120 0500000000000000")


def test_one_narrow_key_makes_an_array_of_every_value() -> None:
    table = LAYOUT.table("neighbor")
    assert (table.map.kind, table.map.max_entries) == (MapKind.ARRAY, 2 << 16)
    assert table.encode_key((Exact(value=258),)) == b"\x02\x01\0\0"


def test_an_empty_array_slot_is_no_entry() -> None:
    table = LAYOUT.table("neighbor")
    assert table.decode_value(bytes(table.map.value_size)) is None


def test_groups_come_back() -> None:
    table = LAYOUT.table("backend_ipv4")
    group = GroupSlice(offset=251, size=1023, cycle=2)
    assert table.decode_group(table.encode_group(group)) == group
    assert table.encode_group(group)[:12] == struct.pack("<III", 251, 1021, 2)
    proxies = LAYOUT.table("proxy_ipv4")
    assert proxies.decode_group(proxies.encode_group(GroupSlice(offset=1, size=251))).cycle == 0


def test_a_slot_is_one_cache_line_or_two() -> None:
    assert [store.map.value_size for store in LAYOUT.stores] == [64, 128, 128]


@pytest.mark.parametrize("raw", [bytes(64), bytes(16) + b"\1\0\0\0\1" + bytes(43)])
def test_free_and_half_written_slots_hold_nothing(raw: bytes) -> None:
    assert LAYOUT.stores[0].decode_slot(raw) is None


def test_every_map_has_a_name_of_its_own() -> None:
    names = [m.name for m in LAYOUT.maps]
    assert len(names) == len(set(names))


def test_action_numbers_differ() -> None:
    numbers = [action.number for action in LAYOUT.actions]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    ("table", "matches", "words"),
    [
        ("neighbor", (Exact(value=1 << 16),), "65536 does not fit neighbor_key.nexthop, 16 bits"),
        (
            "neighbor",
            (Ternary(value=1, mask=1),),
            "table neighbor has a key of kind exact, got Ternary(value=1, mask=1)",
        ),
    ],
)
def test_wrong_keys_are_refused(table: str, matches: tuple[MatchValue, ...], words: str) -> None:
    with pytest.raises(ValueError) as refused:
        LAYOUT.table(table).encode_key(matches)
    assert str(refused.value) == words


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValueError) as refused:
        LAYOUT.table("neighbor").encode_value(ActionCall(action="set_uplink"))
    assert str(refused.value) == "neighbor holds no action set_uplink"
    with pytest.raises(ValueError) as refused:
        LAYOUT.table("backend_ipv4").encode_value(ActionCall(action="set_uplink"))
    assert str(refused.value) == "table backend_ipv4 holds groups, not actions"


@given(keys())
def test_both_sides_have_a_place_for_every_key(given_key: tuple[TableLayout, tuple[MatchValue, ...]]) -> None:
    table, matches = given_key
    held, key = table.place(table.encode_key(matches))
    places = [held.on_side(key, side) for side in range(SIDES)]
    assert places[0] == key
    assert places[1] != key
    assert [len(place) for place in places] == [held.key_size] * 2
    assert [held.all_on_side([key, key], side) for side in range(SIDES)] == [place * 2 for place in places]
    if held.kind is MapKind.ARRAY:
        first, second = (int.from_bytes(place, "little") for place in places)
        assert first < held.max_entries // 2 <= second == first + held.max_entries // 2 < held.max_entries
    else:
        assert {table.decode_key(place) for place in places} == {matches}


@pytest.mark.parametrize(
    ("widths", "offset", "size"),
    [
        ((16, 16), 4, 6),
        ((8,), 1, 2),
        ((64,), 8, 16),
        ((16, 32), 2, 8),
        ((32, 16), 6, 8),
        ((16, 128, 8), 2, 32),
        ((16, 32, 8, 16), 2, 12),
    ],
)
def test_one_more_byte_goes_into_the_first_gap(widths: tuple[int, ...], offset: int, size: int) -> None:
    struct = natural("key", ((f"k{at}", width) for at, width in enumerate(widths)))
    more = with_byte(struct, "side")
    assert (more.member("side").offset, more.size) == (offset, size)
    assert [m for m in more.members if m.name != "side"] == list(struct.members)
