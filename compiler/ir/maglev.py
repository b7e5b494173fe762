"""The Maglev ring (Eisenbud et al., NSDI 2016, section 3.4) of weighted members.

The interpreter and the eBPF target build the same ring from the same members, so both pick the same member for a hash.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from functools import lru_cache
from itertools import cycle, islice

from compiler.ir.entries import WeightedMember
from compiler.ir.hashing import mix64_words

RING_SIZES = (251, 1021, 4093, 16381, 32749, 65521, 131071)
"""Primes; the smallest one that holds enough slots a unit of weight is taken."""
SLOTS_PER_MEMBER = 100
"""As the paper advises. One of ten members that goes takes 3 % of the others' slots with it then."""
LARGE_WEIGHT, SLOTS_PER_MEMBER_OF_LARGE = 50, 300
"""With 100 a unit, one of a hundred that goes would take 1.4 % of the others' slots with it; so it is 0.9 %."""
_OFFSET_SEED = 0x6F66667365740000
_SKIP_SEED = 0x736B697000000000
_BYTE = 255
"""The largest slot that fits one."""
_FREE = -1
"""No member's id."""


def ring_size(total_weight: int) -> int:
    """How many slots the ring of members with this sum of weights has."""
    wanted = total_weight * (SLOTS_PER_MEMBER if total_weight < LARGE_WEIGHT else SLOTS_PER_MEMBER_OF_LARGE)
    return next((size for size in RING_SIZES if size >= wanted), RING_SIZES[-1])


def living_ring(members: Sequence[WeightedMember], down_ports: Container[int]) -> tuple[int, ...]:
    """The ring of a group's members, without those whose watched port is down; empty when none is left.

    The slots of those, and no others, go to the living ones, as a ring of the living ones alone would give them away.
    So the packets of a member that lives stay with it, and when all ports are up the ring is the same again.
    """
    weighted = [(member.member_id, member.weight) for member in members]
    dead = {member.member_id for member in members if member.watched_port and member.watched_port in down_ports}
    whole = build_ring(weighted)
    if not dead:
        return whole
    living = build_ring([one for one in weighted if one[0] not in dead], size=len(whole))
    return (
        tuple(other if member in dead else member for member, other in zip(whole, living, strict=True))
        if living
        else ()
    )


def build_ring(members: Sequence[tuple[int, int]], size: int | None = None) -> tuple[int, ...]:
    """The ring: a member id a slot, from (member id, weight >= 1) pairs in any order; empty without members.

    In a turn, a member takes as many free slots of its permutation as its weight. `size` is `ring_size` of the weights
    unless given.
    """
    ordered = sorted(members)
    if not ordered:
        return ()
    size = ring_size(sum(weight for _, weight in ordered)) if size is None else size
    turns: list[tuple[int, Iterator[int]]] = []
    for member, weight in ordered:
        turns += [(member, _walk(member, size))] * min(weight, size)
    ring = [_FREE] * size
    # Devices have a program for this loop (ebpf/include/turnout/rings.h).
    for member, walk in islice(cycle(turns), size):
        for slot in walk:
            if ring[slot] == _FREE:
                ring[slot] = member
                break
    return tuple(ring)


@lru_cache(maxsize=4096)
def permutation(member: int, size: int) -> tuple[int, int]:
    """The first slot that a member takes when it is free, and how far it is, modulo `size`, to each next one."""
    words = (member << 32,)  # its 32 bits, as `mix64` lays them into a word
    return mix64_words(_OFFSET_SEED, words) % size, mix64_words(_SKIP_SEED, words) % (size - 1) + 1


def _walk(member: int, size: int) -> Iterator[int]:
    """A member's permutation of the slots."""
    offset, skip = permutation(member, size)
    if size > _BYTE:
        return map(size.__rmod__, range(offset, offset + skip * size, skip))
    multiples = _multiples(skip, size)
    at = multiples.index(offset)
    return iter(multiples[at:] + multiples[:at])


@lru_cache(maxsize=RING_SIZES[0])
def _multiples(skip: int, size: int) -> bytes:
    """Of `skip`, modulo a size that fits a byte: all permutations that skip so far are this one, begun elsewhere."""
    return bytes(map(size.__rmod__, range(0, skip * size, skip)))
