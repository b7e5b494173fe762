"""Meters in BPF maps: configurations on two sides as entries have them, and what was counted of each colour."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from compiler.ir.entries import MeterConfig
from compiler.ir.metering import Buckets, Color, changed_buckets, full_words, new_buckets
from compiler.printers.layout_meter import MeterLayout, encode_buckets, encode_words
from runtime.bpf.maps import Map
from runtime.device.kernel.countermaps import CounterMap
from runtime.device.kernel.mapfaults import refusals_of
from runtime.device.kernel.sides import Sides
from runtime.device.records import ZERO, ColorTallies
from runtime.device.undo import UndoLog

_U32 = struct.Struct("=I")


class MeterMap:
    """The cells of one meter. `clock_ns` is the clock that its packets have."""

    def __init__(
        self,
        meter: MeterLayout,
        open_map: Callable[[str], Map],
        clock_ns: Callable[[], int],
        sides: Sides,
        undo: UndoLog,
    ) -> None:
        self._layout, self._sides, self._undo = meter, sides, undo
        self._name = f"meter {meter.name}"
        self._configs = sides.add(self._name, meter.configs, open_map(meter.configs.name))
        self._words = open_map(meter.words.name)
        self._colors = CounterMap(open_map(meter.colors.name))
        self._clock_ns = clock_ns
        self._configured: dict[int, Buckets] = {}
        self._last: dict[int, Buckets] = {}
        """Of every cell that ever had a configuration, the last one."""
        self._expected: dict[int, Buckets] = {}

    def expect(self, configured: Mapping[int, Buckets]) -> None:
        """Cells that have a configuration already, and words that belong to it; before any is configured."""
        self._expected = dict(configured)
        self._last |= configured

    def stop_expecting(self) -> None:
        """Those that were not configured again say green."""
        self._expected.clear()

    def _recall(self, indices: range) -> None:
        """Have cells hold what they are expected to have."""
        cells = {at: self._expected.pop(at) for at in indices if at in self._expected}
        if cells:
            self._hold(cells)
            self._sides.write_many(self._configs, {_U32.pack(at): _encoded(one) for at, one in cells.items()})

    def configure(self, index: int, config: MeterConfig | None) -> None:
        """A cell with a configuration keeps its tokens, as far as the new bursts hold them; another one begins full.

        None makes the cell say green.
        """
        self.configure_all(range(index, index + 1), config)

    def configure_all(self, indices: range, config: MeterConfig | None) -> None:
        """The same for many cells."""
        if self._expected:
            self._recall(indices)
        now_ns = self._clock_ns()
        new = {index: self._next(index, config, now_ns) for index in indices}
        old = {index: self._configured.get(index) for index in indices}
        changed = {index: buckets for index, buckets in new.items() if _says(buckets) != _says(old[index])}
        if not changed:
            return
        begun = {index: made for index, made in changed.items() if made is not None and old[index] is None}
        if begun:
            self._undo.at_commit(partial(self._fill, begun))
        self._hold(changed)
        self._undo.note(partial(self._hold, {index: old[index] for index in changed}))
        self._sides.write_many(self._configs, {_U32.pack(at): _encoded(buckets) for at, buckets in changed.items()})

    def begin(self, index: int, config: MeterConfig | None) -> None:
        """The cell is a new entry's: nothing of the last one stays."""
        self.configure(index, None)
        if config is not None:
            self.configure(index, config)
        self.clear(index, 1)

    def tallies(self, indices: Sequence[int]) -> list[ColorTallies]:
        """Of each cell, what was green, yellow and red."""
        counted = self._colors.read_many([at for index in indices for at in _places(index)])
        return [(counted[at], counted[at + 1], counted[at + 2]) for at in range(0, len(counted), len(Color))]

    def clear(self, first: int, count: int) -> None:
        """Set the counters of cells to 0, at the end of the batch."""
        self._undo.at_commit(partial(self._colors.replace, first * len(Color), count * len(Color), ZERO))

    def _next(self, index: int, config: MeterConfig | None, now_ns: int) -> Buckets | None:
        if config is None:
            return None
        old = self._configured.get(index)
        if old is not None:
            return changed_buckets(self._layout.type, old, config, now_ns)
        return new_buckets(self._layout.type, config, now_ns, self._last.get(index))

    def _hold(self, cells: Mapping[int, Buckets | None]) -> None:
        for index, buckets in cells.items():
            if buckets is None:
                self._configured.pop(index, None)
            else:
                self._configured[index] = self._last[index] = buckets

    def _fill(self, cells: Mapping[int, Buckets]) -> None:
        """Cells that begin are full. Packets that still have their last configuration may find them so, too."""
        words = [encode_words(full_words(self._layout.type, buckets)) for buckets in cells.values()]
        with refusals_of(self._name):
            _update(self._words, list(cells), words)


def _update(held: Map, indices: Sequence[int], values: Sequence[bytes]) -> None:
    if len(indices) == 1:
        held.update(_U32.pack(indices[0]), values[0])
    elif indices:
        held.update_batch(struct.pack(f"={len(indices)}I", *indices), b"".join(values))


def _encoded(buckets: Buckets | None) -> bytes | None:
    return encode_buckets(buckets) if buckets is not None else None


def _says(buckets: Buckets | None) -> tuple[tuple[int, int, int], ...] | None:
    """Rates and bursts: what a configuration is, apart from when it began."""
    if buckets is None:
        return None
    return tuple((one.multiplier, one.shift, one.burst) for one in (buckets.first, buckets.second))


def _places(index: int) -> range:
    """Where the counters of a cell are."""
    return range(index * len(Color), (index + 1) * len(Color))
