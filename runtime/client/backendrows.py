"""Backends as `turnout show backends` lists them: those of services with algorithm LeastConnections. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from compiler.ir.entries import ActionCall, Entries, Exact, GroupRef, TableEntry

Counts = Mapping[tuple[str, int], int]
"""Known connections that count for a member, by selector and id; of those with none nothing is said."""
COUNTING = "to_service_by_count_"
"""How the action of a service of this algorithm begins; the family follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A backend of one port of a service at one address. `backend` is address and port.

    `connections` are all that are known to it on the device, whichever service has sent them there.
    """

    entry: TableEntry
    family: str
    backend: tuple[int, int]
    weight: int
    connections: int


def asks_for_counts(entries: Entries) -> bool:
    """Whether a service is there that has backends to list."""
    return any(True for _ in _counting(entries))


def _counting(entries: Entries) -> Iterator[tuple[TableEntry, str, int]]:
    """The entries of services with the algorithm, each with its family and the service's number."""
    for entry in entries.table_entries:
        if isinstance(entry.action, ActionCall) and entry.action.action.startswith(COUNTING):
            yield entry, entry.action.action.removeprefix(COUNTING), entry.action.arguments[0]


def rows(entries: Entries, counts: Counts) -> Iterator[Row]:
    """In the order of entries and members."""
    backends = {
        (m.selector, m.id): (m.action.arguments[0], m.action.arguments[1])
        for m in entries.members
        if m.action.action.startswith("to_backend_")
    }
    members = {(group.selector, group.id): group.members for group in entries.groups}
    groups = {
        (entry.table.removeprefix("backend_"), match.value): entry.action.group_id
        for entry in entries.table_entries
        if isinstance(entry.action, GroupRef)
        for match in entry.matches
        if isinstance(match, Exact)
    }
    for entry, family, number in _counting(entries):
        selector = f"backends_{family}"
        for member in members.get((selector, groups.get((family, number), 0)), ()):
            key = (selector, member.member_id)
            yield Row(
                entry=entry,
                family=family,
                backend=backends[key],
                weight=member.weight,
                connections=counts.get(key, 0),
            )
