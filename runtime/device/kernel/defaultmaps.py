"""The default entry of a table in the kernel, where it may be modified: one value, on two sides as entries are."""

from __future__ import annotations

from functools import partial

from compiler.ir.entries import ActionCall
from compiler.printers.layout_tables import DefaultLayout
from runtime.bpf.maps import Map
from runtime.device.kernel.countermaps import CounterMap
from runtime.device.kernel.sides import Sides
from runtime.device.records import ZERO, Tally
from runtime.device.undo import UndoLog

_ONLY = bytes(4)


class DefaultMap:
    """`counters` are the table's direct counters, if it has any."""

    def __init__(
        self,
        layout: DefaultLayout,
        initial: ActionCall,
        held: Map,
        counters: Map | None,
        sides: Sides,
        undo: UndoLog,
    ) -> None:
        self._layout, self._sides, self._undo = layout, sides, undo
        self._map = sides.add(layout.map.name, layout.map, held)
        self._counters = CounterMap(counters) if counters is not None else None
        sides.begin(self._map, {_ONLY: layout.encode(initial)})

    def modify(self, call: ActionCall) -> None:
        """The counter goes on."""
        self._sides.write(self._map, _ONLY, self._layout.encode(call))

    def tally(self) -> Tally:
        return self._counters.read(self._layout.counter) if self._counters is not None else ZERO

    def set_tally(self, tally: Tally) -> None:
        if self._counters is not None:
            self._undo.at_commit(partial(self._counters.replace, self._layout.counter, 1, tally))
