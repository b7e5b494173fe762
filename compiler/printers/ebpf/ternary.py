"""Tables with ternary, range or optional keys as C: one look-up for each mask in use, the largest rank wins.

Masks are in the order of the highest rank that an entry has under them, so the search ends at the first that cannot
give a larger one than what is found. Behind the masks in use the highest rank is 0.
"""

from __future__ import annotations

from compiler.ir.expressions import Expr, width_bits
from compiler.ir.tables import Table
from compiler.printers.ebpf.expressions import WORD_BITS, c
from compiler.printers.ebpf.lines import Lines
from compiler.printers.layout_maps import SIDE
from compiler.printers.layout_ternary import MASK_ID, MAX_MASKS


def declare(lines: Lines, table: Table) -> None:
    """What the look-up works on. The key is in the scratch memory, where its gaps are always zero."""
    name = table.name
    lines.add(f"struct {name}_key *key = &scratch->{name};", f"struct {name}_key packet = {{")
    lines.extend(f"\t.{key.name} = {c(key.expr)}," for key in table.keys)
    lines.add(
        "};",
        f"struct {name}_value *found;",
        f"struct {name}_masks *masks;",
        "const void *entries;",
        "u32 side = scratch->side;",
        "u64 rank = 0;",
    )


def look_up(lines: Lines, table: Table) -> None:
    """Leaves the entry in `value`, or none there; `masks` is the list, `entries` the map."""
    lines.add("value = 0;", f"key->{SIDE} = side;")
    with lines.block(f"for (u32 at = 0; at < {MAX_MASKS}; at++)"):
        lines.add(f"const struct {table.name}_mask *mask = &masks->slots[at];", "")
        lines.add("if (mask->highest <= rank)", "\tbreak;", f"key->{MASK_ID} = mask->{MASK_ID};")
        for one in table.keys:
            lines.extend(_masked(one.name, one.expr))
        lines.add("found = bpf_map_lookup_elem(entries, key);")
        with lines.block("if (found && found->rank > rank)"):
            lines.add("value = found;", "rank = found->rank;")


def _masked(name: str, expr: Expr) -> tuple[str, ...]:
    if width_bits(expr) <= WORD_BITS:
        return (f"key->{name} = packet.{name} & mask->{name};",)
    halves = (f"{name}.high", f"{name}.low")
    return tuple(f"key->{half} = packet.{half} & mask->{half};" for half in halves)
