"""Which policy lines stand behind the entries of each table, for the comments of printed programs."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.ir.entries import TableEntry
from compiler.printers.p4.program import Provenance
from compiler.span import NOWHERE


def provenance(entries: Iterable[TableEntry]) -> Provenance:
    """By table: lines such as "examples/shop.yaml:147 DpuService shop/web:http", each once, in order."""
    found: dict[str, dict[tuple[str, int, str], None]] = {}
    for entry in entries:
        if entry.span != NOWHERE:
            found.setdefault(entry.table, {})[entry.span.path, entry.span.line, entry.owner] = None
    return {
        table: tuple(f"{path}:{line} {owner}".rstrip() for path, line, owner in sorted(lines))
        for table, lines in found.items()
    }
