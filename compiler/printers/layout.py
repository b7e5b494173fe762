"""The layout: which BPF maps a pipeline has, and what every byte of their keys and values means.

The one place that knows it. The C printer prints its structures from here, the kernel target encodes and decodes with
the codecs, and the printed C asserts every offset. Besides the maps below, the C declares those that belong to the
device and not to a pipeline: `port_of_ifindex`, `port_of_other_ifindex`, `egress`, `egress_xdp`, `scratch`, `trace`,
`test_clock` (see ebpf/include/turnout), and the rings `packet_ins` and `digests`, of which only what records say is
told here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Clone, Multicast, Punt
from compiler.ir.walking import all_statements, opening_tables
from compiler.printers.layout_maps import COUNTER, MapKind, MapLayout, counter_map
from compiler.printers.layout_meter import MeterLayout, direct_meter_layout, meter_layout
from compiler.printers.layout_replication import replication_map
from compiler.printers.layout_store import LearnedTableLayout, Slot, SlotHead, StoreLayout, store_layout
from compiler.printers.layout_struct import Member, StructLayout, natural
from compiler.printers.layout_tables import TableLayout, table_layout
from compiler.printers.layout_values import ActionLayout, GroupSlice, SelectorLayout, ValueLayout, action_layout
from compiler.span import InternalError


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterLayout:
    """An indexed counter: a per-CPU array of `COUNTER` values."""

    counter: str
    map: MapLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All maps of a pipeline, each part in the pipeline's order."""

    actions: tuple[ActionLayout, ...]
    tables: tuple[TableLayout, ...]
    """Tables that the control plane writes."""
    stores: tuple[StoreLayout, ...]
    """Learned tables."""
    counters: tuple[CounterLayout, ...]
    meters: tuple[MeterLayout, ...]
    """Indexed ones, then those of tables."""
    digests: tuple[StructLayout, ...] = ()
    """What each digest says, in the records of the ring `digests`; see ebpf/include/turnout/digest.h."""
    packet_in: StructLayout | None = None
    """What a packet-in says, in the records of the ring `packet_ins`; see ebpf/include/turnout/punt.h."""
    replication: MapLayout | None = None
    """Multicast groups and clone sessions."""

    def table(self, name: str) -> TableLayout:
        """A table by name. Raises `InternalError` for a learned or unknown one."""
        found = next((table for table in self.tables if table.table == name), None)
        if found is None:
            raise InternalError(f"the layout has no table {name} that a control plane writes")
        return found

    def store_of(self, table: str) -> StoreLayout:
        """The store of a learned table. Raises `InternalError` for any other table."""
        found = next((s for s in self.stores if any(t.table == table for t in s.tables)), None)
        if found is None:
            raise InternalError(f"the layout has no learned table {table}")
        return found

    def counter(self, name: str) -> CounterLayout:
        return next(c for c in self.counters if c.counter == name)

    def meter(self, name: str) -> MeterLayout:
        """An indexed meter."""
        return next(m for m in self.meters if m.name == name and not m.table)

    def direct_meter(self, table: str) -> MeterLayout | None:
        return next((m for m in self.meters if m.table == table), None)

    @property
    def maps(self) -> tuple[MapLayout, ...]:
        """Every map: of tables, their direct counters, last hits and selectors, of stores, counters, meters, copies."""
        found: list[MapLayout] = []
        for table in self.tables:
            found += table.maps
            if table.counters is not None:
                found.append(table.counters)
            if table.seen is not None:
                found.append(table.seen)
            if table.selector is not None:
                found += table.selector.maps
        found += (store.map for store in self.stores)
        found += (counter.map for counter in self.counters)
        found += (held for meter in self.meters for held in meter.maps)
        found += () if self.replication is None else (self.replication,)
        return tuple(found)


@lru_cache(maxsize=8)
def layout(pipeline: Pipeline) -> Layout:
    """The layout of a pipeline: the same pipeline gives the same bytes, on any machine."""
    actions = {action.name: action_layout(action) for action in pipeline.actions}
    opening = opening_tables(pipeline)
    return Layout(
        actions=tuple(actions.values()),
        tables=tuple(
            table_layout(table, actions, is_opening=table.name in opening)
            for table in pipeline.tables
            if table.store is None
        ),
        stores=tuple(store_layout(store, pipeline, actions) for store in pipeline.stores),
        counters=tuple(
            CounterLayout(counter=counter.name, map=counter_map(counter.name, counter.size))
            for counter in pipeline.counters
        ),
        meters=(
            *(meter_layout(meter) for meter in pipeline.meters),
            *(
                direct_meter_layout(t, t.meter, is_opening=t.name in opening)
                for t in pipeline.tables
                if t.meter is not None
            ),
        ),
        packet_in=_packet_in(pipeline),
        replication=replication_map(pipeline),
        digests=tuple(natural(d.name, ((f.name, f.width_bits) for f in d.fields)) for d in pipeline.digests),
    )


def _packet_in(pipeline: Pipeline) -> StructLayout | None:
    """None for a pipeline that gives no packets to controllers, nor copies to the device, whatever it declares."""
    if not any(isinstance(s, Punt | Multicast | Clone) for s in all_statements(pipeline)):
        return None
    fields = pipeline.packet_in.fields if pipeline.packet_in is not None else ()
    return natural("packet_in", ((f.name, f.width_bits) for f in fields))


__all__ = [
    "COUNTER",
    "ActionLayout",
    "CounterLayout",
    "GroupSlice",
    "Layout",
    "LearnedTableLayout",
    "MapKind",
    "MapLayout",
    "Member",
    "MeterLayout",
    "SelectorLayout",
    "Slot",
    "SlotHead",
    "StoreLayout",
    "StructLayout",
    "TableLayout",
    "ValueLayout",
    "layout",
]
