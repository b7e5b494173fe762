"""Meters in BPF maps: configurations written so that packets see whole ones, and what was counted of each colour.

Nothing is kept here but the maps, so that a device which takes over pinned ones goes on with the tokens there are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial

from compiler.ir.entries import MeterConfig
from compiler.ir.metering import Buckets, Color, changed_buckets, full_words, new_buckets
from compiler.printers.layout_meter import MeterLayout, decode_config, encode_words, next_config
from runtime.bpf.maps import Map
from runtime.device.kernel.countermaps import CounterMap
from runtime.device.kernel.mapfaults import refusals_of
from runtime.device.records import ZERO, ColorTallies
from runtime.device.undo import UndoLog

_U32 = struct.Struct("=I")


class MeterMap:
    """The cells of one meter. `clock_ns` is the clock that its packets have."""

    def __init__(
        self, meter: MeterLayout, open_map: Callable[[str], Map], clock_ns: Callable[[], int], undo: UndoLog
    ) -> None:
        self._layout, self._undo = meter, undo
        self._configs = open_map(meter.configs.name)
        self._words = open_map(meter.words.name)
        self._colors = CounterMap(open_map(meter.colors.name))
        self._clock_ns = clock_ns

    def configure(self, index: int, config: MeterConfig | None) -> None:
        """A cell with a configuration keeps its tokens, as far as the new bursts hold them; another one begins full.

        None makes the cell say green.
        """
        old, kind = self._buckets(index), self._layout.type
        if config is None:
            new = None
        elif old is not None:
            new = changed_buckets(kind, old, config, self._clock_ns())
        else:
            new = new_buckets(kind, config, self._clock_ns())
        if _says(old) != _says(new):
            self._write(index, new, begins=old is None)
            self._undo.note(partial(self._write, index, old))

    def configure_range(self, first: int, count: int, config: MeterConfig | None) -> None:
        for index in range(first, first + count):
            self.configure(index, config)

    def begin(self, index: int, config: MeterConfig | None) -> None:
        """The cell is a new entry's: nothing of the last one stays."""
        self.configure(index, None)
        if config is not None:
            self.configure(index, config)
        self._undo.at_commit(partial(self.clear, index, 1))

    def tallies(self, indices: Sequence[int]) -> list[ColorTallies]:
        """Of each cell, what was green, yellow and red."""
        counted = self._colors.read_many([at for index in indices for at in _places(index)])
        return [(counted[at], counted[at + 1], counted[at + 2]) for at in range(0, len(counted), len(Color))]

    def clear(self, first: int, count: int) -> None:
        """Set the counters of cells to 0, at once."""
        self._colors.write_range(first * len(Color), count * len(Color), ZERO)

    def _buckets(self, index: int) -> Buckets | None:
        with self._refusals():
            return decode_config(self._configs.lookup(_U32.pack(index)) or b"").buckets

    def _write(self, index: int, buckets: Buckets | None, *, begins: bool = False) -> None:
        """What packets see of the cell from now on; one that begins is full."""
        key = _U32.pack(index)
        with self._refusals():
            if begins and buckets is not None:
                self._words.update(key, encode_words(full_words(self._layout.type, buckets)))
            for value in next_config(decode_config(self._configs.lookup(key) or b""), buckets):
                self._configs.update(key, value)

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals_of(f"meter {self._layout.name}")


def _says(buckets: Buckets | None) -> tuple[tuple[int, int, int], ...] | None:
    """Rates and bursts: what a configuration is, apart from when it began."""
    if buckets is None:
        return None
    return tuple((one.multiplier, one.shift, one.burst) for one in (buckets.first, buckets.second))


def _places(index: int) -> range:
    """Where the counters of a cell are."""
    return range(index * len(Color), (index + 1) * len(Color))
