"""A pipeline as one C file: the view of it, and the template that prints it.

The file is compiled once with TURNOUT_TC and once with TURNOUT_XDP defined, with ebpf/include as its only include
folder. Called by `runtime.build` and by `turnout compile`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from compiler.ir.nodes import DropReason, Pipeline
from compiler.ir.statements import Count
from compiler.ir.walking import multicasts, statements
from compiler.printers.ebpf import controls, fastpath, metering, parser, structures, tables
from compiler.printers.ebpf.expressions import header_constant
from compiler.printers.ebpf.gathering import Gathered, Gathering, gathered
from compiler.printers.ebpf.usage import Usage, usage
from compiler.printers.layout import Layout, layout

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "ebpf"
INCLUDE = ROOT / "ebpf" / "include"
TEMPLATE = "pipeline.bpf.c.j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A constant with its value as text."""

    name: str
    value: str
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterView:
    """What is counted at a packet's end: `member` keeps an index, plus `above` so that 0 is none. `counters` is C."""

    member: str
    counters: str
    above: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketInView:
    """What a packet-in says besides its frame."""

    doc: str
    struct: structures.StructView


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestView:
    """What a digest says; `number` is its place, from 0."""

    name: str
    number: int
    doc: str
    struct: structures.StructView


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheringView:
    """An array of maps, all like `pattern`; `places` are the constants of its members' places."""

    name: str
    pattern: structures.MapView
    max_entries: int
    members: tuple[str, ...]
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineView:
    """All that the template prints."""

    name: str
    version: str
    doc: str
    headers: tuple[Named, ...]
    header_fields: tuple[structures.HeaderView, ...]
    positions: tuple[str, ...]
    metadata: tuple[structures.MemberView, ...]
    actions: tuple[Named, ...]
    drop_reasons: tuple[Named, ...]
    flags: tuple[str, ...]
    structs: tuple[structures.StructView, ...]
    table_structs: tuple[structures.StructView, ...]
    maps: tuple[structures.MapView, ...]
    gatherings: tuple[GatheringView, ...]
    stores: tuple[structures.StoreView, ...]
    renewing: frozenset[str]
    """Stores with entries that are renewed."""
    alone: frozenset[str]
    """Those that have no others, and so no pairs."""
    sought: frozenset[str]
    """Stores in which keys without an entry are sought."""
    learned: tuple[tuple[str, str], ...]
    """(table, store) of each learned table."""
    made_keys: tuple[str, ...]
    """Tables whose key is made in the scratch memory."""
    later: tuple[LaterView, ...]
    meters: tuple[metering.MeterView, ...]
    has_direct_meters: bool
    has_idle_timeouts: bool
    has_rings: bool
    states: tuple[parser.StateView, ...]
    deepest: int
    action_functions: tuple[controls.FunctionView, ...]
    asked_by_tables: tuple[controls.FunctionView, ...]
    """What functions of tables call, but for actions."""
    tables: tuple[tables.TableView, ...]
    controls: tuple[controls.FunctionView, ...]
    main: str
    """The call of the first control."""
    drop_counter: str
    packet_in: PacketInView | None
    copy_places: int
    """Of multicast groups and clone sessions, both sides together."""
    multicasts: bool
    digests: tuple[DigestView, ...]
    fast: fastpath.FastView | None

    def calls(self, function: str) -> bool:
        """Whether something printed calls a function of the frame: what nobody calls, a compiler complains of."""
        functions = (*self.action_functions, *self.asked_by_tables, *self.tables, *self.controls)
        lines = (line for each in functions for line in each.lines)
        return any(f"{function}(" in line for line in lines)


