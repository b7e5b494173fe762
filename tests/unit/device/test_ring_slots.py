"""Slots written as memory are what a look-up finds, in every window and across two."""

from __future__ import annotations

import struct
from collections.abc import Generator

import pytest

from runtime.bpf.constants import MapFlag, MapType
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.maps import Map, MapShape
from runtime.device.kernel.ringslots import STRIDE, WINDOW, RingSlots, strided

IN_A_WINDOW = WINDOW // STRIDE
SLOTS = 3 * IN_A_WINDOW + 100

pytestmark = pytest.mark.root


def ring(flags: MapFlag) -> Map:
    shape = MapShape(name="ring", type=MapType.ARRAY, key_size=4, value_size=4, max_entries=SLOTS, flags=flags)
    return Map.create(shape)


@pytest.fixture(params=[MapFlag.MMAPABLE, MapFlag.NONE], ids=["shared", "not shared"])
def held(request: pytest.FixtureRequest) -> Generator[Map]:
    with ring(request.param) as made:
        yield made


def found(held: Map, first: int, count: int) -> list[int]:
    return list(struct.unpack(f"={count}I", held.lookup_slots(first, count)))


@pytest.mark.parametrize("first", [0, 7, IN_A_WINDOW - 3, 2 * IN_A_WINDOW, SLOTS - 6])
def test_what_is_written_is_found_and_nothing_beside_it(held: Map, first: int) -> None:
    slots, values = RingSlots(held), [5, 0xFFFFFFFF, 0, 1, 2, 3]
    slots.fill(first, strided(values))
    slots.close()
    before = [0] if first else []
    behind = [0] if first + len(values) < SLOTS else []
    assert found(held, first - len(before), len([*before, *values, *behind])) == [*before, *values, *behind]


def test_slots_of_several_windows_and_back_again(held: Map) -> None:
    slots = RingSlots(held)
    values = [at % 251 for at in range(2 * IN_A_WINDOW)]
    slots.fill(IN_A_WINDOW - 5, strided(values))
    slots.fill(1, strided([9]))
    slots.overwrite(2, strided([8, 7]))
    slots.close()
    assert found(held, IN_A_WINDOW - 5, len(values)) == values
    assert found(held, 0, 5) == [0, 9, 8, 7, 0]


def test_a_window_that_the_kernel_refuses() -> None:
    with ring(MapFlag.MMAPABLE) as held:
        slots = RingSlots(held)
        held.freeze()
        with pytest.raises(KernelRefusal, match="share memory of map ring"):
            slots.fill(0, strided([1]))
