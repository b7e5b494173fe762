"""Entries with priorities in the kernel: the places of each in a hash map, under the masks that packets go through.

A place holds the entry of the largest rank that lies there; the others wait here. Places and the list of masks lie on
two sides (`sides`), so a packet sees the list that belongs to the entries.
"""

from __future__ import annotations

import struct
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from compiler.ir.entries import ActionCall, Exact, MatchValue
from compiler.ir.ranks import rank
from compiler.printers.layout import GroupSlice, MapLayout, TableLayout
from compiler.printers.layout_ternary import MaskLayout, Numbers
from compiler.printers.layout_values import RANK
from compiler.span import InternalError
from runtime.bpf.maps import Map
from runtime.device.kernel.countermaps import DirectCounters, direct_counters
from runtime.device.kernel.indexpins import IndexPins
from runtime.device.kernel.maskslots import MaskSlots
from runtime.device.kernel.sides import Sides
from runtime.device.records import ZERO, Tally
from runtime.device.undo import UndoLog

Matches = tuple[MatchValue, ...]
Located = tuple[Numbers, bytes]
"""A place: the mask, and its key in the map as it is under the mask id 0."""
_ID = struct.Struct("<I")


def with_priority(matches: Matches, priority: int) -> Matches:
    """What names an entry here: its matches, and its priority as one more."""
    return (*matches, Exact(value=priority))


@dataclass(slots=True, eq=False)
class _Held:
    """An entry. Of several at one place the first has the largest rank."""

    rank: int
    priority: int
    counter: int
    value: bytes = b""
    places: list[Located] = field(default_factory=list[Located])

    def __lt__(self, other: _Held) -> bool:
        return self.rank > other.rank

    @property
    def masks(self) -> list[Numbers]:
        return [mask for mask, _ in self.places]


class TernaryMap:
    """As `TableMap`, for a table with masks; entries are named by `with_priority`."""

    def __init__(
        self,
        table: TableLayout,
        masks: MaskLayout,
        entries: Map,
        mask_list: Map,
        counters: Map | None,
        sides: Sides,
        undo: UndoLog,
        kept: Map | None = None,
    ) -> None:
        """`kept`: where the indices of entries are for who comes after this process (`indexpins`)."""
        self._layout = table
        self._masks = masks
        self._sides = sides
        self._map = sides.add(f"table {table.table}", table.map, entries)
        self._undo = undo
        self._slots = MaskSlots(
            masks, sides, sides.add(f"table {table.table}, its masks", _mask_map(table), mask_list), undo
        )
        self._counters = direct_counters(table, counters, undo)
        if self._counters is not None:
            sides.add_resting(self._counters)
        self._pins = IndexPins(kept, undo)
        self._entries: dict[Matches, _Held] = {}
        self._at: dict[Located, list[_Held]] = {}

    @property
    def counters(self) -> DirectCounters | None:
        """Keys are ranks as bytes: no two entries have the same, but by a chance of one in 2^33."""
        return self._counters

    def expect_masks(self, raw: bytes) -> None:
        """The list of masks that packets read in this map; see `MaskSlots.expect`."""
        self._slots.expect(raw)

    def stop_expecting(self) -> None:
        self._slots.stop_expecting()
        if self._counters is not None:
            self._counters.stop_expecting()

    def insert(self, named: Matches, value: ActionCall | GroupSlice) -> None:
        """Raises `RefusedError`: RESOURCE_EXHAUSTED (no direct counter is left)."""
        matches, priority = _split(named)
        own = rank(matches, priority)
        counter = self._counters.take(RANK.pack(own)) if self._counters is not None else 0
        self._pins.note(RANK.pack(own), counter)
        held = _Held(own, priority, counter)
        held.value = self._encode(value, held)
        held.places += ((place.mask, self._layout.encode_place(place, 0)) for place in self._masks.places(matches))
        self._slots.use(held.masks, priority)
        for place in held.places:
            self._put(place, held)
            self._undo.note(partial(self._take, place, held))
        self._undo.put(self._entries, named, held)

    def modify(self, named: Matches, value: ActionCall | GroupSlice) -> None:
        """The counter goes on."""
        held = self._entries[named]
        self._undo.note(partial(self._show, held, held.value))
        self._show(held, self._encode(value, held))

    def delete(self, named: Matches) -> None:
        held = self._undo.pop(self._entries, named)
        for place in held.places:
            self._take(place, held)
            self._undo.note(partial(self._put, place, held))
        self._slots.leave(held.masks, held.priority)
        if self._counters is not None:
            self._counters.give_back(held.counter)
        self._pins.forget(RANK.pack(held.rank), held.counter)

    def index_of(self, named: Matches) -> int:
        """Of an entry that is there: where what lies beside it is."""
        return self._entries[named].counter

    def tallies(self, keys: Sequence[Matches]) -> list[Tally]:
        if self._counters is None:
            return [ZERO] * len(keys)
        return self._counters.read_many([self._entries[named].counter for named in keys])

    def set_tally(self, named: Matches, tally: Tally) -> None:
        if self._counters is not None:
            self._counters.set(self._entries[named].counter, tally)

    def _encode(self, value: ActionCall | GroupSlice, held: _Held) -> bytes:
        if isinstance(value, ActionCall):
            return self._layout.encode_value(value, held.counter, held.rank)
        group = replace(value, counter=held.counter, rank=held.rank)
        return self._layout.encode_group(group)

    def _put(self, place: Located, held: _Held) -> None:
        there = self._at.get(place, [])
        if not there or held < there[0]:
            self._write(place, held.value)
        insort(there, held)
        self._at[place] = there

    def _take(self, place: Located, held: _Held) -> None:
        there = self._at[place]
        if there[0] is held:
            self._write(place, there[1].value if len(there) > 1 else None)
        there.remove(held)
        if not there:
            del self._at[place]

    def _show(self, held: _Held, value: bytes) -> None:
        """Give an entry a value, and write it wherever it is the first."""
        held.value = value
        for place in held.places:
            if self._at[place][0] is held:
                self._write(place, value)

    def _write(self, place: Located, value: bytes | None) -> None:
        mask, key = place
        key = _ID.pack(self._slots.id_of(mask)) + key[_ID.size :]
        self._sides.write(self._map, key, value)


def _mask_map(table: TableLayout) -> MapLayout:
    if table.mask_map is None:
        raise InternalError(f"table {table.table} has no list of masks")
    return table.mask_map


def _split(named: Matches) -> tuple[Matches, int]:
    *matches, priority = named
    return tuple(matches), priority.value if isinstance(priority, Exact) else 0
