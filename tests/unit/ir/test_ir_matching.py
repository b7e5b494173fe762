"""Every kind of match at its borders, in a table that looks at all of its entries: one with a priority."""

from __future__ import annotations

import pytest

from compiler.ir.entries import ActionCall, Exact, Lpm, MatchValue, Optional, Range, TableEntry, Ternary
from compiler.ir.expressions import MetaRef
from compiler.ir.interpreter.matching import MatchTable
from compiler.ir.ranks import highest_rank, rank
from compiler.ir.tables import Key, MatchKind, Table

ANY = Ternary(value=0, mask=0)


def table(kind: MatchKind) -> MatchTable:
    """A key of 8 bits that is matched so, and a ternary one that makes entries have priorities."""
    keys = tuple(
        Key(name=name, id=number, expr=MetaRef(name=name, width_bits=8), match=match)
        for number, (name, match) in enumerate((("first", kind), ("second", MatchKind.TERNARY)), 1)
    )
    return MatchTable(Table(name="small", id=1, keys=keys, actions=(), default_action="", size=8))


def entry(match: MatchValue, priority: int = 1) -> TableEntry:
    return TableEntry(table="small", matches=(match, ANY), action=ActionCall(action="some"), priority=priority)


@pytest.mark.parametrize(
    ("kind", "match", "matching"),
    [
        (MatchKind.EXACT, Exact(value=7), {7}),
        (MatchKind.LPM, Lpm(value=0, prefix_len=0), set(range(256))),
        (MatchKind.LPM, Lpm(value=0x80, prefix_len=1), set(range(128, 256))),
        (MatchKind.LPM, Lpm(value=0x2E, prefix_len=7), {0x2E, 0x2F}),
        (MatchKind.LPM, Lpm(value=0xFF, prefix_len=8), {0xFF}),
        (MatchKind.TERNARY, Ternary(value=0x81, mask=0xC1), {v for v in range(256) if v & 0xC1 == 0x81}),
        (MatchKind.RANGE, Range(low=3, high=5), {3, 4, 5}),
        (MatchKind.RANGE, Range(low=0, high=0), {0}),
        (MatchKind.OPTIONAL, Optional(value=None), set(range(256))),
        (MatchKind.OPTIONAL, Optional(value=9), {9}),
    ],
    ids=str,
)
def test_what_a_match_takes(kind: MatchKind, match: MatchValue, matching: set[int]) -> None:
    held = table(kind)
    held.insert(entry(match))
    assert {value for value in range(256) if held.lookup((value, 0)) is not None} == matching


def test_the_largest_priority_wins() -> None:
    held = table(MatchKind.RANGE)
    low, high = Range(low=0, high=9), Range(low=5, high=9)
    for match, priority in ((low, 1), (high, 3)):
        held.insert(entry(match, priority))
    assert [row.entry.matches[0] for value in (4, 5, 9) if (row := held.lookup((value, 0)))] == [low, high, high]


def test_which_of_two_with_equal_priorities_wins_does_not_hang_on_their_order() -> None:
    one, other = Range(low=0, high=9), Range(low=5, high=9)
    found: list[MatchValue] = []
    for order in ((one, other), (other, one)):
        held = table(MatchKind.RANGE)
        for match in order:
            held.insert(entry(match, 3))
        row = held.lookup((7, 0))
        assert row is not None
        found.append(row.entry.matches[0])
    assert found[0] == found[1]
    assert rank((found[0], ANY), 3) == max(rank((one, ANY), 3), rank((other, ANY), 3))


def test_ranks() -> None:
    matches = (Optional(value=None), Exact(value=1))
    assert rank(matches, 7) >> 33 == 7
    assert rank(matches, 7) <= highest_rank(7) < rank(matches, 8)
    assert rank(matches, 2**31 - 1) <= highest_rank(2**31 - 1) == (1 << 64) - 1
    assert len({rank(m, 1) for m in (matches, (Optional(value=0), Exact(value=1)), (Exact(value=1), matches[0]))}) == 3
