"""What the kernel target writes for entries with priorities: places, masks, and back when the kernel refuses."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile

import pytest

from compiler.ir.entries import ActionCall, MatchValue, Optional, Range, Ternary
from compiler.ir.nodes import Pipeline
from compiler.ir.ranks import highest_rank, rank
from compiler.printers.layout import MapLayout, TableLayout
from compiler.printers.layout_maps import SIDE
from compiler.printers.layout_tables import table_layout
from compiler.printers.layout_ternary import MASK_ID, MAX_MASKS, Place
from compiler.printers.layout_values import action_layout
from runtime.bpf.constants import MapFlag, MapType
from runtime.bpf.maps import Map, MapShape
from runtime.device.kernel.sides import Sides
from runtime.device.kernel.ternarymaps import TernaryMap, with_priority
from runtime.device.refusals import Code, RefusedError
from runtime.device.undo import UndoLog

pytestmark = pytest.mark.root
NOTHING = ActionCall(action="nothing")
SEND = ActionCall(action="send", arguments=(3, 0x020000000001))
ANY = (Ternary(value=0, mask=0), Range(low=0, high=4095), Optional(value=None))
Slots = dict[tuple[int, ...], tuple[int, int]]


class Held:
    """A table `mixed` of its own, and what is in its maps."""

    def __init__(self, pipeline: Pipeline, room: int = 64) -> None:
        actions = {action.name: action_layout(action) for action in pipeline.actions}
        made = table_layout(next(t for t in pipeline.tables if t.name == "mixed"), actions)
        self.layout: TableLayout = replace(made, map=replace(made.map, max_entries=room))
        assert self.layout.masks is not None
        assert self.layout.mask_map is not None
        self.masks = self.layout.masks
        self.map, self.list = create(self.layout.map), create(self.layout.mask_map)
        self.undo = UndoLog()
        self.word = Map.create(MapShape(name="word", type=MapType.ARRAY, key_size=4, value_size=4, max_entries=1))
        self.sides = Sides(self.word, self.undo, lambda: None)
        self.table = TernaryMap(self.layout, self.masks, self.map, self.list, None, self.sides, self.undo)

    def commit(self) -> None:
        """Both sides are alike afterwards."""
        self.sides.commit()
        self.sides.settle()

    def close(self) -> None:
        self.sides.close()
        self.word.close()
        self.map.close()
        self.list.close()

    def slots(self) -> list[tuple[int, ...]]:
        """In the order of packets, and as far as they look: (highest, id, mask...). The batch ends here."""
        self.commit()
        raw, step = self.list.lookup(bytes(4)) or b"", self.masks.slot.size
        decoded = [self.masks.slot.decode(raw[at * step : (at + 1) * step]) for at in range(MAX_MASKS)]
        return list(takewhile(lambda slot: slot[0], decoded))

    def content(self) -> dict[Place, tuple[ActionCall, int]]:
        """Action and rank at each place of side 0, whose mask is told by its id."""
        self.commit()
        mask_of = {slot[1]: slot[2:] for slot in self.slots()}
        found: dict[Place, tuple[ActionCall, int]] = {}
        names = [member.name for member in self.layout.key.members]
        for key, value in self.map.items():
            parts = dict(zip(names, self.layout.key.decode(key), strict=True))
            if parts.pop(SIDE):
                continue
            mask_id, values = parts.pop(MASK_ID), parts.values()
            decoded = self.layout.decode_value(value)
            assert decoded is not None
            found[Place(mask_of[mask_id], tuple(values))] = decoded[0], struct.unpack_from("<Q", value, 8)[0]
        return found


def create(layout: MapLayout) -> Map:
    flags = MapFlag.NO_PREALLOC if layout.no_prealloc else MapFlag.NONE
    kind = MapType[layout.kind.name]
    return Map.create(
        MapShape(
            name=layout.name[:15],
            type=kind,
            key_size=layout.key_size,
            value_size=layout.value_size,
            max_entries=layout.max_entries,
            flags=flags,
        )
    )


@pytest.fixture
def held(pipeline: Pipeline) -> Iterator[Held]:
    made = Held(pipeline)
    yield made
    made.close()


def ports(low: int, high: int) -> tuple[MatchValue, ...]:
    return (ANY[0], Range(low=low, high=high), ANY[2])


def test_of_several_entries_at_a_place_the_largest_rank_is_there(held: Held) -> None:
    one, wider = ports(16, 31), ports(16, 47)
    shared, other = Place((0, 0xFF0, 0), (0, 16, 0)), Place((0, 0xFF0, 0), (0, 32, 0))
    held.table.insert(with_priority(one, 2), SEND)
    held.table.insert(with_priority(wider, 1), NOTHING)
    assert held.content() == {shared: (SEND, rank(one, 2)), other: (NOTHING, rank(wider, 1))}
    held.table.insert(with_priority(wider, 9), SEND)
    assert held.content() == {shared: (SEND, rank(wider, 9)), other: (SEND, rank(wider, 9))}
    held.table.modify(with_priority(one, 2), NOTHING)
    held.table.delete(with_priority(wider, 9))
    assert held.content() == {shared: (NOTHING, rank(one, 2)), other: (NOTHING, rank(wider, 1))}
    held.table.delete(with_priority(one, 2))
    held.table.delete(with_priority(wider, 1))
    assert held.content() == {}
    assert held.slots() == []


def test_masks_are_in_the_order_of_their_highest_priority_and_ids_are_given_again(held: Held) -> None:
    for number, mask in ((1, 0xF), (3, 0xFF), (2, 0xFFF)):
        held.table.insert(with_priority((Ternary(value=0, mask=mask), *ANY[1:]), number), NOTHING)
    assert held.slots() == [
        (highest_rank(3), 2, 0xFF, 0, 0),
        (highest_rank(2), 3, 0xFFF, 0, 0),
        (highest_rank(1), 1, 0xF, 0, 0),
    ]
    held.table.insert(with_priority((Ternary(value=1, mask=0xF), *ANY[1:]), 7), NOTHING)
    held.table.delete(with_priority((Ternary(value=0, mask=0xFF), *ANY[1:]), 3))
    held.table.insert(with_priority((Ternary(value=0, mask=0xFF0), *ANY[1:]), 4), NOTHING)
    assert [slot[:3] for slot in held.slots()] == [
        (highest_rank(7), 1, 0xF),
        (highest_rank(4), 2, 0xFF0),
        (highest_rank(2), 3, 0xFFF),
    ]
    held.table.delete(with_priority((Ternary(value=1, mask=0xF), *ANY[1:]), 7))
    assert [slot[:2] for slot in held.slots()] == [(highest_rank(4), 2), (highest_rank(2), 3), (highest_rank(1), 1)]


def test_an_entry_that_the_kernel_has_no_room_for_leaves_nothing_behind(pipeline: Pipeline) -> None:
    held = Held(pipeline, room=8)
    held.table.insert(with_priority(ports(0, 1), 1), NOTHING)
    before = held.content(), held.slots()
    held.table.insert(with_priority(ports(1, 17), 5), SEND)
    with pytest.raises(RefusedError) as refused:
        held.commit()
    held.undo.back_to(0)
    assert (refused.value.code, refused.value.text) == (
        Code.RESOURCE_EXHAUSTED,
        "table mixed: the kernel's map is full",
    )
    assert held.content() == before[0]
    assert held.slots() == before[1]
    held.table.insert(with_priority(ports(16, 17), 5), SEND)
    assert len(held.content()) == 4
    held.close()


def test_changes_are_taken_back(held: Held) -> None:
    one, other = with_priority(ports(16, 31), 2), with_priority(ports(16, 47), 9)
    held.table.insert(one, SEND)
    held.table.insert(other, NOTHING)
    before, slots = held.content(), held.slots()
    held.table.modify(other, SEND)
    held.table.delete(other)
    held.table.delete(one)
    held.table.insert(with_priority((Ternary(value=0, mask=1), *ANY[1:]), 1), SEND)
    held.table.insert(other, SEND)
    held.undo.back_to(0)
    assert held.content() == before
    assert held.slots() == slots
