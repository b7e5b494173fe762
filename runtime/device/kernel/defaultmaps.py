"""The default entry of a table in the kernel, where it may be modified.

Its value is in one of a few slots, and one word says in which: a packet runs the old action or the new one, with the
arguments that belong to it.
"""

from __future__ import annotations

import struct
from functools import partial

from compiler.ir.entries import ActionCall
from compiler.printers.layout_tables import DEFAULT_SLOTS, DefaultLayout
from runtime.bpf.maps import Map
from runtime.device.kernel.countermaps import CounterMap
from runtime.device.kernel.mapfaults import refusals_of
from runtime.device.records import ZERO, Tally
from runtime.device.undo import UndoLog

_ONLY = struct.pack("=I", 0)


class DefaultMap:
    """`counters` are the table's direct counters, if it has any."""

    def __init__(
        self, layout: DefaultLayout, initial: ActionCall, held: Map, counters: Map | None, undo: UndoLog
    ) -> None:
        self._layout = layout
        self._map = held
        self._counters = CounterMap(counters) if counters is not None else None
        self._undo = undo
        self._call = initial
        self._slots = [self._encode(initial)] * DEFAULT_SLOTS
        self._current = 0
        self._write()

    def modify(self, call: ActionCall) -> None:
        """The counter goes on."""
        old = self._call
        self._lead_to(call)
        self._undo.note(partial(self._lead_to, old))

    def tally(self) -> Tally:
        return self._counters.read(self._layout.counter) if self._counters is not None else ZERO

    def set_tally(self, tally: Tally) -> None:
        if self._counters is not None:
            self._undo.at_commit(partial(self._counters.write, self._layout.counter, tally))

    def _lead_to(self, call: ActionCall) -> None:
        at = (self._current + 1) % DEFAULT_SLOTS
        self._slots[at] = self._encode(call)
        self._write()
        self._current, self._call = at, call
        self._write()

    def _encode(self, call: ActionCall) -> bytes:
        return self._layout.value.encode(call, self._layout.counter)

    def _write(self) -> None:
        with refusals_of(f"{self._layout.map.name}"):
            self._map.update(_ONLY, self._layout.encode(self._current, self._slots))
