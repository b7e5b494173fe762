"""Which index the entries of tables with masks have, kept for whoever comes after this process.

An entry that others hide wherever it is has no place in the maps that packets read, so nothing there says where its
counter, its meter and its last hit are. These maps do, by rank: no program reads them, and they are pinned beside the
others. Each process fills new ones, so nothing in them is old; what a kill leaves of a batch leads to no entry of the
journal, or to an index that somebody else has, and is passed over.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Mapping
from functools import partial

from compiler.ir.nodes import Pipeline
from compiler.printers.layout import TableLayout, layout
from compiler.printers.layout_values import RANK
from runtime.bpf.constants import MapFlag, MapType
from runtime.bpf.errors import BpfError
from runtime.bpf.maps import Map, MapShape
from runtime.device.undo import Inverse, UndoLog

LOG = logging.getLogger("turnout.device")
_INDEX = struct.Struct("=I")
IN_ONE_BATCH = 2
"""Times the entries of a table: those that a batch deletes are there until its end."""


def pin_name(table: TableLayout) -> str:
    """Of the map among the pins of its pipeline; no other name has a dash."""
    return f"{table.map.name}-indices"


def index_maps(pipeline: Pipeline) -> dict[str, Map]:
    """New ones, by their pins' names. The caller closes them. Raises `BpfError`."""
    return {
        pin_name(table): Map.create(
            MapShape(
                name="indices",
                type=MapType.HASH,
                key_size=RANK.size,
                value_size=_INDEX.size,
                max_entries=IN_ONE_BATCH * table.indices,
                flags=MapFlag.NO_PREALLOC,
            )
        )
        for table in layout(pipeline).tables
        if table.masks is not None and table.indices
    }


def kept_indices(table: TableLayout, maps: Mapping[str, Map]) -> dict[bytes, int]:
    """What an earlier process noted, by rank; nothing where it noted none."""
    held = maps.get(pin_name(table))
    if held is None:
        return {}
    return {key: _INDEX.unpack(value)[0] for key, value in held.items()}


class IndexPins:
    """Of one table; without a map nothing is kept."""

    def __init__(self, held: Map | None, undo: UndoLog) -> None:
        self._held, self._undo = held, undo

    def note(self, rank: bytes, index: int) -> None:
        """A new entry has this index."""
        if self._held is not None and index:
            self._write(rank, index)
            self._undo.note(partial(self._remove, rank, index))

    def forget(self, rank: bytes, index: int) -> None:
        """An entry goes, with the batch; it may come again in the same one."""
        if self._held is not None and index:
            self._undo.at_commit(partial(self._removed, rank, index))

    def _removed(self, rank: bytes, index: int) -> Inverse:
        self._remove(rank, index)
        return partial(self._write, rank, index)

    def _write(self, rank: bytes, index: int) -> None:
        try:
            if self._held is not None:
                self._held.update(rank, _INDEX.pack(index))
        except BpfError as problem:
            LOG.warning("what lies beside an entry that others hide will not outlive this process: %s", problem)

    def _remove(self, rank: bytes, index: int) -> None:
        try:
            if self._held is not None and self._held.lookup(rank) == _INDEX.pack(index):
                self._held.delete(rank)
        except BpfError as problem:
            LOG.warning("where an entry was cannot be forgotten: %s", problem)
