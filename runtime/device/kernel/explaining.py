"""What a device that takes over its pinned maps says of them: differences of bytes in the words of P4."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable

from compiler.ir.ranks import rank
from compiler.printers.layout import Layout, TableLayout
from compiler.printers.layout_replication import replication_name
from compiler.printers.layout_values import RANK
from runtime.device.contents import Contents, TableContents
from runtime.device.findings import Finding, Found
from runtime.device.kernel.predecessor import rank_of
from runtime.device.kernel.sidedmap import Difference
from runtime.device.records import RowKey

Name = Callable[[bytes, bytes], str]
"""From key and value of what is, or should be, in a map."""


def explained(
    plan: Layout, contents: Contents, differences: Iterable[Difference], moved: Collection[str] = ()
) -> list[Found]:
    """By table, then by kind; entries with several places once.

    Of tables that have `moved`, entries with another value are as they should be: their groups may just lie elsewhere.
    """
    names = _names(plan, contents)
    parts = {f"table {table}" for table in moved}
    found: dict[tuple[str, Finding], dict[str, None]] = {}
    for one in differences:
        if one.layout.name not in names:
            continue
        part, name = names[one.layout.name]
        for key, wanted in one.wanted.items():
            was = one.was.get(key)
            kind = Finding.MISSING if was is None else Finding.EXTRA if wanted is None else Finding.DIFFERENT
            if kind is Finding.DIFFERENT and part in parts:
                continue
            found.setdefault((part, kind), {})[name(key, wanted or was or b"")] = None
    return [Found(part=part, finding=kind, entries=tuple(entries)) for (part, kind), entries in found.items()]


def _names(plan: Layout, contents: Contents) -> dict[str, tuple[str, Name]]:
    """By the map: the part of the pipeline that it belongs to, and how its entries are called.

    Lists of masks are not here: they follow from the entries.
    """
    names: dict[str, tuple[str, Name]] = {}
    for table in plan.tables:
        held, part = contents.tables[table.table], f"table {table.table}"
        named = _masked(table, held) if table.masks is not None else _plain(table, held)
        names[table.map.name] = part, named
        if table.direct is not None:
            names[table.direct.name] = part, _direct(table, named)
        if table.default is not None:
            names[table.default.map.name] = part, _constant("the default entry")
    for meter in plan.meters:
        part = f"meter of table {meter.table}" if meter.table else f"meter {meter.name}"
        names[meter.configs.name] = part, _cell
    if plan.replication is not None:
        names[plan.replication.name] = "packet replication", lambda key, _: replication_name(key)
    return names


def _plain(table: TableLayout, held: TableContents) -> Name:
    def name(key: bytes, value: bytes) -> str:
        del value
        return _shown(held, held.codec.keys.key_of(table.decode_key(key)))

    return name


def _shown(held: TableContents, key: RowKey) -> str:
    return held.codec.shown(key).removeprefix(f"table {held.codec.name}, entry ")


def _direct(table: TableLayout, named: Name) -> Name:
    first = table.key.members[0].size
    return lambda key, value: named(key[:first].ljust(table.key.size, b"\0"), value)


def _masked(table: TableLayout, held: TableContents) -> Name:
    """An entry is known by its rank, which is in its value; one that the journal has not has no name."""
    keys = held.codec.keys
    known: dict[bytes, str] = {}

    def name(key: bytes, value: bytes) -> str:
        del key
        if not known:
            known.update(
                (RANK.pack(rank(keys.matches_of(row), keys.priority_of(row))), _shown(held, row)) for row in held.rows
            )
        return known.get(rank_of(table, value), "an unknown one")

    return name


def _constant(text: str) -> Name:
    def name(key: bytes, value: bytes) -> str:
        del key, value
        return text

    return name


def _cell(key: bytes, value: bytes) -> str:
    del value
    return f"cell {int.from_bytes(key, sys.byteorder)}"
