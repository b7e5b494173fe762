"""What a pipeline goes on with that lies beside entries: direct counters, tokens of meters, last hits, masks' ids.

An entry is known by its key, or in a table with masks by its rank, and keeps the index that it has in the maps of the
predecessor. Where the maps are other ones, since their sizes differ, what fits is copied just before packets change
over: what they count in that instant is lost.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compiler.ir.metering import Color
from compiler.ir.nodes import Pipeline
from compiler.printers.layout import MapLayout, TableLayout, layout
from runtime.bpf.maps import Map
from runtime.device.kernel.indexpins import kept_indices
from runtime.device.kernel.openmaps import OpenMaps
from runtime.device.kernel.predecessor import Predecessor, indices_of
from runtime.device.kernel.selectorpins import Pinned
from runtime.device.kernel.sharing import same_keyed, same_meters, shared_cells
from runtime.device.kernel.ternarymaps import TernaryMap

LOG = logging.getLogger("turnout.device")
Indices = dict[int, int]
"""From those of the predecessor to one's own."""


@dataclass(frozen=True, slots=True)
class CellCopy:
    """Cells that go from a map of the predecessor, which is opened once more for that, to another one."""

    old: Map
    new: Map
    cells: Mapping[int, int]

    def run(self) -> None:
        """Raises `KernelRefusal`."""
        if self.cells:
            _, values = self.old.lookup_batch()
            step = self.old.details.buffer_size
            keys = struct.pack(f"={len(self.cells)}I", *self.cells.values())
            self.new.update_batch(keys, b"".join(values[at * step : (at + 1) * step] for at in self.cells))


class Succession:
    """Of one instance: `pipeline` and its open maps. Before any entry is written."""

    def __init__(self, pipeline: Pipeline, maps: OpenMaps, own: Mapping[str, Map], predecessor: Predecessor) -> None:
        self._pipeline, self._maps, self._own, self._predecessor = pipeline, maps, own, predecessor
        self._shared = shared_cells(predecessor.pipeline, pipeline)
        self.copies: list[CellCopy] = []

    def prepare(self) -> None:
        """Have all maps expect what is about to come again. Raises `RefusedError`, `KernelRefusal`."""
        direct: dict[str, Indices] = {}
        for was, table in same_keyed(self._predecessor.pipeline, self._pipeline):
            held = self._maps.tables[table.table]
            if isinstance(held, TernaryMap) and was.mask_map is not None:
                held.expect_masks(self._predecessor.value(was.mask_map))
            if held.counters is not None:
                direct[table.table] = self._indices(was, table)
        self._follow_meters(direct)
        self._follow_counters()

    def counting_selectors(self) -> dict[TableLayout, Pinned]:
        """Those of the predecessor, by their tables, for whose members entries count in both pipelines."""
        found: dict[TableLayout, Pinned] = {}
        for was, table in same_keyed(self._predecessor.pipeline, self._pipeline):
            counts_in = table.selector.counts_in if table.selector is not None else ""
            if was.selector is None or not counts_in or was.selector.counts_in != counts_in:
                continue
            if self._predecessor.has(was.selector.ring, was.selector.members):
                found[was] = self._predecessor.pinned(was, was.selector)
                found[was].read_slots()
        return found

    def _indices(self, was: TableLayout, table: TableLayout) -> Indices:
        """Of the entries of a table; those that lie beyond its end now get others."""
        counters = self._maps.tables[table.table].counters
        if counters is None:
            return {}
        found = indices_of(was, self._predecessor.entries(was))
        if was.masks is not None:
            used = set(found.values())
            hidden = kept_indices(was, self._predecessor.maps)
            found |= {key: at for key, at in hidden.items() if key not in found and at not in used}
        free = iter(sorted(set(range(1, table.indices)) - set(found.values())))
        renumbered = {key: index if index < table.indices else next(free, 0) for key, index in found.items() if index}
        counters.expect(renumbered)
        indices = {found[key]: index for key, index in renumbered.items() if index}
        defaults = {was.default.counter: table.default.counter} if was.default and table.default else {}
        self._copy(was.counters, table.counters, indices | {at: to for at, to in defaults.items() if at and to})
        self._copy(was.seen, table.seen, indices)
        return indices

    def _follow_meters(self, direct: Mapping[str, Indices]) -> None:
        for was, meter in same_meters(self._predecessor.pipeline, self._pipeline):
            beside = self._maps.besides.get(meter.table)
            held = self._maps.meters.get(meter.name) if not meter.table else beside.meter if beside else None
            if held is None:
                continue
            cells = direct.get(meter.table, {}) if meter.table else {at: at for at in range(min(was.size, meter.size))}
            configured = self._predecessor.meter_cells(was)
            held.expect({cells[at]: buckets for at, buckets in configured.items() if at in cells})
            self._copy(was.words, meter.words, cells)
            colors = len(Color)
            self._copy(
                was.colors, meter.colors, {at * colors + n: to * colors + n for at, to in cells.items() for n in Color}
            )
            if not meter.table:
                _say_lost(f"meter {meter.name}", was.size, meter.size, (at for at in configured if at >= meter.size))

    def _follow_counters(self) -> None:
        before = {counter.counter: counter.map for counter in layout(self._predecessor.pipeline).counters}
        for counter in layout(self._pipeline).counters:
            was = before.get(counter.counter)
            if was is not None:
                size, now = was.max_entries, counter.map.max_entries
                self._copy(was, counter.map, {at: at for at in range(min(size, now))})
                _say_lost(f"counter {counter.counter}", size, now, range(now, size))

    def _copy(self, was: MapLayout | None, held: MapLayout | None, cells: Mapping[int, int]) -> None:
        if was is None or held is None or held.name in self._shared or was.name not in self._predecessor.maps:
            return
        old = Map.by_id(self._predecessor.maps[was.name].details.id)
        self.copies.append(CellCopy(old, self._own[held.name], cells))


def _say_lost(what: str, was: int, now: int, lost: Iterable[int]) -> None:
    if now < was and any(True for _ in lost):
        LOG.warning("%s: it has %d cells now, it had %d: what the others held is gone", what, now, was)
