"""Tables as C: one function each that makes the key, looks it up once, and runs the entry's action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.ir.expressions import width_bits
from compiler.ir.tables import Action, ActionRef, Table, Turns
from compiler.printers.ebpf import ternary
from compiler.printers.ebpf.controls import FunctionView, Printer, learned_key, taken
from compiler.printers.ebpf.expressions import c, given, hash_of, number
from compiler.printers.ebpf.lines import Lines
from compiler.printers.ebpf.structures import flag, table_constant
from compiler.printers.layout import MapKind, MapLayout, StoreLayout, TableLayout
from compiler.printers.layout_maps import SIDE, SIDE_BITS, SIDES
from compiler.printers.layout_store import LearnedTableLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table's function. `provenance` are the policy lines that its entries come from; `store` is a learned one's.

    One that `reaches` brings what the program before has when it is asked for. So do those that packets learn into; one
    that is only asked (for what an ICMP error quotes) finds it a moment later, when the device has had all brought.
    """

    name: str
    doc: str
    provenance: tuple[str, ...]
    lines: tuple[str, ...]
    store: str
    reaches: bool = False


def action_constant(action: str) -> str:
    return f"ACTION_{action.upper()}"


def table_view(table: Table, printer: Printer, provenance: Mapping[str, Sequence[str]]) -> TableView:
    lines = Lines()
    if table.store is not None:
        _learned(lines, table, printer, printer.layout.store_of(table.name))
    else:
        _written(lines, table, printer, printer.layout.table(table.name))
    return TableView(
        name=table.name,
        doc=table.doc,
        provenance=tuple(provenance.get(table.name, ())),
        lines=lines.done(),
        store=table.store or "",
        reaches=table.name in printer.usage.learned,
    )


def _miss(lines: Lines, table: Table, printer: Printer, condition: str) -> None:
    """Run the default action and end, when the condition holds."""
    missed = f"return missed({table_id(table)});"
    action = printer.usage.names.actions[table.default_action]
    if not table.has_const_default:
        lines.add(f"if ({condition})", f"\treturn default_of_{table.name}(scratch);")
    elif not action.body:
        lines.add(f"if ({condition})", f"\t{missed}")
    else:
        with lines.block(f"if ({condition})"):
            pairs = zip(action.params, table.default_arguments, strict=True)
            values = ", ".join(f".{p.name} = {number(value, p.width_bits)}" for p, value in pairs)
            lines.add(*_call(action, f"&(const struct {action.name}){{{values}}}"), missed)


def functions_of(table: Table, printer: Printer) -> tuple[FunctionView, ...]:
    """What the function of a table calls, but for actions."""
    default = _default_view(table, printer)
    sought = (_taken_view(table, printer),) if table.name in printer.usage.sought else ()
    return (*((default,) if default is not None else ()), *sought, *_fewest_views(table, printer))


def _taken_view(table: Table, printer: Printer) -> FunctionView:
    """Whether a learned table has an entry for the packet, be it one that the program before has.

    By itself, for the verifier: a loop asks it for one key after the other. Who asks is about to learn this key, and
    those that it has missed in the store's other tables: their slots are made ready.
    """
    store, lines = printer.layout.store_of(table.name), Lines()
    name, usage = store.store.name, printer.usage
    lines.add("struct scratch *scratch = scratch_of_cpu();", "", f"if (!scratch || !{flag(name)})", "\treturn 0;")
    lines.add(f"struct {name}_entry *entry = &scratch->{table.name};", "")
    learned_key(lines, name, table)
    with lines.block(f"if ({name}_holds(entry, scratch->side) || {name}_was_there(entry))"):
        lines.add("return 1;")
    missed = (f"&scratch->{t.table}" for t in store.tables if t.table in usage.applied & usage.learned)
    lines.extend(f"{name}_make_ready({one}, (u32)scratch->now_ms);" for one in (*missed, "entry"))
    lines.add("return 0;")
    return FunctionView(
        signature=f"__noinline u32 {taken(table.name)}(void)",
        doc=f"Whether {table.name} has an entry for the packet; if not, it may be learned.",
        lines=lines.done(),
    )


