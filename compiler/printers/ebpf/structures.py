"""Views of structures and maps: of keys, values and slots from the layout, of headers and metadata from the IR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Store, Transition
from compiler.printers.ebpf.expressions import c_type
from compiler.printers.ebpf.usage import Usage
from compiler.printers.layout import (
    ActionLayout,
    Layout,
    MapKind,
    MapLayout,
    StoreLayout,
    StructLayout,
    TableLayout,
    ValueLayout,
)
from compiler.printers.layout_ternary import MAX_MASKS, MaskLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """One line of a structure; `offset` is asserted unless it is None."""

    type: str
    name: str
    offset: int | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StructView:
    """A structure with its size; `attributes` follow the closing brace."""

    name: str
    members: tuple[MemberView, ...]
    size: int = 0
    attributes: str = ""

    @property
    def asserted(self) -> tuple[MemberView, ...]:
        return tuple(m for m in self.members if m.offset is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapView:
    name: str
    kind: str
    entries: int
    key: str
    value: str
    flags: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderView:
    """The fields of a header that are kept; `doc` is its type's."""

    name: str
    members: tuple[MemberView, ...]
    doc: str


def c_struct(name: str, struct: StructLayout, *, attributes: str = "") -> StructView:
    """A structure of the layout, its gaps as members of their own."""
    members: list[MemberView] = []
    at = 0
    for member in struct.members:
        _pad(members, at, member.offset)
        is_bytes = member.big_endian
        members.append(
            MemberView(
                type="u8" if is_bytes else c_type(8 * member.size),
                name=f"{member.name}[{member.size}]" if is_bytes else member.name,
                offset=member.offset,
            )
        )
        at = member.offset + member.size
    _pad(members, at, struct.size)
    return StructView(name=name, members=tuple(members), size=struct.size, attributes=attributes)


def _pad(members: list[MemberView], at: int, until: int) -> None:
    if at < until:
        members.append(MemberView(type="u8", name=f"padding{at}[{until - at}]", offset=at))


def argument_structs(actions: Iterable[ActionLayout]) -> tuple[StructView, ...]:
    """The arguments of each action that has any, in a structure of the action's name."""
    return tuple(c_struct(a.name, a.arguments) for a in actions if a.arguments.members)


def value_struct(name: str, value: ValueLayout) -> StructView:
    """A table's value: the head, then a union of the arguments of its actions."""
    union = tuple(f"struct {a.name} {a.name};" for a in value.actions if a.arguments.members)
    members = [
        MemberView(type="u32", name="action", offset=0, comment="enum action; 0: no entry"),
        MemberView(type="u32", name="counter", offset=4, comment="index of the direct counter, from 1"),
    ]
    if value.has_rank:
        members.append(MemberView(type="u64", name="rank", offset=8, comment="priority, then a hash; the largest wins"))
    if union:
        at = value.arguments_offset
        members.append(MemberView(type=f"union {{ {' '.join(union)} }}", name="arguments", offset=at))
    else:
        _pad(members, value.arguments_offset, value.size)
    return StructView(name=name, members=tuple(members), size=value.size, attributes="__attribute__((aligned(8)))")


def table_structs(table: TableLayout) -> tuple[StructView, ...]:
    """Key and value of a table, its list of masks, and the value of its selector's members."""
    found: list[StructView] = []
    if table.map.kind is MapKind.LPM_TRIE:
        found.append(c_struct(f"{table.table}_key", table.key, attributes="__attribute__((packed))"))
    elif table.map.kind is MapKind.HASH:
        found.append(c_struct(f"{table.table}_key", table.key))
    if table.value is not None:
        found.append(value_struct(f"{table.table}_value", table.value))
    if table.group is not None:
        found.append(c_struct(f"{table.table}_value", table.group))
    if table.selector is not None:
        found.append(value_struct(f"{table.selector.name}_value", table.selector.member))
    if table.masks is not None:
        found += _mask_structs(table.masks)
    if table.default is not None:
        found.append(value_struct(f"{table.default.map.name}_value", table.default.value))
    return tuple(found)


def _mask_structs(masks: MaskLayout) -> tuple[StructView, StructView]:
    slots = MemberView(type=f"struct {masks.table}_mask", name=f"slots[{MAX_MASKS}]", offset=0)
    whole = StructView(name=f"{masks.table}_masks", members=(slots,), size=masks.size)
    return c_struct(f"{masks.table}_mask", masks.slot), whole


def table_maps(table: TableLayout) -> tuple[MapView, ...]:
    """The maps of a table."""
    key = "u32" if table.map.kind is MapKind.ARRAY else f"struct {table.table}_key"
    found = [_map(table.map, key, f"struct {table.table}_value")]
    if table.direct is not None:
        found.append(_map(table.direct, "u32", f"struct {table.table}_value"))
    if table.mask_map is not None:
        found.append(_map(table.mask_map, "u32", f"struct {table.table}_masks"))
    if table.default is not None:
        found.append(_map(table.default.map, "u32", f"struct {table.default.map.name}_value"))
    if table.counters is not None:
        found.append(_map(table.counters, "u32", "struct counter"))
    if table.seen is not None:
        found.append(_map(table.seen, "u32", "u64"))
    if table.selector is not None:
        found.append(_map(table.selector.ring, "u32", "u32"))
        found.append(_map(table.selector.members, "u32", f"struct {table.selector.name}_value"))
        if table.selector.turns is not None:
            found.append(_map(table.selector.turns, "u32", "u32"))
    return tuple(found)


def counter_maps(layout: Layout) -> tuple[MapView, ...]:
    return tuple(_map(counter.map, "u32", "struct counter") for counter in layout.counters)


