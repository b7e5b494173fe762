"""The cycle in which the members of a group get their turns, each as often as its weight.

It is the schedule of periodic jobs by their deadlines (Liu and Layland, 1973): the turn number j of a member whose
share is w of W must be one of the slots j*W/w to (j + 1)*W/w, and of those that may come now the one with the earliest
deadline does. Shares add up to one, so no deadline is ever missed: after any number of turns a member has had less than
one more, or less, than its share of them.

The interpreter and the eBPF target walk the same cycle, by the number of the turn modulo its length.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import cycle as endless
from math import gcd

from compiler.ir.entries import WeightedMember
from compiler.ir.maglev import living_ring

NUMBER_MASK = (1 << 32) - 1
"""Turns are counted in 32 bits. Behind the last number the cycle begins anew, wherever it was."""
MAX_CELL_BITS = 16
"""Of the index of a number."""
MAX_COUNTED = (1 << 16) - 1
"""Members for which entries of a store can count, since an entry says by 16 bits for which; 0 says for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Where members of a group stand: a ring that hashes pick from, and the cycle of their turns behind it."""

    members: tuple[int, ...]
    cycle_size: int = 0

    @property
    def ring(self) -> tuple[int, ...]:
        return self.members[: len(self.members) - self.cycle_size]

    @property
    def cycle(self) -> tuple[int, ...]:
        return self.members[len(self.members) - self.cycle_size :]


def living_slots(members: Sequence[WeightedMember], down_ports: Container[int], *, in_turn: bool) -> Slots:
    """Those of a group without the members whose watched port is down; none when none is left."""
    ring = living_ring(members, down_ports)
    cycle = living_cycle(members, down_ports) if in_turn else ()
    return Slots(members=(*ring, *cycle), cycle_size=len(cycle))


def slots_of_one(member_id: int, *, in_turn: bool) -> Slots:
    """Those of an entry that names a member itself, or of what stands for it."""
    return Slots(members=(member_id, member_id), cycle_size=1) if in_turn else Slots(members=(member_id,))


def living_cycle(members: Sequence[WeightedMember], down_ports: Container[int]) -> tuple[int, ...]:
    """The turns of a member whose watched port is down are the others', by their weights; it keeps its length."""
    whole = build_cycle([(member.member_id, member.weight) for member in members])
    dead = {member.member_id for member in members if member.watched_port and member.watched_port in down_ports}
    if not dead:
        return whole
    living = build_cycle([(m.member_id, m.weight) for m in members if m.member_id not in dead])
    if not living:
        return living
    others = endless(living)
    return tuple(next(others) if member in dead else member for member in whole)


def build_cycle(members: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """A member id a turn, from (member id, weight >= 1) pairs in any order; empty without members."""
    ordered = sorted(members)
    common = gcd(*(weight for _, weight in ordered))
    weights = [weight // common for _, weight in ordered]
    total = sum(weights)
    if total == len(ordered):  # of equals each has one turn, and all deadlines are the same
        return tuple(member for member, _ in ordered)
    waiting = [(0, index, 0) for index in range(len(ordered))]
    ready: list[tuple[int, int, int]] = []
    found: list[int] = []
    for slot in range(total):
        while waiting and waiting[0][0] <= slot:
            _, index, turn = heappop(waiting)
            heappush(ready, (-(-(turn + 1) * total // weights[index]), index, turn))
        _, index, turn = heappop(ready)
        found.append(ordered[index][0])
        if turn + 1 < weights[index]:
            heappush(waiting, ((turn + 1) * total // weights[index], index, turn + 1))
    return tuple(found)