def _default_view(table: Table, printer: Printer) -> FunctionView | None:
    """What runs the default entry of a table, where that may be modified; always a miss."""
    layout = printer.layout.table(table.name) if table.store is None else None
    if layout is None or layout.default is None:
        return None
    lines, name = Lines(), layout.default.map.name
    lines.add("u32 side = scratch->side;", f"struct {name}_value *value = bpf_map_lookup_elem(&{name}, &side);", "")
    lines.add("if (!value)", f"\treturn missed({table_id(table)});")
    if layout.default.counter:
        lines.add(f"scratch->later.{table.name} = value->counter;")
    lines.add("switch (value->action) {")
    for action in (printer.usage.names.actions[action] for action in table.default_actions):
        if action.body:
            lines.add(f"case {action_constant(action.name)}:")
            lines.add(*(f"\t{line}" for line in _call(action, f"&value->arguments.{action.name}")), "\tbreak;")
    lines.add("default:", "\tbreak;", "}", f"return missed({table_id(table)});")
    signature = f"static __always_inline bool default_of_{table.name}(struct scratch *scratch)"
    doc = f"What the default entry of {table.name} says; a miss."
    return FunctionView(signature=signature, doc=doc, lines=lines.done())


def table_id(table: Table) -> str:
    return f"{table.id:#010x}"


def _written(lines: Lines, table: Table, printer: Printer, layout: TableLayout) -> None:
    value = f"struct {table.name}_value"
    lines.add(f"{value} *value;")
    if layout.mask_map is not None:
        ternary.declare(lines, table)
    else:
        _key(lines, table, printer, layout)
    lines.add("")
    _miss(lines, table, printer, f"!{flag(table.name)}")
    if layout.mask_map is not None:
        lines.add(f"masks = {printer.gathered.entry(layout.mask_map.name, '&side')};")
        lines.add(f"entries = {printer.gathered.map(layout.map.name)};")
        _miss(lines, table, printer, "!masks || !entries")
        ternary.look_up(lines, table)
    else:
        _look_up(lines, printer, layout, "key" if printer.gathered.makes_key(layout) else "&key")
    if layout.selector is not None:
        _selected(lines, table, printer, layout)
    else:
        has_array = layout.direct is not None or layout.map.kind is MapKind.ARRAY
        _miss(lines, table, printer, "!value || !value->action" if has_array else "!value")
        _met(lines, table, layout)
        _switch(lines, table, printer, "value")


def _look_up(lines: Lines, printer: Printer, layout: TableLayout, key: str) -> None:
    """Entries whose keys are all 0 but the first may be in an array of their own."""
    found = f"value = {printer.gathered.entry(layout.map.name, key)};"
    if layout.direct is None:
        lines.add(found)
        return
    first, *others = (member.name for member in layout.key_members)
    with lines.block(f"if ({' || '.join(f'key.{name}' for name in others)})"):
        lines.add(found)
    with lines.otherwise():
        lines.add(
            f"u32 index = {_array_index(f'key.{first}', layout.direct)};",
            "",
            f"value = bpf_map_lookup_elem(&{layout.direct.name}, &index);",
        )


def _key(lines: Lines, table: Table, printer: Printer, layout: TableLayout) -> None:
    if layout.map.kind is MapKind.ARRAY:
        lines.add(f"u32 key = {_array_index(c(table.keys[0].expr), layout.map)};")
        return
    if layout.map.kind is MapKind.LPM_TRIE:
        # Not on the stack, where the kernel wants every write aligned.
        lines.add(f"struct {table.name}_key *key = &scratch->{table.name};")
        lines.add("", f"key->prefix_len = {SIDE_BITS + sum(width_bits(key.expr) for key in table.keys)};")
        lines.add(f"key->{SIDE}[0] = scratch->side;")
        lines.extend(f"write_u{width_bits(key.expr)}(key->{key.name}, {given(key.expr)});" for key in table.keys)
        return
    if printer.gathered.makes_key(layout):
        lines.add(f"struct {table.name}_key *key = &scratch->{table.name};", "")
        lines.add("__builtin_memset(key, 0, sizeof(*key));")
        lines.extend(f"key->{key.name} = {c(key.expr)};" for key in table.keys)
        lines.add(f"key->{SIDE} = scratch->side;")
        return
    lines.add(f"struct {table.name}_key key = {{")
    lines.extend(f"\t.{key.name} = {c(key.expr)}," for key in table.keys)
    lines.add(f"\t.{SIDE} = scratch->side,", "};")


