"""Numbers that tables refer to each other by: next hops, services, members.

A number that live flows carry must never change its meaning, so what a device already holds is looked at first: the
same thing keeps its number, and a new thing gets one that nothing uses. Without a device the numbers follow from the
policies alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from compiler.ir.entries import ActionCall, Entries, Exact, TableEntry
from compiler.ir.hashing import mix64
from compiler.span import InternalError

FIRST, LAST = 1, (1 << 16) - 1
_MEMBER_SEED = 0x6D656D6265720000
_MEMBER_BITS = 31


class NumbersUsedUpError(Exception):
    """More things than numbers."""


class Numbers:
    """Gives out numbers 1 to 65,535: to a known thing its own, to a new one the lowest that nothing uses."""

    def __init__(self, known: Mapping[Hashable, int], used: Iterable[int] = ()) -> None:
        self._known = dict(known)
        self._used = {*known.values(), *used}
        self._next = FIRST

    def of(self, thing: Hashable) -> int:
        """The number of a thing; raises NumbersUsedUpError when all are taken."""
        if thing not in self._known:
            while self._next in self._used:
                self._next += 1
            if self._next > LAST:
                raise NumbersUsedUpError(f"more than {LAST} next hops or services")
            self._known[thing] = self._next
            self._used.add(self._next)
        return self._known[thing]


def next_hops(previous: Entries) -> Numbers:
    """Next hops by the action that reaches them."""
    held = [entry for entry in previous.table_entries if entry.table == "neighbor"]
    known: dict[Hashable, int] = {}
    for entry in held:
        known.setdefault(entry.action, _first_match(entry))
    return Numbers(known, map(_first_match, held))


def services(previous: Entries) -> Numbers:
    """Services by the key of their entry; their number is the first argument of its action."""
    known: dict[Hashable, int] = {}
    for entry in previous.table_entries:
        if entry.table.startswith("service_") and isinstance(entry.action, ActionCall) and entry.action.arguments:
            known.setdefault(entry.key, entry.action.arguments[0])
    return Numbers(known, (group.id for group in previous.groups))


def _first_match(entry: TableEntry) -> int:
    match entry.matches[0]:
        case Exact(value=value):
            return value
        case other:
            raise InternalError(f"table {entry.table} is keyed by {other}")


def member_ids(calls: Mapping[ActionCall, object], previous: Entries, selector: str) -> dict[ActionCall, int]:
    """An id for each distinct action of a selector's members: that of before, else by a hash of the action.

    A hash keeps the ids, and so the Maglev rings, alike on all devices; on a clash the next free id is taken.
    """
    ids: dict[ActionCall, int] = {}
    used = {member.id for member in previous.members if member.selector == selector}
    for member in previous.members:
        if member.selector == selector and member.action in calls:
            ids.setdefault(member.action, member.id)
    for call in sorted(calls.keys() - ids.keys(), key=lambda c: (c.action, c.arguments)):
        candidate = mix64(_MEMBER_SEED, [(argument, 128) for argument in call.arguments]) >> (64 - _MEMBER_BITS)
        while candidate in used or candidate == 0:
            candidate = (candidate + 1) % (1 << _MEMBER_BITS)
        ids[call] = candidate
        used.add(candidate)
    return ids
