"""What lies beside the entries of a table, by their indices: their meters, and when packets last met them."""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Callable, Sequence
from functools import partial

from compiler.ir.entries import MeterConfig
from compiler.printers.layout import Layout, TableLayout
from runtime.bpf.maps import Map
from runtime.device.kernel.metermaps import MeterMap
from runtime.device.kernel.sides import Sides
from runtime.device.kernel.stores import clock_ms
from runtime.device.undo import UndoLog

_SEEN = struct.Struct("=Q")
OpenMap = Callable[[str], Map]


class LastHits:
    """An array that programs write and the device reads, as memory that both share."""

    def __init__(self, held: Map) -> None:
        self._memory: mmap.mmap = held.memory()

    def begin(self, index: int) -> None:
        """An entry counts as met when it is inserted."""
        _SEEN.pack_into(self._memory, index * _SEEN.size, clock_ms())

    def idle_ms(self, indices: Sequence[int]) -> list[int]:
        now_ms = clock_ms()
        # A packet's clock may be a tick behind or ahead of this one.
        return [max(0, now_ms - _SEEN.unpack_from(self._memory, index * _SEEN.size)[0]) for index in indices]

    def close(self) -> None:
        self._memory.close()


class Beside:
    """Of one table, what of it there is."""

    def __init__(self, meter: MeterMap | None, seen: LastHits | None, undo: UndoLog) -> None:
        self.meter, self.seen, self._undo = meter, seen, undo

    def begin(self, index: int, meter: MeterConfig | None, *, is_kept: bool = False) -> None:
        """The index is that of a new entry; `is_kept`: of one that had it before, with its tokens and its last hit."""
        if is_kept:
            self.change(index, meter)
            return
        if self.seen is not None:
            self._undo.at_commit(partial(self.seen.begin, index))
        if self.meter is not None:
            self.meter.begin(index, meter)

    def change(self, index: int, meter: MeterConfig | None) -> None:
        if self.meter is not None:
            self.meter.configure(index, meter)

    def close(self) -> None:
        if self.seen is not None:
            self.seen.close()


def besides(plan: Layout, open_map: OpenMap, sides: Sides, undo: UndoLog) -> dict[str, Beside]:
    """By the names of the tables that have something beside their entries but counters."""
    direct = {m.table: MeterMap(m, open_map, time.monotonic_ns, sides, undo) for m in plan.meters if m.table}
    return {
        table.table: Beside(direct.get(table.table), _last_hits(table, open_map), undo)
        for table in plan.tables
        if table.seen is not None or table.table in direct
    }


def _last_hits(table: TableLayout, open_map: OpenMap) -> LastHits | None:
    return LastHits(open_map(table.seen.name)) if table.seen is not None else None
