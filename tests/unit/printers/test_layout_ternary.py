"""Places of entries with priorities: prefixes of ranges, and every packet at one place of an entry at most."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.entries import Exact, Lpm, MatchValue, Optional, Range, Ternary
from compiler.printers.layout_ternary import MAX_MASKS, MaskSlot, Place, mask_layout, prefixes

ALL_KINDS = mask_layout("t", (("a", 8), ("b", 8), ("c", 8), ("d", 8), ("e", 8)))


@pytest.mark.parametrize(
    ("low", "high", "width", "expected"),
    [
        (0, 65535, 16, [(0, 0)]),
        (0, 511, 9, [(0, 0)]),
        (0, 0, 16, [(0, 0xFFFF)]),
        (65535, 65535, 16, [(65535, 0xFFFF)]),
        (0, 15, 16, [(0, 0xFFF0)]),
        (16, 287, 16, [*((at, 0xFFF0) for at in range(16, 256, 16)), (256, 0xFFF0), (272, 0xFFF0)]),
        (0, 255, 9, [(0, 0x100)]),
        (1, 2, 2, [(1, 3), (2, 3)]),
        (0, (1 << 128) - 1, 128, [(0, 0)]),
    ],
)
def test_prefixes_of_a_range(low: int, high: int, width: int, expected: list[tuple[int, int]]) -> None:
    assert list(prefixes(low, high, width)) == expected


def test_how_many_prefixes_a_range_has_at_most() -> None:
    assert [len(list(prefixes(1, (1 << width) - 2, width))) for width in (8, 16, 32)] == [44, 104, 224]
    assert len({mask for _, mask in prefixes(1, 65534, 16)}) == 4
    assert [len(list(prefixes(low, 65535, 16))) for low in (1024, 32768, 49152)] == [27, 8, 4]


@given(st.integers(1, 12), st.data())
def test_prefixes_are_the_range_and_nothing_twice(width: int, data: st.DataObject) -> None:
    low, high = sorted(data.draw(st.integers(0, (1 << width) - 1)) for _ in range(2))
    found = [value for value in range(1 << width) for v, mask in prefixes(low, high, width) if value & mask == v]
    assert found == list(range(low, high + 1))


def test_each_kind_of_match() -> None:
    matches: tuple[MatchValue, ...] = (
        Exact(value=7),
        Lpm(value=0x80, prefix_len=1),
        Ternary(value=0x12, mask=0x3F),
        Range(low=15, high=16),
        Optional(value=None),
    )
    expected = [Place((0xFF, 0x80, 0x3F, 0xFF, 0), (7, 0x80, 0x12, number, 0)) for number in (15, 16)]
    assert list(ALL_KINDS.places(matches)) == expected
    assert ALL_KINDS.place_count(matches) == 2
    wild = (Exact(value=0), Lpm(value=0, prefix_len=0), Ternary(value=0, mask=0), Range(low=0, high=255))
    assert list(ALL_KINDS.places((*wild, Optional(value=3)))) == [Place((0xFF, 0, 0, 0, 0xFF), (0, 0, 0, 0, 3))]


def test_the_list_of_masks() -> None:
    layout = mask_layout("t", (("a", 16), ("b", 128)))
    slots = [MaskSlot((0xF0F0, 1 << 127 | 1), 9, 1 << 40), MaskSlot((0, 3), 2, 7)]
    raw = layout.encode(slots)
    assert len(raw) == layout.size == MAX_MASKS * 32
    assert raw[:32] == struct.pack("<QIHxxQQ", 1 << 40, 9, 0xF0F0, 1 << 63, 1)
    assert raw[32:64] == struct.pack("<QIHxxQQ", 7, 2, 0, 0, 3)
    assert not any(raw[64:])
