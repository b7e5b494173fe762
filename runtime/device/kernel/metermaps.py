"""Meters in BPF maps: configurations written so that packets see whole ones, and what was counted of each colour.

Nothing is kept here but the maps, so that a device which takes over pinned ones goes on with the tokens there are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

from compiler.ir.entries import MeterConfig
from compiler.ir.metering import Color, changed_buckets, full_words, new_buckets
from compiler.printers.layout_meter import CellConfig, MeterLayout, decode_config, encode_words, next_config
from runtime.bpf.maps import Map
from runtime.device.kernel.countermaps import CounterMap
from runtime.device.kernel.mapfaults import refusals_of
from runtime.device.records import ZERO, ColorTallies

_U32 = struct.Struct("=I")


class MeterMap:
    """The cells of one meter. `clock_ns` is the clock that its packets have."""

    def __init__(self, meter: MeterLayout, open_map: Callable[[str], Map], clock_ns: Callable[[], int]) -> None:
        self._layout = meter
        self._configs = open_map(meter.configs.name)
        self._words = open_map(meter.words.name)
        self._colors = CounterMap(open_map(meter.colors.name))
        self._clock_ns = clock_ns

    def configure(self, index: int, config: MeterConfig | None) -> None:
        """A cell with a configuration keeps its tokens, as far as the new bursts hold them; another one begins full.

        None makes the cell say green.
        """
        key = _U32.pack(index)
        with self._refusals():
            for value in self._values(key, decode_config(self._configs.lookup(key) or b""), config):
                self._configs.update(key, value)

    def configure_range(self, first: int, count: int, config: MeterConfig | None) -> None:
        for index in range(first, first + count):
            self.configure(index, config)

    def begin(self, index: int, config: MeterConfig | None) -> None:
        """The cell is a new entry's: nothing of the last one stays."""
        self.configure(index, None)
        if config is not None:
            self.configure(index, config)
        self.clear_tallies([index])

    def tallies(self, indices: Sequence[int]) -> list[ColorTallies]:
        """Of each cell, what was green, yellow and red."""
        counted = self._colors.read_many([at for index in indices for at in _places(index)])
        return [(counted[at], counted[at + 1], counted[at + 2]) for at in range(0, len(counted), len(Color))]

    def clear_tallies(self, indices: Iterable[int]) -> None:
        for index in indices:
            self._colors.write_range(index * len(Color), len(Color), ZERO)

    def _values(self, key: bytes, cell: CellConfig, config: MeterConfig | None) -> tuple[bytes, ...]:
        """What is to be written into the cell's configuration, one after the other."""
        if config is None:
            return next_config(cell, None) if cell.buckets is not None else ()
        kind, now_ns = self._layout.type, self._clock_ns()
        if cell.buckets is not None:
            return next_config(cell, changed_buckets(kind, cell.buckets, config, now_ns))
        buckets = new_buckets(kind, config, now_ns)
        self._words.update(key, encode_words(full_words(kind, buckets)))
        return next_config(cell, buckets)

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals_of(f"meter {self._layout.name}")


def _places(index: int) -> range:
    """Where the counters of a cell are."""
    return range(index * len(Color), (index + 1) * len(Color))