def print_c(pipeline: Pipeline, provenance: Mapping[str, Sequence[str]] | None = None) -> str:
    """The C of a pipeline. `provenance` gives, by table, the policy lines that its entries come from."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(TEMPLATE).render(view=pipeline_view(pipeline, provenance or {}))


def pipeline_view(pipeline: Pipeline, provenance: Mapping[str, Sequence[str]]) -> PipelineView:
    used, laid = usage(pipeline), layout(pipeline)
    arrays = gathered(pipeline, laid)
    printer = controls.Printer(pipeline=pipeline, usage=used, layout=laid, gathered=arrays)
    main = used.names.controls[pipeline.main]
    maps = (
        *(m for t in laid.tables for m in structures.table_maps(t)),
        *structures.counter_maps(laid),
        *structures.meter_maps(laid),
    )
    return PipelineView(
        name=pipeline.name,
        version=pipeline.version,
        doc=pipeline.doc,
        headers=_headers(pipeline),
        header_fields=structures.header_views(pipeline, used),
        positions=_positions(pipeline, used),
        metadata=structures.metadata_members(pipeline),
        actions=_action_numbers(laid),
        drop_reasons=tuple(_drop_reason(reason) for reason in pipeline.drop_reasons),
        flags=tuple(structures.flag(name) for name in structures.flagged(pipeline)),
        structs=structures.argument_structs(laid.actions),
        table_structs=tuple(s for t in laid.tables for s in structures.table_structs(t)),
        maps=maps,
        gatherings=tuple(_gathering(array, maps) for array in arrays.gatherings),
        stores=tuple(structures.store_view(store) for store in laid.stores),
        renewing=_stores(used, used.renewed),
        alone=_stores(used, used.renewed) - _stores(used, used.learned),
        sought=_stores(used, used.sought),
        learned=tuple((t.table, store.store.name) for store in laid.stores for t in store.tables),
        made_keys=tuple(t.table for t in laid.tables if arrays.makes_key(t)),
        later=_later(pipeline, laid, arrays),
        meters=metering.meter_views(laid, arrays),
        has_direct_meters=any(meter.table for meter in laid.meters),
        has_rings=any(table.selector is not None for table in laid.tables),
        has_idle_timeouts=any(table.seen is not None for table in laid.tables),
        states=tuple(parser.state_view(state, used) for state in parser.in_order(pipeline)),
        deepest=parser.deepest(pipeline, used),
        action_functions=tuple(f for f in map(printer.action, pipeline.actions) if f is not None),
        asked_by_tables=tuple(f for t in pipeline.tables for f in tables.functions_of(t, printer)),
        tables=tuple(
            tables.table_view(table, printer, provenance) for table in pipeline.tables if table.name in used.applied
        ),
        controls=tuple(printer.control(control) for control in controls.in_order(pipeline)),
        main=printer.call_of(main),
        drop_counter=pipeline.drop_counter,
        packet_in=_packet_in(pipeline, laid),
        copy_places=laid.replication.max_entries if laid.replication is not None else 0,
        multicasts=multicasts(pipeline),
        digests=_digests(pipeline, laid),
        fast=fastpath.fast_view(printer),
    )


def _stores(used: Usage, tables: frozenset[str]) -> frozenset[str]:
    """Of learned tables."""
    return frozenset(store for table in tables if (store := used.names.tables[table].store) is not None)


def _gathering(array: Gathering, maps: Sequence[structures.MapView]) -> GatheringView:
    return GatheringView(
        name=array.name,
        pattern=next(held for held in maps if held.name == array.shape.name),
        max_entries=array.max_entries,
        members=array.members,
        places=array.places,
    )


def _later(pipeline: Pipeline, laid: Layout, arrays: Gathered) -> tuple[LaterView, ...]:
    direct = (
        LaterView(member=t.table, counters=arrays.map(t.counters.name), above=0) for t in laid.tables if t.counters
    )
    names = dict.fromkeys(
        (action.name, s.counter) for action in pipeline.actions for s in statements(action.body) if isinstance(s, Count)
    )
    indexed = (
        LaterView(member=controls.later_name(action, counter), counters=f"&{counter}", above=1)
        for action, counter in names
    )
    return (*direct, *indexed)


def _digests(pipeline: Pipeline, laid: Layout) -> tuple[DigestView, ...]:
    return tuple(
        DigestView(
            name=digest.name,
            number=number,
            doc=digest.doc or "What a digest says.",
            struct=structures.c_struct(f"digest_of_{digest.name}", struct),
        )
        for number, (digest, struct) in enumerate(zip(pipeline.digests, laid.digests, strict=True))
    )


def _packet_in(pipeline: Pipeline, laid: Layout) -> PacketInView | None:
    if laid.packet_in is None:
        return None
    doc = (pipeline.packet_in and pipeline.packet_in.doc) or "What a packet-in says besides its frame."
    return PacketInView(doc=doc, struct=structures.c_struct("packet_in", laid.packet_in))


def _headers(pipeline: Pipeline) -> tuple[Named, ...]:
    return tuple(
        Named(name=header_constant(header.name), value=f"1 << {place}") for place, header in enumerate(pipeline.headers)
    )


def _positions(pipeline: Pipeline, used: Usage) -> tuple[str, ...]:
    return tuple(header.name for header in pipeline.headers if header.name in used.positioned)


def _action_numbers(laid: Layout) -> tuple[Named, ...]:
    return tuple(Named(name=tables.action_constant(a.name), value=f"{a.number:#08x}") for a in laid.actions)


def _drop_reason(reason: DropReason) -> Named:
    return Named(name=controls.reason_constant(reason.name), value=str(reason.id), doc=reason.doc)
