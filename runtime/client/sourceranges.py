"""Whom the entries of a device let in from outside: the longest prefix decides, as in the device itself. Pure."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.pipeline.admission import TABLE
from compiler.pipeline.family import FAMILIES

TABLES = {family.named(TABLE): family for family in FAMILIES}


class SourceRanges:
    """Those of a family."""

    def __init__(self, entries: Entries, family: str) -> None:
        self._entries, self._table = entries, f"{TABLE}_{family}"
        self._bits = TABLES[self._table].address_bits

    def deny(self, service_id: int, source: int) -> bool:
        """Whether a client outside is not let in; one that no range holds is."""
        by_length = self._denied.get(service_id, {})
        for length, by_prefix in by_length.items():
            found = by_prefix.get(source >> (self._bits - length))
            if found is not None:
                return found
        return False

    @cached_property
    def _denied(self) -> dict[int, dict[int, dict[int, bool]]]:
        """By service and prefix length, longest first, what becomes of a prefix."""
        found: defaultdict[int, defaultdict[int, dict[int, bool]]] = defaultdict(lambda: defaultdict(dict))
        for entry in self._entries.table_entries:
            match entry:
                case TableEntry(
                    matches=(Exact(value=number), Lpm(value=prefix, prefix_len=length)), action=ActionCall(action=name)
                ) if entry.table == self._table:
                    found[number][length][prefix >> (self._bits - length)] = name.startswith("deny")
                case _:
                    pass
        return {number: dict(sorted(by_length.items(), reverse=True)) for number, by_length in found.items()}
