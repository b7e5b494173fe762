"""What a new program of a pipeline takes over from the maps of the one that packets still pass.

Of the same pipeline these are all maps that mean anything (`own`). Of another one stores of learned entries, counters
and the words of meters are the same maps for both where they mean the same, and what controllers wrote is filled into
new maps, which packets meet whole, in one step, with the new program. An entry keeps the index of what lies beside it.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from compiler.ir.metering import Buckets
from compiler.ir.nodes import Pipeline
from compiler.printers.layout import MapKind, MapLayout, MeterLayout, SelectorLayout, StoreLayout, TableLayout, layout
from compiler.printers.layout_meter import decode_buckets
from compiler.printers.layout_values import RANK, VALUE_HEAD
from compiler.printers.store_programs import maps_beside
from runtime.bpf.constants import MapFlag
from runtime.bpf.maps import Map
from runtime.device.kernel.bringing import maps_before
from runtime.device.kernel.comparing import entries_on
from runtime.device.kernel.selectorpins import Pinned
from runtime.device.kernel.sharing import shared_maps
from runtime.device.kernel.sides import SIDE_MAP
from runtime.device.kernel.translation import Changed, changed_stores

_INDEX = struct.Struct("=I")
SIDE_WORD = MapLayout(name=SIDE_MAP, kind=MapKind.ARRAY, key_size=4, value_size=4, max_entries=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """The maps of a pipeline, by their names. They are closed after they were taken over."""

    pipeline: Pipeline
    maps: Mapping[str, Map]

    def own(self) -> dict[str, Map] | None:
        """The maps with which a program of the same pipeline goes on; None where one is gone, or is of another shape.

        Rings of packets for controllers, which were for the earlier process, are not among them.
        """
        plan = layout(self.pipeline)
        wanted = {held.name: held for held in (*plan.maps, SIDE_WORD)}
        if any(name not in self.maps or not _is_one(held, self.maps[name]) for name, held in wanted.items()):
            return None
        if any(self._is_in_pieces(store) for store in plan.stores):
            return None
        names = {*wanted, *shared_maps(self.pipeline, self.pipeline)}
        return {name: self.maps[name] for name in names if name in self.maps}

    def shared_with(self, new: Pipeline) -> dict[str, Map]:
        """Maps that a program of another pipeline goes on with."""
        broken = {name for store in layout(self.pipeline).stores if self._is_in_pieces(store) for name in _parts(store)}
        return {name: self.maps[name] for name in shared_maps(self.pipeline, new) - broken if name in self.maps}

    def _is_in_pieces(self, store: StoreLayout) -> bool:
        """Whether something of it is gone: the slots by themselves are not told from those of another time."""
        return any(name not in self.maps for name in _parts(store))

    def changed(self, new: Pipeline) -> Changed:
        """Stores that a program of another pipeline cannot go on with as they are, of those that are here."""
        found = changed_stores(self.pipeline, new)
        here = (one.without_ended(self.side) for one in found.translations if one.store in self.maps)
        return replace(found, translations=tuple(here))

    def before(self, changed: Changed) -> dict[str, Map]:
        """Maps that the other program looks into, by their names there."""
        return {name: self.maps[store] for store, name in maps_before(changed.translations).items()}

    def entries(self, table: TableLayout) -> dict[bytes, bytes]:
        """Of a table of its own: keys and values as packets read them, in a table with masks those of places."""
        found: dict[bytes, bytes] = {}
        for held in (table.map, table.direct):
            if held is not None:
                found |= {_whole_key(table, held, key): value for key, value in self._read(held)}
        return {key: value for key, value in found.items() if _is_entry(table, value)}

    def _read(self, held: MapLayout) -> Iterator[tuple[bytes, bytes]]:
        """What the side that packets read holds; keys are those of side 0."""
        if held.name not in self.maps or not _has_same_shape(held, self.maps[held.name]):
            return
        yield from entries_on(held, self.maps[held.name].lookup_batch(), self.side)

    def value(self, held: MapLayout) -> bytes:
        """The one value of a map with one for each side: that which packets read. Zeros where there is none."""
        return dict(self._read(held)).get(bytes(4), bytes(held.value_size))

    def meter_cells(self, meter: MeterLayout) -> dict[int, Buckets]:
        """The cells of a meter that have a configuration."""
        found = ((_INDEX.unpack(key)[0], decode_buckets(value)) for key, value in self._read(meter.configs))
        return {index: buckets for index, buckets in found if buckets is not None}

    def has(self, *wanted: MapLayout) -> bool:
        """Whether these maps are there, and what they should be: another program may have taken their pins."""
        return all(held.name in self.maps and _is_one(held, self.maps[held.name]) for held in wanted)

    def pinned(self, table: TableLayout, selector: SelectorLayout) -> Pinned:
        """A selector's maps, and which slices the entries of its table have."""
        entries = self.entries(table)
        if not entries:
            return Pinned(selector, self.maps[selector.ring.name], b"", {})
        slices = {key: table.decode_group(value) for key, value in entries.items()}
        if table.masks is not None:
            slices = {RANK.pack(found.rank): found for found in slices.values()}
        _, members = self.maps[selector.members.name].lookup_batch()
        return Pinned(selector, self.maps[selector.ring.name], members, slices)

    @property
    def side(self) -> int:
        """Of the tables: the one that packets read."""
        word = self.maps[SIDE_MAP].lookup(bytes(4)) if SIDE_MAP in self.maps else None
        return int.from_bytes(word or b"", sys.byteorder)


def _parts(store: StoreLayout) -> tuple[str, ...]:
    """The names of maps that belong together."""
    return store.map.name, *(held.name for held in maps_beside(store))


def _has_same_shape(wanted: MapLayout, held: Map) -> bool:
    details = held.details
    shape = details.key_size, details.value_size, details.max_entries
    return shape == (wanted.key_size, wanted.value_size, wanted.max_entries)


def _is_one(wanted: MapLayout, held: Map) -> bool:
    """Also as one of an array of maps, which takes arrays that were made for that, and no others."""
    return _has_same_shape(wanted, held) and wanted.may_be_inner == bool(held.details.flags & MapFlag.INNER_MAP)


def indices_of(table: TableLayout, entries: Mapping[bytes, bytes]) -> dict[bytes, int]:
    """The index of each entry: of its counter, its meter, its last hit. By its key, in a table with masks its rank.

    An entry that others hide wherever it is has no place in the maps, and is not here (`indexpins` knows it).
    """
    if table.masks is None:
        return {key: _counter_of(table, value) for key, value in entries.items()}
    return {rank_of(table, value): _counter_of(table, value) for value in entries.values()}


def _is_entry(table: TableLayout, value: bytes) -> bool:
    """Not the empty slot of an array."""
    return bool(VALUE_HEAD.unpack_from(value)[0]) if table.selector is None else table.decode_group(value).size > 0


def _counter_of(table: TableLayout, value: bytes) -> int:
    return VALUE_HEAD.unpack_from(value)[1] if table.selector is None else table.decode_group(value).counter


def rank_of(table: TableLayout, value: bytes) -> bytes:
    """As the keys of `TernaryMap.counters`."""
    if table.selector is None:
        return value[VALUE_HEAD.size : VALUE_HEAD.size + RANK.size]
    return RANK.pack(table.decode_group(value).rank)


def _whole_key(table: TableLayout, held: MapLayout, key: bytes) -> bytes:
    """The key as the table encodes it; the opposite of `TableLayout.place`."""
    return key if held is table.map else key[: table.key.members[0].size].ljust(table.key.size, b"\0")
