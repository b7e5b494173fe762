"""Numbers of members: each has one of its own, and one that entries still have is given to nobody else."""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.turns import MAX_COUNTED
from runtime.bpf.maps import Map
from runtime.device.kernel import countednumbers
from runtime.device.kernel.countednumbers import CountedNumbers
from runtime.device.undo import UndoLog


class Counts:
    """As the map of counts, with a value in eight bytes."""

    def __init__(self) -> None:
        self.of: dict[int, int] = {}
        self.asked = 0
        self.details = SimpleNamespace(buffer_size=8)

    def lookup_slots(self, first: int, count: int) -> bytes:
        self.asked += 1
        last = min(first + count, MAX_COUNTED + 1)
        return b"".join(struct.pack("=Q", self.of.get(number, 0)) for number in range(first, last))

    def lookup_batch(self) -> tuple[bytes, bytes]:
        return b"", b"".join(struct.pack("=Q", self.of.get(number, 0)) for number in range(MAX_COUNTED + 1))


def numbers() -> tuple[CountedNumbers, Counts, UndoLog]:
    counts, undo = Counts(), UndoLog()
    return CountedNumbers(cast("Map", counts), undo), counts, undo


def test_each_has_its_own_and_none_has_zero() -> None:
    made, counts, _ = numbers()
    assert [made.take(member) for member in (70, 80, 90)] == [1, 2, 3]
    counts.of |= {1: 4, 3: 1}
    assert (made.of(80), made.counts()) == (2, {70: 4, 90: 1})


def end_batch(undo: UndoLog) -> None:
    undo.finish()
    undo.clear()


def test_a_number_rests_until_nothing_counts_for_it() -> None:
    made, counts, undo = numbers()
    for member in (70, 80):
        made.take(member)
    end_batch(undo)
    counts.of[1] = 5
    made.give_back(70)
    made.give_back(80)
    assert made.counts() == {}
    few(counts, 3)
    assert [made.take(member) for member in (100, 101)] == [3, 2]
    assert made.take(70) == 1


def few(counts: Counts, most: int) -> None:
    """All numbers beyond are said to have entries, so that few are left."""
    counts.of |= dict.fromkeys(range(most + 1, MAX_COUNTED + 1), 9)


def test_a_batch_looks_at_many_counts_at_once() -> None:
    made, counts, undo = numbers()
    for member in range(100):
        made.take(member)
    assert counts.asked == 2
    counts.of[101] = 1
    end_batch(undo)
    assert made.take(100) == 102


def test_counts_of_a_batch_that_failed_are_looked_at_anew() -> None:
    made, counts, undo = numbers()
    made.take(70)
    undo.back_to(0)
    counts.of[1] = 1
    assert made.take(70) == 2


def test_where_all_have_entries_it_is_the_one_with_the_fewest() -> None:
    made, counts, _ = numbers()
    counts.of = dict.fromkeys(range(1, MAX_COUNTED + 1), 7) | {300: 2}
    assert made.take(70) == 300
    assert made.take(71) == 1


def test_who_comes_back_gets_its_number_unless_somebody_else_has_it() -> None:
    made, counts, undo = numbers()
    assert [made.take(70), made.take(80)] == [1, 2]
    made.give_back(70)
    assert made.take(70) == 1
    end_batch(undo)
    made.give_back(70)
    few(counts, 2)
    assert made.take(90) == 1
    end_batch(undo)
    counts.of[3] = 0
    assert made.take(70) == 3


def test_numbers_that_are_expected_are_their_members_alone() -> None:
    made, _, _ = numbers()
    made.expect({70: 2, 80: 1, 90: 0})
    assert [made.take(member) for member in (100, 70, 80, 90)] == [3, 2, 1, 4]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6)), max_size=20))
def test_a_batch_that_fails_leaves_all_as_it_was(steps: list[tuple[bool, int]]) -> None:
    made, counts, undo = numbers()
    there = {member: made.take(member) for member in (1, 2, 3)}
    made.give_back(3)
    end_batch(undo)
    here, counts.of[2] = {1, 2}, 1
    for comes, member in steps:
        if comes and member not in here:
            made.take(member)
            here.add(member)
        elif not comes and member in here:
            made.give_back(member)
            here.discard(member)
    assert len({made.of(member) for member in here}) == len(here)
    undo.back_to(0)
    assert (made.of(1), made.of(2)) == (there[1], there[2])
    assert made.take(3) == there[3]
    assert made.take(9) == 4


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[CountedNumbers, Counts, UndoLog]]:
    monkeypatch.setattr(countednumbers, "MAX_COUNTED", 4)
    return numbers


def test_numbers_go_round(tiny: Callable[[], tuple[CountedNumbers, Counts, UndoLog]]) -> None:
    made, _, _ = tiny()
    for member in range(20):
        assert made.take(member) == member % 4 + 1
        made.give_back(member)


@given(
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(1, 9), unique=True, max_size=5)), max_size=8),
    st.sets(st.integers(1, 12)),
)
def test_many_are_taken_as_one_by_one(batches: list[tuple[bool, list[int]]], counted: set[int]) -> None:
    """Each batch gives some back, or takes those that are not there, and half of them come to nothing."""
    (many, many_counts, many_undo), (single, single_counts, single_undo) = numbers(), numbers()
    there: set[int] = set()
    many_counts.of |= dict.fromkeys(counted, 3)
    single_counts.of |= many_counts.of
    for at, (takes, members) in enumerate(batches):
        chosen = [one for one in members if (one in there) is not takes]
        if takes:
            assert many.take_many(chosen) == [single.take(one) for one in chosen]
        else:
            for one in chosen:
                many.give_back(one)
                single.give_back(one)
        if at % 2:
            there = there | set(chosen) if takes else there - set(chosen)
            end_batch(many_undo)
            end_batch(single_undo)
        else:
            many_undo.back_to(0)
            single_undo.back_to(0)
        assert [many.of(one) for one in there] == [single.of(one) for one in there]
