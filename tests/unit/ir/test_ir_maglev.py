"""The ring against the paper's own words (Eisenbud et al., NSDI 2016, section 3.4), and what it is taken for."""

from __future__ import annotations

from collections import Counter

import pytest

from compiler.ir.entries import Watch, WeightedMember
from compiler.ir.hashing import mix64
from compiler.ir.maglev import RING_SIZES, build_ring, living_ring, ring_size


def paper_ring(members: dict[int, int], size: int) -> list[int | None]:
    """Pseudocode 1, with whole preference lists; a member of weight n takes n turns in a row."""
    preferences = {member: preference_list(member, size) for member in sorted(members)}
    following = dict.fromkeys(preferences, 0)
    entry: list[int | None] = [None] * size
    filled = 0
    while filled < size:
        for member, preference in preferences.items():
            for _ in range(members[member]):
                if filled == size:
                    return entry
                while entry[preference[following[member]]] is not None:
                    following[member] += 1
                entry[preference[following[member]]] = member
                following[member] += 1
                filled += 1
    return entry


def preference_list(member: int, size: int) -> list[int]:
    offset = mix64(int.from_bytes(b"offset\0\0", "big"), [(member, 32)]) % size
    skip = mix64(int.from_bytes(b"skip\0\0\0\0", "big"), [(member, 32)]) % (size - 1) + 1
    return [(offset + turn * skip) % size for turn in range(size)]


@pytest.mark.parametrize(
    "members",
    [
        {7: 1},
        {1: 1, 2: 1},
        {1: 1, 2: 3, 9: 2},
        {5: 4, 4: 1, 3: 1, 2: 1, 1: 1},
        {2**32 - 1: 1, 1: 7},
        {1: 1, 2: 200_000},
    ],
)
def test_the_ring_is_that_of_the_paper(members: dict[int, int]) -> None:
    size = ring_size(sum(members.values()))
    assert list(build_ring(list(members.items()))) == paper_ring(members, size)


@pytest.mark.parametrize(
    ("weight", "size"),
    [
        *((1, 251), (2, 251), (3, 1021), (10, 1021), (11, 4093), (40, 4093), (49, 16381), (50, 16381), (54, 16381)),
        *((55, 32749), (109, 32749), (110, 65521), (218, 65521), (219, 131071), (1310, 131071), (9999, 131071)),
    ],
)
def test_at_least_a_hundred_slots_a_unit_of_weight_until_the_largest(weight: int, size: int) -> None:
    assert ring_size(weight) == size
    assert size >= 100 * weight or size == RING_SIZES[-1]


def test_slots_are_shared_by_weight() -> None:
    slots = Counter(build_ring([(member, member % 3 + 1) for member in range(1, 9)]))
    unit = sum(slots.values()) / sum(member % 3 + 1 for member in range(1, 9))
    for member, count in slots.items():
        assert abs(count - unit * (member % 3 + 1)) <= member % 3 + 1


def test_the_order_of_members_does_not_matter_and_nobody_has_no_ring() -> None:
    members = [(3, 1), (1, 2), (2, 1)]
    assert build_ring(members) == build_ring(members[::-1])
    assert build_ring([]) == ()


def test_most_slots_stay_when_a_member_leaves() -> None:
    before = build_ring([(member, 1) for member in range(1, 11)])
    after = build_ring([(member, 1) for member in range(1, 10)])
    assert len(before) == len(after)
    moved = sum(1 for old, new in zip(before, after, strict=True) if old not in (10, new))
    assert moved < len(before) / 20


@pytest.mark.parametrize("count", [100, 218, 1000])
def test_one_of_a_hundred_or_more_that_goes_disturbs_less_than_one_in_a_hundred(count: int) -> None:
    """And as many when it comes back, since the ring follows from its members alone."""
    members = [(member, 1) for member in range(1, count + 1)]
    before = build_ring(members)
    for gone in (1, count // 2, count):
        after = build_ring([each for each in members if each[0] != gone])
        assert len(before) == len(after)
        assert sum(old not in (gone, new) for old, new in zip(before, after, strict=True)) < len(before) / 100


def watching(*ports: int) -> list[WeightedMember]:
    """Members 1, 2, ... of weights 1, 2, 3, 1, ...; port 0 is none."""
    watches = [Watch(port=port) if port else None for port in ports]
    return [WeightedMember(member_id=n, weight=1 + (n - 1) % 3, watch=watch) for n, watch in enumerate(watches, 1)]


def test_only_slots_of_members_whose_port_is_down_change_hands() -> None:
    members = watching(11, 12, 0, 12, 14)
    whole = living_ring(members, ())
    assert whole == build_ring([(member.member_id, member.weight) for member in members])
    ring = living_ring(members, {12, 99})
    moved = [(old, new) for old, new in zip(whole, ring, strict=True) if old != new]
    assert {old for old, _ in moved} == {2, 4}
    assert set(ring) == {1, 3, 5}
    units = {1: 1, 3: 3, 5: 2}  # what they take over is shared by weight, about
    taken = Counter(new for _, new in moved)
    assert all(abs(taken[member] / len(moved) - weight / 6) < 0.1 for member, weight in units.items())


def test_nobody_is_left() -> None:
    assert living_ring(watching(1, 2), {1, 2}) == ()
    assert set(living_ring(watching(1, 0), {1})) == {2}
    assert set(living_ring(watching(0, 0), {0})) == {1, 2}