def _array_index(key: str, layout: MapLayout) -> str:
    """The entry of a key on the packet's side; those of side 1 come behind those of side 0."""
    return f"{key} + {layout.max_entries // SIDES} * scratch->side"


def _selected(lines: Lines, table: Table, printer: Printer, layout: TableLayout) -> None:
    """Pick a member of the group: a slot of its slice of the ring, or of the cycle of turns behind it."""
    selector = layout.selector
    if selector is None or table.selector is None:
        return
    name = selector.name
    _miss(lines, table, printer, "!value || !value->ring_size")
    if table.selector.turns is not None and selector.turns is not None:
        lines.add("u32 slot = value->group_offset;", "")
        if table.selector.fewest is not None:
            with lines.block(f"if ({c(table.selector.fewest.asked)})"):
                lines.add(f"slot = {_fewest_of(name)}(slot + value->ring_size, value->cycle_size);")
            with lines.otherwise(f"if ({c(table.selector.turns.asked)})"):
                _slot_in_turn(lines, table, printer, table.selector.turns, selector.turns)
        else:
            with lines.block(f"if ({c(table.selector.turns.asked)})"):
                _slot_in_turn(lines, table, printer, table.selector.turns, selector.turns)
        with lines.otherwise():
            lines.add(f"u64 hash = {hash_of(table.selector.inputs)};", "")
            lines.add("slot += (u32)(hash >> 32) % value->ring_size;")
    else:
        lines.add(
            f"u64 hash = {hash_of(table.selector.inputs)};",
            "u32 slot = value->group_offset + (u32)(hash >> 32) % value->ring_size;",
        )
    lines.add(f"u32 *index = {printer.gathered.entry(selector.ring.name, '&slot')};")
    _miss(lines, table, printer, "!index")
    lines.add(f"struct {name}_value *member = {printer.gathered.entry(selector.members.name, 'index')};")
    _miss(lines, table, printer, "!member")
    if selector.counts_in:
        lines.add(f"scratch->{selector.counts_in}_counted = member->counter;")
    _met(lines, table, layout)
    _switch(lines, table, printer, "member")


def _fewest_of(selector: str) -> str:
    """The function that chooses by counts."""
    return f"fewest_of_{selector}"


def _fewest_views(table: Table, printer: Printer) -> tuple[FunctionView, ...]:
    """What chooses by counts among the members of a table's groups; none where nobody asks for it."""
    layout = printer.layout.table(table.name) if table.store is None else None
    selector = layout.selector if layout is not None else None
    if selector is None or not selector.counts_in:
        return ()
    busy, lines = f"busy_{selector.name}", Lines()
    lines.add(f"u32 *index = {printer.gathered.entry(selector.ring.name, '&slot')};")
    lines.add(
        f"struct {selector.name}_value *member = index ? {printer.gathered.entry(selector.members.name, 'index')} : 0;"
    )
    lines.add("u32 number = member ? member->counter : 0;")
    lines.add(f"u32 *count = number ? bpf_map_lookup_elem(&{selector.counts_in}_counts, &number) : 0;", "")
    lines.add("return count ? *(volatile u32 *)count : 0;")
    counting = FunctionView(
        signature=f"__noinline u32 {busy}(u32 slot)",
        doc=f"How many entries of {selector.counts_in} count for the member in a slot of the ring.",
        lines=lines.done(),
    )
    lines = Lines()
    lines.add("u32 number = drawn();", "", "if (!length)", "\treturn cycle;")
    lines.add("u32 first = (number & 0xffff) % length, second = first;", "", "if (length > 1)")
    lines.add("\tsecond = (first + (number >> 16) % (length - 1) + 1) % length;")
    lines.add(f"return cycle + ({busy}(cycle + second) < {busy}(cycle + first) ? second : first);")
    choosing = FunctionView(
        signature=f"__noinline u32 {_fewest_of(selector.name)}(u32 cycle, u32 length)",
        doc="Of two slots of a cycle, drawn by chance, the one whose member is less busy. Functions of their own, as "
        "first packets alone of few services ask for it.",
        lines=lines.done(),
    )
    return counting, choosing


