"""Whom the entries of a device let in from outside: the longest prefix decides, as in the device itself. Pure."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.pipeline.family import FAMILIES

SOURCE_RANGES = "source_range_"
"""How the tables' names begin."""
_BITS = {family.name: family.address_bits for family in FAMILIES}


class SourceRanges:
    """Those of a family."""

    def __init__(self, entries: Entries, family: str) -> None:
        self._entries, self._table, self._bits = entries, f"{SOURCE_RANGES}{family}", _BITS[family]

    def deny(self, service_id: int, source: int) -> bool:
        """Whether a client outside is not let in; one that no range holds is."""
        by_length = self._denied.get(service_id, {})
        for length in sorted(by_length, reverse=True):
            found = by_length[length].get(source >> (self._bits - length))
            if found is not None:
                return found
        return False

    @cached_property
    def _denied(self) -> dict[int, dict[int, dict[int, bool]]]:
        """By service and prefix length, what becomes of a prefix."""
        found: defaultdict[int, defaultdict[int, dict[int, bool]]] = defaultdict(lambda: defaultdict(dict))
        for entry in self._entries.table_entries:
            match entry:
                case TableEntry(
                    matches=(Exact(value=number), Lpm(value=prefix, prefix_len=length)), action=ActionCall(action=name)
                ) if entry.table == self._table:
                    found[number][length][prefix >> (self._bits - length)] = name.startswith("deny")
                case _:
                    pass
        return {number: dict(by_length) for number, by_length in found.items()}
