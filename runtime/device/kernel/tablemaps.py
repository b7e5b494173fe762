"""Entries of a table in its BPF maps: keys and values by the layout, one direct counter for each entry."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

from compiler.ir.entries import ActionCall, MatchValue
from compiler.printers.layout import GroupSlice, TableLayout
from runtime.bpf.maps import Map
from runtime.device.kernel.comparing import Changes
from runtime.device.kernel.countermaps import DirectCounters, direct_counters
from runtime.device.kernel.packing import group_packer, key_packer, value_packer
from runtime.device.kernel.sides import Sides
from runtime.device.records import ZERO, Row, Tally
from runtime.device.undo import UndoLog

Matches = tuple[MatchValue, ...]


class TableMap:
    """One table that controllers write. A value is an action's, or a slice of a selector's ring.

    Changes go to `sides`; packets see them with its next commit. `direct` is the map of the layout's `direct`, where it
    has one.
    """

    def __init__(
        self, table: TableLayout, entries: Map, counters: Map | None, direct: Map | None, sides: Sides, undo: UndoLog
    ) -> None:
        self._layout, self._sides, self._undo = table, sides, undo
        self._map = sides.add(f"table {table.table}", table.map, entries)
        self._direct = self._map
        if table.direct is not None and direct is not None:
            self._direct = sides.add(f"table {table.table}", table.direct, direct)
        self._counters = direct_counters(table, counters, undo)
        if self._counters is not None:
            sides.add_resting(self._counters)
        self._indices: dict[bytes, int] = {}
        """Direct counter of each entry, by key."""
        self.pack_key = key_packer(table)
        self._pack_value = value_packer(table)
        self._pack_group = group_packer(table)

    @property
    def counters(self) -> DirectCounters | None:
        return self._counters

    def stop_expecting(self) -> None:
        """Entries that had an index before and have not come will not."""
        if self._counters is not None:
            self._counters.stop_expecting()

    def insert(self, matches: Matches, value: ActionCall | GroupSlice) -> None:
        """Raises `RefusedError`: RESOURCE_EXHAUSTED."""
        key = self._layout.encode_key(matches)
        index = self._counters.take(key) if self._counters is not None else 0
        self._write(key, self._encode(value, index))
        self._undo.put(self._indices, key, index)

    def modify(self, matches: Matches, value: ActionCall | GroupSlice) -> None:
        """The counter goes on."""
        key = self._layout.encode_key(matches)
        self._write(key, self._encode(value, self._indices[key]))

    def delete(self, matches: Matches) -> None:
        key = self._layout.encode_key(matches)
        self._write(key, None)
        index = self._undo.pop(self._indices, key)
        if self._counters is not None:
            self._counters.give_back(index)

    def index_of(self, matches: Matches) -> int:
        """Of an entry that is there: where what lies beside it is."""
        return self._indices[self._layout.encode_key(matches)]

    @property
    def takes_many(self) -> bool:
        """Whether the `..._many` below can be used: all entries are in one map, and their values are actions."""
        return self._layout.direct is None and self._layout.selector is None

    def insert_many(self, keys: Sequence[bytes], values: Sequence[ActionCall]) -> int:
        """New entries. Returns how many there is room for; keys are those of `pack_key`."""
        indices = self._counters.take_many(keys) if self._counters is not None else [0] * len(keys)
        taken = keys[: len(indices)]
        self._write_many(taken, values, indices)
        self._indices.update(zip(taken, indices, strict=True))
        self._undo.note(partial(self._forget_many, taken))
        return len(taken)

    def modify_many(self, keys: Sequence[bytes], values: Sequence[ActionCall]) -> None:
        """Entries that are there."""
        self._write_many(keys, values, [self._indices[key] for key in keys])

    def delete_many(self, keys: Sequence[bytes]) -> None:
        """Entries that are there."""
        self._sides.write_many(self._map, dict.fromkeys(keys))
        indices = [self._indices.pop(key) for key in keys]
        self._undo.note(partial(self._indices.update, zip(keys, indices, strict=True)))
        if self._counters is not None:
            self._counters.give_back_many(indices)

    def _write_many(self, keys: Sequence[bytes], values: Sequence[ActionCall], indices: Sequence[int]) -> None:
        """One value and one index for each key, at least."""
        pack = self._pack_value
        packed: Changes = {key: pack(value, index) for key, value, index in zip(keys, values, indices, strict=False)}
        self._sides.write_many(self._map, packed)

    def _forget_many(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            del self._indices[key]

    def tallies(self, keys: Sequence[Matches]) -> list[Tally]:
        if self._counters is None:
            return [ZERO] * len(keys)
        return self._counters.read_many([self._indices[self._layout.encode_key(matches)] for matches in keys])

    def indices_of(self, keys: Sequence[bytes]) -> list[int]:
        """Where the counters of entries are; keys are those of `pack_key`."""
        return [self._indices[key] for key in keys]

    def set_tally(self, matches: Matches, tally: Tally) -> None:
        if self._counters is not None:
            self._counters.set(self._indices[self._layout.encode_key(matches)], tally)

    def _encode(self, value: ActionCall | GroupSlice, index: int) -> bytes:
        if isinstance(value, ActionCall):
            return self._layout.encode_value(value, index)
        return self._pack_group(value, index)

    def _write(self, key: bytes, value: bytes | None) -> None:
        layout, place = self._layout.place(key)
        self._sides.write(self._map if layout is self._layout.map else self._direct, place, value)


def packed_keys(table: TableMap, rows: Sequence[Row]) -> list[bytes]:
    """As they are in the map, on side 0."""
    pack = table.pack_key
    return [pack(row.key) for row in rows]


def packed(table: TableMap, rows: Sequence[Row]) -> tuple[list[bytes], list[ActionCall]]:
    """Keys, and the actions, of rows of a direct table."""
    return packed_keys(table, rows), [cast("ActionCall", row.action) for row in rows]
