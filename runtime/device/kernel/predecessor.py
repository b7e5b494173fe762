"""What a new program of a pipeline takes over from the maps of the one that packets still pass.

Stores of learned entries and counters are the same maps for both. What controllers wrote is filled into new maps, which
packets meet whole, in one step, with the new program: so a batch that a killed device had half written is never
finished before their eyes, and nothing has to be mended in place. An entry keeps the index of its direct counter.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from compiler.ir.nodes import Pipeline
from compiler.printers.layout import MapLayout, TableLayout
from compiler.printers.layout_values import RANK, VALUE_HEAD
from runtime.bpf.maps import Map
from runtime.device.kernel.bringing import maps_before
from runtime.device.kernel.sharing import shared_maps
from runtime.device.kernel.sides import SIDE_MAP
from runtime.device.kernel.translation import Changed, changed_stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """The maps of a pipeline, by their names. They are closed after they were taken over."""

    pipeline: Pipeline
    maps: Mapping[str, Map]

    def shared_with(self, new: Pipeline) -> dict[str, Map]:
        """Maps that a program of another pipeline goes on with."""
        return {name: self.maps[name] for name in shared_maps(self.pipeline, new) if name in self.maps}

    def changed(self, new: Pipeline) -> Changed:
        """Stores that a program of another pipeline cannot go on with as they are, of those that are here."""
        found = changed_stores(self.pipeline, new)
        here = (one.without_ended(self.side) for one in found.translations if one.store in self.maps)
        return replace(found, translations=tuple(here))

    def before(self, changed: Changed) -> dict[str, Map]:
        """Maps that the other program looks into, by their names there."""
        return {name: self.maps[store] for store, name in maps_before(changed.translations).items()}

    def entries(self, table: TableLayout) -> dict[bytes, bytes]:
        """Keys and values as packets read them, in a table with masks those of places; none where maps differ."""
        found: dict[bytes, bytes] = {}
        for held in (table.map, table.direct):
            if held is not None:
                found |= {_whole_key(table, held, key): value for key, value in self._read(held)}
        return {key: value for key, value in found.items() if _is_entry(table, value)}

    def _read(self, held: MapLayout) -> Iterator[tuple[bytes, bytes]]:
        """What the side that packets read holds; keys are those of side 0."""
        if held.name not in self.maps or not _has_same_shape(held, self.maps[held.name]):
            return
        read, step = self.side, self.maps[held.name].details.buffer_size
        keys, values = self.maps[held.name].lookup_batch()
        for at in range(len(keys) // held.key_size):
            key, side = held.off_side(keys[at * held.key_size : (at + 1) * held.key_size])
            if side == read:
                yield key, values[at * step : at * step + held.value_size]

    @property
    def side(self) -> int:
        """Of the tables: the one that packets read."""
        word = self.maps[SIDE_MAP].lookup(bytes(4)) if SIDE_MAP in self.maps else None
        return int.from_bytes(word or b"", sys.byteorder)


def _has_same_shape(wanted: MapLayout, held: Map) -> bool:
    details = held.details
    return (details.key_size, details.value_size) == (wanted.key_size, wanted.value_size)


def indices_of(table: TableLayout, entries: Mapping[bytes, bytes]) -> dict[bytes, int]:
    """The index of each entry: of its counter, its meter, its last hit. By its key, in a table with masks its rank.

    An entry that others hide wherever it is has no place in the maps, and is not here.
    """
    if table.masks is None:
        return {key: _counter_of(table, value) for key, value in entries.items()}
    return {_rank_of(table, value): _counter_of(table, value) for value in entries.values()}


def _is_entry(table: TableLayout, value: bytes) -> bool:
    """Not the empty slot of an array."""
    return bool(VALUE_HEAD.unpack_from(value)[0]) if table.selector is None else table.decode_group(value).size > 0


def _counter_of(table: TableLayout, value: bytes) -> int:
    return VALUE_HEAD.unpack_from(value)[1] if table.selector is None else table.decode_group(value).counter


def _rank_of(table: TableLayout, value: bytes) -> bytes:
    """As the keys of `TernaryMap.counters`."""
    if table.selector is None:
        return value[VALUE_HEAD.size : VALUE_HEAD.size + RANK.size]
    return RANK.pack(table.decode_group(value).rank)


def _whole_key(table: TableLayout, held: MapLayout, key: bytes) -> bytes:
    """The key as the table encodes it; the opposite of `TableLayout.place`."""
    return key if held is table.map else key[: table.key.members[0].size].ljust(table.key.size, b"\0")
