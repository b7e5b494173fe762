"""Meters as C: one function each, which takes a cell's index and gives the colour of the packet."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.tables import MeterType, MeterUnit
from compiler.printers.ebpf.gathering import Gathered
from compiler.printers.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterView:
    """`units` and `two_rates` are the C of what a packet counts, and of how colours are told; a side has `cells`."""

    name: str
    doc: str
    units: str
    two_rates: str
    cells: int
    configs: str
    words: str
    colors: str
    """C of pointers to its maps."""


_UNITS = {MeterUnit.PACKETS: "1", MeterUnit.BYTES: "scratch->packet.length"}


def meter_views(layout: Layout, arrays: Gathered) -> tuple[MeterView, ...]:
    return tuple(
        MeterView(
            name=meter.name,
            doc=meter.doc,
            units=_UNITS[meter.unit],
            two_rates="false" if meter.type is MeterType.SINGLE_RATE_THREE_COLOR else "true",
            cells=meter.size,
            configs=arrays.map(meter.configs.name),
            words=arrays.map(meter.words.name),
            colors=arrays.map(meter.colors.name),
        )
        for meter in layout.meters
    )