def meter_maps(layout: Layout) -> tuple[MapView, ...]:
    types = ("struct meter_buckets", "struct meter_words", "struct counter")
    return tuple(
        _map(held, "u32", value) for meter in layout.meters for held, value in zip(meter.maps, types, strict=True)
    )


def _map(layout: MapLayout, key: str, value: str) -> MapView:
    return MapView(
        name=layout.name,
        kind=map_type(layout),
        entries=layout.max_entries,
        key=key,
        value=value,
        flags=map_flags(layout),
    )


def map_type(layout: MapLayout) -> str:
    """C of a map's type."""
    return f"BPF_MAP_TYPE_{layout.kind.value.upper()}"


def map_flags(layout: MapLayout) -> str:
    """C of a map's flags, empty without."""
    flags = {
        "BPF_F_NO_PREALLOC": layout.no_prealloc,
        "BPF_F_MMAPABLE": layout.mmapable,
        "BPF_F_INNER_MAP": layout.may_be_inner,
    }
    return " | ".join(name for name, is_set in flags.items() if is_set)


def header_views(pipeline: Pipeline, usage: Usage) -> tuple[HeaderView, ...]:
    """The kept fields of each header that has any."""
    found: list[HeaderView] = []
    for header in pipeline.headers:
        header_type = usage.header_type(header.name)
        members = tuple(
            MemberView(type=c_type(f.width_bits), name=f.name)
            for f in header_type.fields
            if (header.name, f.name) in usage.kept
        )
        if members:
            found.append(HeaderView(name=header.name, members=members, doc=header_type.doc))
    return tuple(found)


def metadata_members(pipeline: Pipeline) -> tuple[MemberView, ...]:
    """The metadata, the widest first, so that no gaps are in between."""
    ordered = sorted(pipeline.metadata, key=lambda f: -min(c_size(f.width_bits), 8))
    return tuple(MemberView(type=c_type(f.width_bits), name=f.name, comment=_bits(f.width_bits)) for f in ordered)


def c_size(width: int) -> int:
    """Bytes of the type that holds a value of this width."""
    return 16 if width > 64 else next(size for size in (1, 2, 4, 8) if width <= 8 * size)


def _bits(width: int) -> str:
    return "" if width in (8, 16, 32, 64, 128) else f"{width} bits" if width > 1 else "1 bit"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreView:
    """A store as flow_table.h wants it. Rows are initializers of the tables of profiles."""

    name: str
    doc: str
    key_words: int
    slot_bytes: int
    slots: int
    ways: int
    profiles: int
    events: tuple[str, ...]
    timeouts: tuple[str, ...]
    ranks: tuple[str, ...]
    moves: tuple[str, ...]
    transitions: tuple[str, ...]
    arguments: tuple[str, ...]
    tables: tuple[str, ...]
    argument_size: int
    profile_names: tuple[str, ...]
    counts: int
    """Numbers of members that entries count for, 0 where none does."""
    over: str
    """The profiles of entries that count no more, a bit each."""


def store_view(store: StoreLayout) -> StoreView:
    name, profiles = store.store.name, store.store.profiles
    label = {p.name: f"{name.upper()}_{p.name.upper()}" for p in profiles}
    return StoreView(
        name=name,
        doc=store.store.doc,
        key_words=store.key_words,
        slot_bytes=store.map.value_size,
        slots=store.store.size,
        ways=store.store.ways,
        profiles=max(p.id for p in profiles) + 1,
        events=tuple(event_constant(name, event) for event in store.store.events),
        timeouts=tuple(f"[{label[p.name]}] = {p.timeout_ms}" for p in profiles),
        ranks=tuple(f"[{label[p.name]}] = {p.rank}" for p in profiles),
        moves=tuple(_move(store.store, event, label) for event in store.store.events),
        transitions=tuple(_transition(name, transition, label) for transition in store.store.transitions),
        arguments=tuple(dict.fromkeys(t.action.name for t in store.tables)),
        tables=tuple(f"{table_constant(t.table)} = {t.index}" for t in store.tables),
        argument_size=store.arguments.size,
        profile_names=tuple(f"{label[p.name]} = {p.id}" for p in profiles),
        counts=store.counts.max_entries if store.counts is not None else 0,
        over=" | ".join(f"1 << {label[p.name]}" for p in profiles if p.is_over) or "0",
    )


def _move(store: Store, event: str, label: Mapping[str, str]) -> str:
    currents = dict.fromkeys(t.current for t in store.transitions if t.event == event)
    bits = " | ".join(f"1 << {label[current]}" for current in currents)
    return f"[{event_constant(store.name, event)}] = {bits or '0'}"


def _transition(store: str, transition: Transition, label: Mapping[str, str]) -> str:
    parts = {
        "event": event_constant(store, transition.event),
        "current": label[transition.current],
        "other": label.get(transition.other, ""),
        "next": label[transition.next],
        "other_next": label.get(transition.other_next, ""),
    }
    return "{" + ", ".join(f".{part} = {value}" for part, value in parts.items() if value) + "}"


def event_constant(store: str, event: str) -> str:
    return f"{store.upper()}_{event.upper()}"


def table_constant(table: str) -> str:
    """What a slot holds in `table`."""
    return f"TABLE_{table.upper()}"


def flagged(pipeline: Pipeline) -> tuple[str, ...]:
    """What has a flag: the tables that the control plane writes, and the stores."""
    written = (table.name for table in pipeline.tables if table.store is None)
    return (*written, *(store.name for store in pipeline.stores))


def flag(name: str) -> str:
    """The constant that says whether a table can have entries; 0 lets the verifier delete its code."""
    return f"uses_{name}"
