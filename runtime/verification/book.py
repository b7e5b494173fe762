"""Entries written by hand in the names of a pipeline: addresses as text, numbers as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from compiler.ir.entries import ActionCall, Exact, GroupRef, Lpm, MatchValue, MemberRef, TableEntry
from compiler.ir.names import Names
from compiler.ir.tables import MatchKind
from compiler.span import NOWHERE, Span

Number = int | str


def number(value: Number) -> int:
    """An address, a MAC address or a number as a number."""
    if isinstance(value, int):
        return value
    if len(value.split(":")) == 6 and all(len(part) == 2 for part in value.split(":")):
        return int(value.replace(":", ""), 16)
    return int(ip_address(value))


@dataclass(frozen=True)
class Book:
    """Writes entries in the names of a pipeline."""

    names: Names

    def call(self, action: str, **arguments: Number) -> ActionCall:
        params = self.names.actions[action].params
        assert [param.name for param in params] == list(arguments), action
        return ActionCall(action=action, arguments=tuple(number(value) for value in arguments.values()))

    def entry(
        self, table: str, action: ActionCall | MemberRef | GroupRef, *, span: Span = NOWHERE, **keys: Number | str
    ) -> TableEntry:
        """An LPM key is written `10.0.0.0/8`."""
        declared = self.names.tables[table].keys
        assert [key.name for key in declared] == list(keys)
        matches: list[MatchValue] = []
        for key, value in zip(declared, keys.values(), strict=True):
            if key.match is MatchKind.LPM:
                prefix = ip_network(str(value))
                matches.append(Lpm(value=int(prefix.network_address), prefix_len=prefix.prefixlen))
            else:
                matches.append(Exact(value=number(value)))
        return TableEntry(table=table, matches=tuple(matches), action=action, span=span)
