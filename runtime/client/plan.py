"""The difference between what a device holds and what it should hold, in an order that breaks no working service.

What is referred to comes before what refers to it, additions come before removals: members, groups, then tables from
the next hop back to the port; removals the other way round. First of all goes what nothing leads to, as a plan that was
stopped may leave it: there may be no room for both. Stopped anywhere, a plan leaves every service that worked before
working as before or as wanted. Learned tables are never part of it. Pure: no sockets here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from compiler.ir.entries import ActionCall, Entries, Exact, Group, GroupRef, Member, MemberRef, TableEntry

Entity = Member | Group | TableEntry
E = TypeVar("E", Member, Group, TableEntry)

REFERENCE_ORDER = (
    "network",
    "neighbor",
    "route_ipv4",
    "route_ipv6",
    "arp",
    "nd",
    "storage",
    "redirect_limit_ipv4",
    "redirect_limit_ipv6",
    "backend_ipv4",
    "backend_ipv6",
    "affinity_backend_ipv4",
    "affinity_backend_ipv6",
    "direct_backend_ipv4",
    "direct_backend_ipv6",
    "served_ipv4",
    "served_ipv6",
    "source_range_ipv4",
    "source_range_ipv6",
    "egress_port_ipv4",
    "egress_port_ipv6",
    "ingress_port_ipv4",
    "ingress_port_ipv6",
    "egress_peer_ipv4",
    "egress_peer_ipv6",
    "ingress_peer_ipv4",
    "ingress_peer_ipv6",
    "isolated_source_ipv4",
    "isolated_source_ipv6",
    "isolated_destination_ipv4",
    "isolated_destination_ipv6",
    "service_ipv4",
    "service_ipv6",
    "tunnel",
    "port",
)
"""Tables so that each comes after those that its entries lead to; tables not named here come last."""
_SERVICE, _BACKEND = "service_", "backend_"
"""Tables of services, and of what they lead to by their number, one for each family."""


class Kind(StrEnum):
    """The P4Runtime update that a step is, and how a plan shows it."""

    INSERT = "+"
    MODIFY = "~"
    DELETE = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One update. `before` is what the device holds now, for MODIFY and DELETE."""

    kind: Kind
    entity: Entity
    before: Entity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in the order in which they are to be written; `unchanged` counts what stays.

    So many of the first steps take away what nothing leads to.
    """

    steps: tuple[Step, ...]
    unchanged: int
    unreferred: int = 0

    def count(self, kind: Kind) -> int:
        return sum(step.kind is kind for step in self.steps)


def difference(present: Entries, desired: Entries) -> Plan:
    """The plan that turns `present` into `desired`."""
    members = _compare(present.members, desired.members, lambda m: (m.selector, m.id))
    groups = _compare(present.groups, desired.groups, lambda g: (g.selector, g.id))
    entries = _compare(present.table_entries, desired.table_entries, lambda e: e.key)
    put = [step for part in (members, groups, entries) for step in _in_order(part.put)]
    removed = [step for part in (entries, groups, members) for step in reversed(_in_order(part.removed))]
    idle = _idle(present, removed)
    first, last = [s for s in removed if id(s.entity) in idle], [s for s in removed if id(s.entity) not in idle]
    unchanged = members.unchanged + groups.unchanged + entries.unchanged
    return Plan(steps=(*first, *put, *last), unchanged=unchanged, unreferred=len(first))


def _idle(present: Entries, removed: Sequence[Step]) -> set[int]:
    """What goes and nothing leads to, by `id`: backends of no service, and what nothing else leads to."""
    if not removed:
        return set()
    served = served_numbers(present)
    going = [step.entity for step in removed]
    idle = {
        id(e) for e in going if isinstance(e, TableEntry) and e.table.startswith(_BACKEND) and not _numbers(e) <= served
    }
    actions = [entry.action for entry in present.table_entries if id(entry) not in idle]
    groups = {action.group_id for action in actions if isinstance(action, GroupRef)}
    idle |= {id(e) for e in going if isinstance(e, Group) and e.id not in groups}
    members = {action.member_id for action in actions if isinstance(action, MemberRef)}
    members |= {one.member_id for group in present.groups if id(group) not in idle for one in group.members}
    return idle | {id(e) for e in going if isinstance(e, Member) and e.id not in members}


def served_numbers(entries: Entries) -> set[tuple[str, int]]:
    """Families and numbers of the services that have an entry."""
    return {
        (entry.table.removeprefix(_SERVICE), entry.action.arguments[0])
        for entry in entries.table_entries
        if entry.table.startswith(_SERVICE) and isinstance(entry.action, ActionCall) and entry.action.arguments
    }


def _numbers(entry: TableEntry) -> set[tuple[str, int]]:
    """Family and number of the service that an entry of `backend_*` is for."""
    family = entry.table.removeprefix(_BACKEND)
    return {(family, match.value) for match in entry.matches if isinstance(match, Exact)}


@dataclass(frozen=True, slots=True)
class _Compared:
    put: list[Step]
    removed: list[Step]
    unchanged: int


def _compare(present: Sequence[E], desired: Sequence[E], key_of: Callable[[E], Hashable]) -> _Compared:
    old, new = {key_of(item): item for item in present}, {key_of(item): item for item in desired}
    put: list[Step] = []
    for key, item in new.items():
        before = old.get(key)
        if before is None:
            put.append(Step(kind=Kind.INSERT, entity=item))
        elif before != item:
            put.append(Step(kind=Kind.MODIFY, entity=item, before=before))
    removed = [Step(kind=Kind.DELETE, entity=item, before=item) for key, item in old.items() if key not in new]
    return _Compared(put, removed, len(new) - len(put))


def _in_order(steps: Iterable[Step]) -> list[Step]:
    """Sorted by what refers to what; the sort is stable, so equal ranks keep the order of the entries."""
    return sorted(steps, key=_rank)


def _rank(step: Step) -> int:
    if not isinstance(step.entity, TableEntry):
        return 0
    table = step.entity.table
    return REFERENCE_ORDER.index(table) if table in REFERENCE_ORDER else len(REFERENCE_ORDER)
