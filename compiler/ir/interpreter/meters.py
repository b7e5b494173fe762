"""Cells of meters: a configuration, its tokens, and what it has told of how many packets. Times are arguments."""

from __future__ import annotations

from typing import NamedTuple

from compiler.ir.entries import MeterConfig
from compiler.ir.metering import Buckets, Color, Words, changed_buckets, execute, full_words, new_buckets
from compiler.ir.tables import DirectMeter, Meter, MeterUnit


class Tally(NamedTuple):
    """What a counter has counted."""

    packets: int
    bytes: int


ColorTallies = tuple[Tally, Tally, Tally]
"""What was green, yellow and red."""


class CellState(NamedTuple):
    """A configuration and what is left of its tokens."""

    config: MeterConfig | None
    buckets: Buckets | None
    words: Words


class Cell:
    """One cell; without a configuration every packet is green."""

    def __init__(self, meter: Meter | DirectMeter) -> None:
        self._kind, self._unit = meter.type, meter.unit
        self.config: MeterConfig | None = None
        self._buckets: Buckets | None = None
        self._words = Words(0, 0)
        self._tallies = [Tally(0, 0)] * len(Color)

    @property
    def tallies(self) -> ColorTallies:
        green, yellow, red = self._tallies
        return green, yellow, red

    def set_tallies(self, tallies: ColorTallies) -> None:
        self._tallies = list(tallies)

    def clear_tallies(self) -> None:
        self._tallies = [Tally(0, 0)] * len(Color)

    def configure(self, config: MeterConfig | None, now_ns: int) -> None:
        """A cell that had a configuration keeps its tokens, as far as the new bursts hold them; else it is full."""
        if config == self.config:
            return
        self.config = config
        if config is None:
            self._buckets = None
        elif self._buckets is not None:
            self._buckets = changed_buckets(self._kind, self._buckets, config, now_ns)
        else:
            self._buckets = new_buckets(self._kind, config, now_ns)
            self._words = full_words(self._kind, self._buckets)

    @property
    def state(self) -> CellState:
        return CellState(self.config, self._buckets, self._words)

    def restore(self, state: CellState) -> None:
        """As it was; packets in between have never been."""
        self.config, self._buckets, self._words = state

    def execute(self, length: int, now_ns: int) -> Color:
        color = Color.GREEN
        if self._buckets is not None:
            units = 1 if self._unit is MeterUnit.PACKETS else length
            color, self._words = execute(self._kind, self._buckets, self._words, units, now_ns)
        packets, octets = self._tallies[color]
        self._tallies[color] = Tally(packets + 1, octets + length)
        return color


class MeterCells:
    """The cells of one indexed meter, made when they are first met."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._cells: dict[int, Cell] = {}

    def cell(self, index: int) -> Cell:
        return self._cells.setdefault(index, Cell(self.meter))

    def configured(self) -> tuple[int, ...]:
        """The indices of cells that have a configuration, in order."""
        return tuple(sorted(index for index, cell in self._cells.items() if cell.config is not None))

    def met(self) -> tuple[int, ...]:
        """The indices of cells that a packet or a configuration has met, in order."""
        return tuple(sorted(self._cells))

    def execute(self, index: int, length: int, now_ns: int) -> Color:
        if index >= self.meter.size:
            return Color.GREEN
        return self.cell(index).execute(length, now_ns)