def _slot_in_turn(lines: Lines, table: Table, printer: Printer, turns: Turns, held: MapLayout) -> None:
    lines.add(f"u32 cell = {c(turns.cell)};", f"u32 *number = {printer.gathered.entry(held.name, '&cell')};", "")
    _miss(lines, table, printer, "!number || !value->cycle_size")
    lines.add("slot += value->ring_size + __sync_fetch_and_add(number, 1) % value->cycle_size;")


def _met(lines: Lines, table: Table, layout: TableLayout) -> None:
    """What lies beside an entry is told that a packet has met it."""
    if layout.counters is not None:
        lines.add(f"scratch->later.{table.name} = value->counter;")
    if layout.seen is not None:
        lines.add(f"see_entry(&{layout.seen.name}, value->counter, scratch->now_ms);")
    if table.meter is not None:
        lines.add("scratch->metered = value->counter;")


def _switch(lines: Lines, table: Table, printer: Printer, value: str) -> None:
    lines.add(f"asked({table_id(table)}, {value}->action);", f"switch ({value}->action) {{")
    for ref in _in_entries(table):
        action = printer.usage.names.actions[ref.name]
        lines.add(f"case {action_constant(ref.name)}:")
        lines.add(*(f"\t{line}" for line in _call(action, f"&{value}->arguments.{ref.name}")), "\treturn true;")
    lines.add("default:", "\treturn false;", "}")


def _in_entries(table: Table) -> tuple[ActionRef, ...]:
    return tuple(ref for ref in table.actions if ref.in_entries)


def _call(action: Action, arguments: str, hit: str = "") -> tuple[str, ...]:
    if not action.body:
        return ()
    given = [*([arguments] if action.params else []), *([hit] if hit else []), "scratch"]
    return (f"{action.name}({', '.join(given)});",)


def _learned(lines: Lines, table: Table, printer: Printer, store: StoreLayout) -> None:
    """The store finds entries of all its tables; each runs the action of its own."""
    name = store.store.name
    lines.add(f"struct {name}_entry *entry = &scratch->{table.name};", "")
    _miss(lines, table, printer, f"!{flag(name)}")
    learned_key(lines, name, table)
    _miss(lines, table, printer, f"!{name}_find_entry(entry, hit, is_likely)")
    with lines.block(f"if (unlikely(hit->table > {len(store.tables)}) && !{name}_goes_on(hit, scratch->side))"):
        lines.add("entry->free = 0;", f"return missed({table_id(table)});")
    lines.add("switch (hit->table) {")
    for same in _by_action(store):
        action = printer.usage.names.actions[same[0].action.name]
        hit = "hit" if printer.store_of_action(action) else ""
        lines.add(*(f"case {table_constant(learned.table)}:" for learned in same))
        lines.add(f"\tasked({table_id(table)}, {action_constant(action.name)});")
        lines.add(*(f"\t{line}" for line in _call(action, f"&hit->arguments.{action.name}", hit)), "\treturn true;")
    lines.add("default:", f"\treturn missed({table_id(table)});", "}")


def _by_action(store: StoreLayout) -> tuple[tuple[LearnedTableLayout, ...], ...]:
    """Tables of a store whose entries have one action are one case."""
    found: dict[str, list[LearnedTableLayout]] = {}
    for learned in store.tables:
        found.setdefault(learned.action.name, []).append(learned)
    return tuple(map(tuple, found.values()))
