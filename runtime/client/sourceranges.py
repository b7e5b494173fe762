"""Whom the entries of a device let in from outside: the longest prefix decides, as in the device itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.pipeline.admission import TABLE
from compiler.pipeline.family import FAMILIES
from runtime.client.prefixes import Prefixes

TABLES = {family.named(TABLE): family for family in FAMILIES}


class SourceRanges:
    """Those of a family."""

    def __init__(self, entries: Entries, family: str) -> None:
        self._entries, self._table = entries, f"{TABLE}_{family}"
        self._bits = TABLES[self._table].address_bits

    def deny(self, service_id: int, source: int) -> bool:
        """Whether a client outside is not let in; one that no range holds is."""
        return bool(self._denied.longest(service_id, source))

    @cached_property
    def _denied(self) -> Prefixes[bool]:
        """By service, what becomes of a prefix."""
        return Prefixes(self._bits, self._ranges())

    def _ranges(self) -> Iterator[tuple[int, int, int, bool]]:
        for entry in self._entries.table_entries:
            match entry:
                case TableEntry(
                    matches=(Exact(value=number), Lpm(value=prefix, prefix_len=length)), action=ActionCall(action=name)
                ) if entry.table == self._table:
                    yield number, prefix, length, name.startswith("deny")
                case _:
                    pass
