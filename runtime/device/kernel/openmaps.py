"""The maps of a loaded pipeline, each in the hands of what writes it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from compiler.ir.nodes import Pipeline
from compiler.printers.layout import Layout, SelectorLayout, TableLayout, layout
from compiler.printers.store_programs import store_programs
from runtime.bpf.maps import Map
from runtime.bpf.object import Object
from runtime.device.kernel.besides import Beside, besides
from runtime.device.kernel.countednumbers import CountedNumbers
from runtime.device.kernel.countermaps import CounterMap
from runtime.device.kernel.defaultmaps import DefaultMap
from runtime.device.kernel.failover import Follower
from runtime.device.kernel.indexpins import pin_name
from runtime.device.kernel.metermaps import MeterMap
from runtime.device.kernel.replicationmap import ReplicationMap
from runtime.device.kernel.ringfiller import RingFiller, ring_filler
from runtime.device.kernel.selectormaps import SelectorMaps
from runtime.device.kernel.sides import Sides
from runtime.device.kernel.stores import StoreMap, Stores
from runtime.device.kernel.tablemaps import TableMap
from runtime.device.kernel.ternarymaps import TernaryMap
from runtime.device.portstates import PortStates
from runtime.device.undo import UndoLog

AnyTable = TableMap | TernaryMap


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMaps:
    """By the names of tables, but for selectors, indexed meters and counters: these have their own."""

    tables: dict[str, AnyTable]
    defaults: dict[str, DefaultMap]
    besides: dict[str, Beside]
    selectors: dict[str, SelectorMaps]
    selectors_by_name: dict[str, SelectorMaps]
    meters: dict[str, MeterMap]
    counters: dict[str, CounterMap]
    stores: Stores
    replication: ReplicationMap | None
    """None for a pipeline that makes no copies of packets."""
    filler: RingFiller | None
    """None for a pipeline without selectors, and for one that was compiled before there was such a program."""

    @property
    def followers(self) -> tuple[Follower, ...]:
        """What depends on which ports are up."""
        copying = () if self.replication is None else (self.replication,)
        return (*self.selectors.values(), *copying)

    def close(self) -> None:
        """What is mapped. The maps themselves stay the caller's."""
        for beside in self.besides.values():
            beside.close()
        for selector in self.selectors.values():
            selector.close()
        if self.filler is not None:
            self.filler.close()


def open_maps(
    pipeline: Pipeline,
    loaded: Object,
    hash_seed: int,
    sides: Sides,
    undo: UndoLog,
    ports: PortStates,
    indices: Mapping[str, Map],
) -> OpenMaps:
    """`indices` are those of `indexpins.index_maps`, or none.

    Raises `UnknownName` when the ELF is not that of the pipeline.
    """
    plan = layout(pipeline)
    tables = {table.table: _table(table, loaded, sides, undo, indices.get(pin_name(table))) for table in plan.tables}
    filler = ring_filler(loaded)
    chosen = [
        (
            table.table,
            table.selector,
            _selector(plan, table.selector, loaded, tables[table.table], sides, undo, ports, filler),
        )
        for table in plan.tables
        if table.selector is not None
    ]
    indexed = (meter for meter in plan.meters if not meter.table)
    return OpenMaps(
        tables=tables,
        defaults=_defaults(pipeline, plan, loaded, sides, undo),
        besides=besides(plan, loaded.map, sides, undo),
        selectors={name: made for name, _, made in chosen},
        selectors_by_name={selector.name: made for _, selector, made in chosen},
        meters={m.name: MeterMap(m, loaded.map, time.monotonic_ns, sides, undo) for m in indexed},
        counters={c.counter: CounterMap(loaded.map(c.map.name)) for c in plan.counters},
        stores=_stores(plan, loaded, hash_seed, sides, undo),
        replication=_replication(plan, loaded, sides, undo, ports),
        filler=filler,
    )


def _table(table: TableLayout, loaded: Object, sides: Sides, undo: UndoLog, indices: Map | None) -> AnyTable:
    counters = loaded.map(table.counters.name) if table.counters is not None else None
    if table.masks is not None and table.mask_map is not None:
        entries, mask_list = loaded.map(table.map.name), loaded.map(table.mask_map.name)
        return TernaryMap(table, table.masks, entries, mask_list, counters, sides, undo, indices)
    direct = loaded.map(table.direct.name) if table.direct is not None else None
    return TableMap(table, loaded.map(table.map.name), counters, direct, sides, undo)


def _defaults(pipeline: Pipeline, plan: Layout, loaded: Object, sides: Sides, undo: UndoLog) -> dict[str, DefaultMap]:
    initial = {table.name: table.default_call for table in pipeline.tables}
    found: dict[str, DefaultMap] = {}
    for table in plan.tables:
        if table.default is not None:
            counters = loaded.map(table.counters.name) if table.counters is not None else None
            held = loaded.map(table.default.map.name)
            found[table.table] = DefaultMap(table.default, initial[table.table], held, counters, sides, undo)
    return found


def _selector(
    plan: Layout,
    selector: SelectorLayout,
    loaded: Object,
    table: AnyTable,
    sides: Sides,
    undo: UndoLog,
    ports: PortStates,
    filler: RingFiller | None,
) -> SelectorMaps:
    ring, members = loaded.map(selector.ring.name), loaded.map(selector.members.name)
    counts = next((store.counts for store in plan.stores if store.store.name == selector.counts_in), None)
    numbers = CountedNumbers(loaded.map(counts.name), undo) if counts is not None else None
    return SelectorMaps(selector, ring, members, table, sides, undo, ports.down, numbers, filler)


def _replication(plan: Layout, loaded: Object, sides: Sides, undo: UndoLog, ports: PortStates) -> ReplicationMap | None:
    if plan.replication is None:
        return None
    return ReplicationMap(plan.replication, loaded.map(plan.replication.name), sides, undo, ports.is_down)


def _stores(plan: Layout, loaded: Object, hash_seed: int, sides: Sides, undo: UndoLog) -> Stores:
    found: dict[str, StoreMap] = {}
    for store in plan.stores:
        programs = store_programs(store.store.name)
        sweep, end = loaded.program(programs.sweep), loaded.program(programs.end_key)
        made = StoreMap(store, loaded.map(store.map.name), sweep, end, hash_seed, undo)
        sides.add_part(made)
        found |= {table.table: made for table in store.tables}
    return Stores(found)
