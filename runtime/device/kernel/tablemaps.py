"""Entries of a table in its BPF map: keys and values by the layout, one direct counter for each entry."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from compiler.ir.entries import ActionCall, MatchValue
from compiler.printers.layout import GroupSlice, MapKind, TableLayout
from runtime.bpf.constants import Update
from runtime.bpf.errors import BatchRefusal
from runtime.bpf.maps import Map
from runtime.device.kernel.countermaps import DirectCounters, direct_counters
from runtime.device.kernel.mapfaults import refusals_of
from runtime.device.kernel.packing import key_packer, value_packer
from runtime.device.records import ZERO, Tally
from runtime.device.undo import UndoLog

Matches = tuple[MatchValue, ...]
_WORD = 4
_ACTION_AT, _RING_SIZE_AT = 0, 4
"""Where the word lies that is 0 where an array has no entry: an action's number, or the size of a ring's slice."""


class TableMap:
    """One table that controllers write. A value is an action's, or a slice of a selector's ring.

    `direct` is the map of the layout's `direct`, where it has one.
    """

    def __init__(
        self, table: TableLayout, entries: Map, counters: Map | None, direct: Map | None, undo: UndoLog
    ) -> None:
        self._layout = table
        self._undo = undo
        self._map = entries
        self._direct = direct if direct is not None else entries
        self._counters = direct_counters(table, counters, undo)
        self._indices: dict[bytes, int] = {}
        """Direct counter of each entry, by key."""
        self.pack_key = key_packer(table)
        self._pack_value = value_packer(table)

    @property
    def counters(self) -> DirectCounters | None:
        return self._counters

    def insert(self, matches: Matches, value: ActionCall | GroupSlice) -> None:
        """Raises `RefusedError`: RESOURCE_EXHAUSTED (the kernel says full), INTERNAL."""
        key = self._layout.encode_key(matches)
        index = self._counters.take(key) if self._counters is not None else 0
        raw = self._encode(value, index)
        with refusals_of(f"table {self._layout.table}"):
            self._write_new(key, raw)
        self._undo.note(partial(self._take_out, key))
        self._undo.put(self._indices, key, index)

    def modify(self, matches: Matches, value: ActionCall | GroupSlice) -> None:
        """The counter goes on."""
        key = self._layout.encode_key(matches)
        with refusals_of(f"table {self._layout.table}"):
            place, held, _ = self._place(key)
            old = held.lookup(place) or b""
            held.update(place, self._encode(value, self._indices[key]), Update.EXIST)
        self._undo.note(partial(held.update, place, old))

    def delete(self, matches: Matches) -> None:
        key = self._layout.encode_key(matches)
        with refusals_of(f"table {self._layout.table}"):
            old = self._take_out(key)
        self._undo.note(partial(self._write_new, key, old))
        index = self._undo.pop(self._indices, key)
        if self._counters is not None:
            self._counters.give_back(index)

    def index_of(self, matches: Matches) -> int:
        """Of an entry that is there: where what lies beside it is."""
        return self._indices[self._layout.encode_key(matches)]

    @property
    def takes_many(self) -> bool:
        """Whether the `..._many` below can be used: of a hash or a trie, which take an entry whole, and of actions."""
        layout = self._layout
        return layout.direct is None and layout.selector is None and layout.map.kind is not MapKind.ARRAY

    def insert_many(self, keys: Sequence[bytes], values: Sequence[ActionCall]) -> int:
        """New entries, until the kernel refuses one. Returns how many are in; keys are those of `pack_key`."""
        indices = self._counters.take_many(len(keys)) if self._counters is not None else [0] * len(keys)
        done = self._write_many(keys[: len(indices)], values, indices)
        self._indices.update(zip(keys[:done], indices, strict=False))
        self._undo.note(partial(self._forget_many, keys[:done]))
        if self._counters is not None:
            self._counters.give_back_many(indices[done:])
        return done

    def modify_many(self, keys: Sequence[bytes], values: Sequence[ActionCall], old: Sequence[ActionCall]) -> int:
        """Entries that are there, with the values that they have. Returns how many are changed."""
        indices = [self._indices[key] for key in keys]
        done = self._write_many(keys, values, indices)
        self._undo.note(partial(self._write_many, keys[:done], old, indices))
        return done

    def delete_many(self, keys: Sequence[bytes], old: Sequence[ActionCall]) -> int:
        """Entries that are there, with the values that they have. Returns how many are gone."""
        try:
            self._map.delete_batch(b"".join(keys))
            done = len(keys)
        except BatchRefusal as refusal:
            done = refusal.done
        indices = [self._indices.pop(key) for key in keys[:done]]
        self._undo.note(partial(self._put_back_many, keys[:done], old, indices))
        if self._counters is not None:
            self._counters.give_back_many(indices)
        return done

    def _write_many(self, keys: Sequence[bytes], values: Sequence[ActionCall], indices: Sequence[int]) -> int:
        """One value and one index for each key, at least. Returns how many are written."""
        packed = [self._pack_value(value, index) for _, value, index in zip(keys, values, indices, strict=False)]
        try:
            return self._map.update_batch(b"".join(keys), b"".join(packed)) if keys else 0
        except BatchRefusal as refusal:
            return refusal.done

    def _forget_many(self, keys: Sequence[bytes]) -> None:
        self._map.delete_batch(b"".join(keys))
        for key in keys:
            del self._indices[key]

    def _put_back_many(self, keys: Sequence[bytes], old: Sequence[ActionCall], indices: Sequence[int]) -> None:
        self._write_many(keys, old, indices)
        self._indices.update(zip(keys, indices, strict=True))

    def tallies(self, keys: Sequence[Matches]) -> list[Tally]:
        if self._counters is None:
            return [ZERO] * len(keys)
        return self._counters.read_many([self._indices[self._layout.encode_key(matches)] for matches in keys])

    def set_tally(self, matches: Matches, tally: Tally) -> None:
        if self._counters is not None:
            index = self._indices[self._layout.encode_key(matches)]
            self._undo.at_commit(partial(self._counters.write, index, tally))

    def _encode(self, value: ActionCall | GroupSlice, index: int) -> bytes:
        if isinstance(value, ActionCall):
            return self._layout.encode_value(value, index)
        return self._layout.encode_group(GroupSlice(offset=value.offset, size=value.size, counter=index))

    def _place(self, key: bytes) -> tuple[bytes, Map, bool]:
        """Where the entry of a key is: its key there, the map, whether that is an array."""
        layout, place = self._layout.place(key)
        return place, self._map if layout is self._layout.map else self._direct, layout.kind is MapKind.ARRAY

    def _write_new(self, key: bytes, value: bytes) -> None:
        place, held, is_array = self._place(key)
        if not is_array:
            held.update(place, value, Update.NOEXIST)
            return
        # An array's value changes in place while packets read it: the word that says "here is an entry" comes last.
        held.update(place, self._absent(value))
        held.update(place, value)

    def _take_out(self, key: bytes) -> bytes:
        """The value that was there."""
        place, held, is_array = self._place(key)
        old = held.lookup(place) or bytes(held.details.value_size)
        if is_array:
            held.update(place, self._absent(old))
            held.update(place, bytes(len(old)))
        else:
            held.delete(place)
        return old

    def _absent(self, value: bytes) -> bytes:
        at = _ACTION_AT if self._layout.selector is None else _RING_SIZE_AT
        return value[:at] + bytes(_WORD) + value[at + _WORD :]
