"""Meters in BPF maps: configurations written so that packets see whole ones, and what was counted of each colour.

Nothing is kept here but the maps, so that a device which takes over pinned ones goes on with the tokens there are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

from compiler.ir.entries import MeterConfig
from compiler.ir.metering import Buckets, Color, changed_buckets, full_words, new_buckets
from compiler.printers.layout_meter import CellConfig, MeterLayout, decode_config, encode_words, next_config
from runtime.bpf.maps import Map
from runtime.device.kernel.countermaps import FEW, CounterMap
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
        self.configure_all(range(index, index + 1), config)

    def configure_all(self, indices: range, config: MeterConfig | None) -> None:
        """The same for many cells."""
        now_ns = self._clock_ns()
        old = {index: cell.buckets for index, cell in zip(indices, self._read(indices), strict=True)}
        new = {index: self._next(buckets, config, now_ns) for index, buckets in old.items()}
        changed = {index: buckets for index, buckets in new.items() if _says(buckets) != _says(old[index])}
        if changed:
            self._write(changed, [index for index in changed if old[index] is None])
            self._undo.note(partial(self._write, {index: old[index] for index in changed}, ()))

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

    def _next(self, old: Buckets | None, config: MeterConfig | None, now_ns: int) -> Buckets | None:
        if config is None:
            return None
        if old is None:
            return new_buckets(self._layout.type, config, now_ns)
        return changed_buckets(self._layout.type, old, config, now_ns)

    def _read(self, indices: Sequence[int]) -> list[CellConfig]:
        with self._refusals():
            if len(indices) <= FEW:
                return [decode_config(self._configs.lookup(_U32.pack(index)) or b"") for index in indices]
            _, values = self._configs.lookup_batch()
        size = self._configs.details.buffer_size
        return [decode_config(values[index * size : (index + 1) * size]) for index in indices]

    def _write(self, new: Mapping[int, Buckets | None], begins: Collection[int]) -> None:
        """What packets see of cells from now on; those that begin are full."""
        steps = [next_config(cell, new[index]) for index, cell in zip(new, self._read(list(new)), strict=True)]
        full = {index: buckets for index in begins if (buckets := new[index]) is not None}
        words = [encode_words(full_words(self._layout.type, buckets)) for buckets in full.values()]
        with self._refusals():
            _update(self._words, list(full), words)
            _update(self._configs, list(new), [beside for beside, _ in steps])
            _update(self._configs, list(new), [turned for _, turned in steps])

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals_of(f"meter {self._layout.name}")


def _update(held: Map, indices: Sequence[int], values: Sequence[bytes]) -> None:
    if len(indices) == 1:
        held.update(_U32.pack(indices[0]), values[0])
    elif indices:
        held.update_batch(struct.pack(f"={len(indices)}I", *indices), b"".join(values))


def _says(buckets: Buckets | None) -> tuple[tuple[int, int, int], ...] | None:
    """Rates and bursts: what a configuration is, apart from when it began."""
    if buckets is None:
        return None
    return tuple((one.multiplier, one.shift, one.burst) for one in (buckets.first, buckets.second))


def _places(index: int) -> range:
    """Where the counters of a cell are."""
    return range(index * len(Color), (index + 1) * len(Color))
