"""Which policy lines the entries of each table come from, for the comments of printed programs."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.ir.entries import Entries
from compiler.span import Span


def spans_by_table(entries: Iterable[Entries]) -> dict[str, tuple[Span, ...]]:
    """Table -> places in policies, each once, in order."""
    return {table: tuple(span for span, _ in places) for table, places in _places(entries).items()}


def lines_by_table(entries: Iterable[Entries]) -> dict[str, tuple[str, ...]]:
    """Table -> lines such as "examples/shop.yaml:147 DpuService shop/web:http", each once, in order."""
    return {
        table: tuple(dict.fromkeys(f"{span.path}:{span.line} {owner}".rstrip() for span, owner in places))
        for table, places in _places(entries).items()
    }


def _places(entries: Iterable[Entries]) -> dict[str, list[tuple[Span, str]]]:
    found: dict[str, set[tuple[Span, str]]] = {}
    for one in entries:
        for entry in one.table_entries:
            found.setdefault(entry.table, set()).add((entry.span, entry.owner))
    return {
        table: sorted(places, key=lambda place: (place[0].path, place[0].line, place[1]))
        for table, places in found.items()
    }
