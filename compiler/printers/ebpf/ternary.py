"""Tables with ternary, range or optional keys as C: one look-up for each mask in use, the largest rank wins.

A mask below whose highest rank something has been found is passed over. The order is read once, so every mask that is
in use all the time is met once, whatever changes under way.
"""

from __future__ import annotations

from compiler.ir.expressions import Expr, width_bits
from compiler.ir.tables import Table
from compiler.printers.ebpf.expressions import WORD_BITS, c
from compiler.printers.ebpf.lines import Lines
from compiler.printers.layout import TableLayout
from compiler.printers.layout_tables import SIDE
from compiler.printers.layout_ternary import MASK_ID


def declare(lines: Lines, table: Table) -> None:
    """What the look-up works on. The key is in the scratch memory, where its gaps are always zero."""
    name = table.name
    lines.add(f"struct {name}_key *key = &scratch->{name};", f"struct {name}_key packet = {{")
    lines.extend(f"\t.{key.name} = {c(key.expr)}," for key in table.keys)
    lines.add(
        "};",
        f"struct {name}_value *found;",
        f"struct {name}_masks *masks;",
        "u32 side = scratch->side;",
        "u64 order, rank = 0;",
    )


def look_up(lines: Lines, table: Table, layout: TableLayout) -> None:
    """Leaves the entry in `value`, or none there; `masks` is the list."""
    lines.add("value = 0;", "order = FLOW_READ(masks->order);", f"key->{SIDE} = side;")
    with lines.block("for (u32 i = 0; i < MAX_MASKS; i++)"):
        lines.add("u32 at = mask_at(order, i);", f"struct {table.name}_mask *mask = &masks->slots[at];", "")
        lines.add(
            "if (i && at == mask_at(order, 0))", "\tbreak;", "if (FLOW_READ(mask->highest) <= rank)", "\tcontinue;"
        )
        lines.add(f"key->{MASK_ID} = FLOW_READ(mask->{MASK_ID});", f"mask = mask_behind(mask, key->{MASK_ID});")
        for one in table.keys:
            lines.extend(_masked(one.name, one.expr))
        lines.add(f"found = bpf_map_lookup_elem(&{layout.map.name}, key);")
        with lines.block("if (found && found->rank > rank)"):
            lines.add("value = found;", "rank = found->rank;")


def _masked(name: str, expr: Expr) -> tuple[str, ...]:
    if width_bits(expr) <= WORD_BITS:
        return (f"key->{name} = packet.{name} & FLOW_READ(mask->{name});",)
    halves = (f"{name}.high", f"{name}.low")
    return tuple(f"key->{half} = packet.{half} & FLOW_READ(mask->{half});" for half in halves)
