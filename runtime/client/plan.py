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

from compiler.ir.entries import Entries, Group, GroupRef, Member, MemberRef, TableEntry

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
    is_referred = _referred(present, [step.entity for step in groups.removed])
    first, last = [s for s in removed if not is_referred(s.entity)], [s for s in removed if is_referred(s.entity)]
    unchanged = members.unchanged + groups.unchanged + entries.unchanged
    return Plan(steps=(*first, *put, *last), unchanged=unchanged, unreferred=len(first))


def _referred(present: Entries, going: Sequence[Entity]) -> Callable[[Entity], bool]:
    """Whether something leads to a group or member of the device: groups that stay, or go later, lead to members."""
    groups, members = set[int](), set[int]()
    for entry in present.table_entries:
        match entry.action:
            case GroupRef(group_id=number):
                groups.add(number)
            case MemberRef(member_id=number):
                members.add(number)
            case _:
                pass
    alone = {(g.selector, g.id) for g in going if isinstance(g, Group) and g.id not in groups}
    staying = (group for group in present.groups if (group.selector, group.id) not in alone)
    members.update(member.member_id for group in staying for member in group.members)

    def is_referred(entity: Entity) -> bool:
        match entity:
            case Group():
                return (entity.selector, entity.id) not in alone
            case Member():
                return entity.id in members
            case _:
                return True

    return is_referred


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
