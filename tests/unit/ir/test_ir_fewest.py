"""Which of two members is the less busy one, and for whom entries count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.entries import ActionCall, GroupRef, MemberRef
from compiler.ir.expressions import Const, MetaRef
from compiler.ir.interpreter.learning import SlotStore
from compiler.ir.interpreter.selection import Selection
from compiler.ir.tables import Fewest, Key, Profile, Selector, Store, Table, Transition, Turns
from compiler.printers.p4.refusals import UnprintableError, refuse_turns
from tests.unit.ir.picking import selection_of

YES = Const(value=1, width_bits=1)
FEWEST = Fewest(asked=YES, store="memory")
SELECTOR = Selector(
    name="picks",
    id=0x11000001,
    size=100,
    max_group_size=50,
    inputs=(MetaRef(name="a", width_bits=16),),
    turns=Turns(asked=Const(value=0, width_bits=1), cell=MetaRef(name="a", width_bits=16)),
    fewest=FEWEST,
)
NUMBERS = st.integers(0, (1 << 32) - 1)


@given(NUMBERS, st.integers(1, 1000))
def test_two_slots_are_of_the_cycle_and_different_where_there_are_two(number: int, length: int) -> None:
    first, second = Fewest.slots(number, length)
    assert 0 <= first < length
    assert 0 <= second < length
    assert (first == second) == (length == 1)


def test_every_pair_of_slots_is_drawn_as_often() -> None:
    found = Counter(Fewest.slots(first | second << 16, 4) for first in range(40) for second in range(30))
    assert found == {(a, b): 100 for a in range(4) for b in range(4) if a != b}


selection = partial(selection_of, SELECTOR)


def picked(made: Selection, number: int, counts: Mapping[int, int], group_id: int = 1) -> int | None:
    member = made.pick_fewest(GroupRef(group_id=group_id), number, counts)
    return None if member is None else member.id


@given(NUMBERS)
def test_of_two_members_it_is_always_the_less_busy_one(number: int) -> None:
    assert picked(selection(1, 1), number, {1: 7, 2: 6}) == 2
    assert picked(selection(1, 1), number, {1: 5}) == 2


@given(NUMBERS, st.lists(st.integers(0, 9), min_size=1, max_size=9))
def test_it_is_never_busier_than_the_other_one(number: int, busy: list[int]) -> None:
    made, counts = selection(*(1 for _ in busy)), dict(enumerate(busy, 1))
    first, second = (slot + 1 for slot in Fewest.slots(number, len(busy)))
    chosen = picked(made, number, counts)
    assert chosen in (first, second)
    assert counts[chosen] == min(counts[first], counts[second])
    assert chosen == first or counts[second] < counts[first]


def test_nobody_is_picked_of_nobody_and_a_member_alone_is_itself() -> None:
    made = selection(1, 1)
    assert picked(made, 5, {}, group_id=2) is None
    alone = made.pick_fewest(MemberRef(member_id=2), 5, {2: 99})
    assert alone is not None
    assert alone.id == 2


STORE = Store(
    name="memory",
    size=16,
    ways=4,
    profiles=(
        Profile(name="young", id=1, timeout_ms=100, rank=0),
        Profile(name="gone", id=2, timeout_ms=100, rank=0, is_over=True),
    ),
    events=("end", "begin"),
    transitions=(
        Transition(current="young", event="end", next="gone", other_next="gone"),
        Transition(current="gone", event="begin", next="young", other_next="young"),
    ),
)


TABLE = Table(
    name="flow",
    id=1,
    keys=(Key(name="a", id=1, expr=MetaRef(name="a", width_bits=16)),),
    actions=(),
    default_action="",
    size=1,
)


def test_an_entry_counts_until_it_is_over_or_leaves() -> None:
    made = SlotStore(STORE, (TABLE,), seed=1)
    call = ActionCall(action="known", arguments=())
    learned = ((1, 7), (2, 7), (3, 8), (4, None))
    slots = [made.learn("flow", (key,), call, 1, 0, (), counted).slot for key, counted in learned]
    first, second, third = (slot for slot in slots[:3] if slot is not None)
    assert made.counts() == {7: 2, 8: 1}
    made.advance(first, "end")
    made.advance(first, "end")
    assert made.counts() == {7: 1, 8: 1}
    made.advance(first, "begin")
    made.remove(third)
    assert made.counts() == {7: 2}
    second.seen_ms = 50
    made.sweep(120)
    assert made.counts() == {7: 1}
    made.sweep(150)
    assert made.counts() == {}


@pytest.mark.parametrize("profile", ["v1model", "PNA"])
def test_p4_has_no_words_for_it(profile: str) -> None:
    counting = replace(SELECTOR, turns=None)
    with pytest.raises(UnprintableError, match=r"members of selector picks with the fewest entries$"):
        refuse_turns(profile, counting)
