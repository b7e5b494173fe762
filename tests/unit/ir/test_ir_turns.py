"""The cycle in which members get turns: exact shares in each round, and never one behind or ahead in between."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.entries import Group, GroupRef, MemberRef, Watch, WeightedMember
from compiler.ir.expressions import Const, MetaRef
from compiler.ir.interpreter.selection import Selection
from compiler.ir.maglev import living_ring
from compiler.ir.tables import Selector, Turns
from compiler.ir.turns import NUMBER_MASK, build_cycle, living_cycle, living_slots, slots_of_one
from compiler.printers.p4.refusals import UnprintableError, refuse_turns
from tests.unit.ir.picking import selection_of

WEIGHTS = st.lists(st.integers(1, 40), min_size=1, max_size=20)
SELECTOR = Selector(
    name="picks",
    id=0x11000001,
    size=100,
    max_group_size=50,
    inputs=(MetaRef(name="a", width_bits=16),),
    turns=Turns(asked=Const(value=1, width_bits=1), cell=MetaRef(name="a", width_bits=16)),
)


def watching(*ports: int) -> tuple[WeightedMember, ...]:
    """Members 10, 11, ... of weight 1, 2, ...; those of port 0 watch none."""
    return tuple(
        WeightedMember(member_id=10 + at, weight=1 + at, watch=Watch(port=port) if port else None)
        for at, port in enumerate(ports)
    )


@given(WEIGHTS)
def test_after_any_number_of_turns_no_member_is_a_whole_turn_from_its_share(weights: list[int]) -> None:
    cycle, total, had = build_cycle(list(enumerate(weights))), sum(weights), Counter[int]()
    for turns, member in enumerate(cycle * 2, 1):
        had[member] += 1
        assert all(abs(had[at] * total - turns * weight) < total for at, weight in enumerate(weights))


@given(WEIGHTS)
def test_a_cycle_is_no_longer_than_it_must_be_and_gives_exact_shares(weights: list[int]) -> None:
    found = Counter(build_cycle(list(enumerate(weights))))
    assert all(found[at] * sum(weights) == weight * found.total() for at, weight in enumerate(weights))
    assert found.total() <= sum(weights)
    assert build_cycle([(at, 3 * weight) for at, weight in enumerate(weights)]) == build_cycle(list(enumerate(weights)))


@pytest.mark.parametrize(
    ("members", "cycle"),
    [
        ([], ()),
        ([(7, 5)], (7,)),
        ([(3, 1), (1, 1), (2, 1)], (1, 2, 3)),
        ([(1, 1), (2, 2), (3, 5)], (3, 2, 3, 3, 3, 1, 2, 3)),
        ([(1, 5), (2, 1), (3, 1)], (1, 1, 1, 2, 1, 1, 3)),
    ],
)
def test_cycles(members: list[tuple[int, int]], cycle: tuple[int, ...]) -> None:
    assert build_cycle(members) == cycle


def test_turns_of_members_whose_port_is_down_are_those_of_the_others() -> None:
    members = watching(1, 0, 0)
    whole, living = living_cycle(members, ()), living_cycle(members, {1})
    assert Counter(whole) == {10: 1, 11: 2, 12: 3}
    assert len(living) == len(whole)
    assert all(before in (10, after) for before, after in zip(whole, living, strict=True))
    assert set(living) == {11, 12}
    assert living_cycle(watching(1, 2), {1, 2}) == ()


def test_the_cycle_is_behind_the_ring_where_there_are_turns() -> None:
    members = watching(0, 0)
    slots = living_slots(members, (), in_turn=True)
    assert (slots.ring, slots.cycle) == (living_ring(members, ()), living_cycle(members, ()))
    without = living_slots(members, (), in_turn=False)
    assert (without.ring, without.cycle, without.members) == (slots.ring, (), slots.ring)
    assert (slots_of_one(4, in_turn=True).cycle, slots_of_one(4, in_turn=False).members) == ((4,), (4,))


selection = partial(selection_of, SELECTOR)


def picked(made: Selection, reference: GroupRef | MemberRef, cell: int) -> int | None:
    member = made.pick_in_turn(reference, cell)
    return None if member is None else member.id


def test_each_cell_has_its_own_number_which_outlives_a_change_of_the_group() -> None:
    made, group = selection(1, 1, 1), GroupRef(group_id=1)
    assert [picked(made, group, 5) for _ in range(4)] == [1, 2, 3, 1]
    assert [picked(made, group, 6) for _ in range(2)] == [1, 2]
    two = tuple(WeightedMember(member_id=at, weight=1) for at in (1, 3))
    made.modify_group(Group(selector="picks", id=1, members=two))
    assert [picked(made, group, 5) for _ in range(3)] == [1, 3, 1]


def test_a_packet_that_gets_nobody_takes_no_turn() -> None:
    made = selection(1, 1)
    assert [picked(made, GroupRef(group_id=2), 5), picked(made, GroupRef(group_id=1), 5)] == [None, 1]
    assert [picked(made, MemberRef(member_id=2), 5), picked(made, GroupRef(group_id=1), 5)] == [2, 1]


def test_behind_the_last_number_the_cycle_begins_anew() -> None:
    made, group = selection(1, 1, 1), GroupRef(group_id=1)
    made.set_turn(5, NUMBER_MASK)
    assert [picked(made, group, 5) for _ in range(2)] == [NUMBER_MASK % 3 + 1, 1]


@pytest.mark.parametrize("profile", ["v1model", "PNA"])
def test_p4_has_no_words_for_turns(profile: str) -> None:
    with pytest.raises(UnprintableError, match=f"{profile} cannot say it: members of selector picks that get turns$"):
        refuse_turns(profile, SELECTOR)
    refuse_turns(profile, replace(SELECTOR, turns=None))
