"""The program that fills rings makes those of `compiler.ir.maglev`, which the interpreter looks at."""

from __future__ import annotations

from array import array
from collections.abc import Generator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compiler.ir.entries import WeightedMember
from compiler.ir.maglev import build_ring
from compiler.printers.ebpf.printing import INCLUDE
from compiler.printers.ring_program import MAX_SEATS
from runtime.bpf.object import LoadSettings, load
from runtime.bpf.toolchain import compile_c
from runtime.device.kernel.ringfiller import RingFiller, ring_filler
from runtime.device.kernel.ringslots import strided

pytestmark = pytest.mark.root
MEMBERS = st.dictionaries(st.integers(0, (1 << 32) - 1), st.integers(1, 400), min_size=1, max_size=12)
SOURCE = '#include "turnout/rings.h"\nchar LICENSE[] SEC("license") = "GPL";\n'
MANY = {7 * number: 1 for number in range(1_000)}


@pytest.fixture(scope="module")
def filler() -> Generator[RingFiller]:
    elf = compile_c(SOURCE, name="rings.bpf.c", include_dirs=[INCLUDE])
    with load(elf, LoadSettings(name="ring_filler")) as loaded:
        made = ring_filler(loaded)
        assert made is not None
        yield made
        made.close()


@given(weights=MEMBERS, first_place=st.integers(0, 1 << 16))
@example(weights={5: 1}, first_place=0)
@example(weights={5: 1, 6: 3}, first_place=9)
@example(weights={1: 131_072, 2: 1}, first_place=0)
@example(weights=MANY, first_place=1)
@example(weights=dict.fromkeys(range(MAX_SEATS), 1), first_place=0)
@settings(max_examples=60, deadline=None)
def test_slot_by_slot(filler: RingFiller, weights: dict[int, int], first_place: int) -> None:
    places = {member: first_place + number for number, member in enumerate(weights)}
    members = [WeightedMember(member_id=member, weight=weight) for member, weight in weights.items()]
    wanted = [places[member] for member in build_ring([*weights.items()])]
    assert filler.fill(members, places) == strided(wanted)


def test_more_members_than_it_has_seats_for(filler: RingFiller) -> None:
    members = [WeightedMember(member_id=number) for number in range(MAX_SEATS + 1)]
    assert filler.fill(members, {number: number for number in range(MAX_SEATS + 1)}) is None
    assert filler.fill([], {}) is None


def test_an_array_of_places_is_what_the_map_holds() -> None:
    assert array("I", strided([3, 4])).tolist() == [3, 0, 4, 0]
