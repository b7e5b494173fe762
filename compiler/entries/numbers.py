"""Numbers that tables refer to each other by: next hops, services, members.

A number that live flows carry must never change its meaning, so what a device already holds is looked at first: the
same thing keeps its number, and a new thing gets one that nothing uses. Without a device the numbers follow from the
policies alone. (Another way to the same workloads is the same next hop: `compiler.entries.succeeding`, which also says
what next hops a device has held.)

A next hop that has gone is held no more, while flows still carry its number. So a new one does not get the lowest free
number, which is likely to be that, but one that follows from what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from compiler.ir.entries import ActionCall, Entries, EntryKey, Exact, TableEntry
from compiler.ir.hashing import MASK, mix64_words
from compiler.pipeline import gateway, serverreturn
from compiler.pipeline.storage import LAST_SERVICE
from compiler.span import InternalError

FIRST, LAST = 1, (1 << 16) - 1
_HOP_SEED = 0x6E657874686F7000
_MEMBER_SEED = 0x6D656D6265720000
_DIRECT_SEED = 0x6469726563740000
_MEMBER_BITS = 31


class NumbersUsedUpError(Exception):
    """More things than numbers."""


Thing = TypeVar("Thing", bound=Hashable)


class Numbers(Generic[Thing]):
    """Gives out numbers `first` to `last`: to a known thing its own, to a new one the next that nothing uses.

    Looks from `preferred` on, without it from the first on.
    """

    def __init__(
        self,
        known: Mapping[Thing, int],
        used: Iterable[int] = (),
        preferred: Callable[[Thing], int] | None = None,
        *,
        first: int = FIRST,
        last: int = LAST,
        of_what: str = "next hops, services or portals",
    ) -> None:
        self._first, self._last, self._of_what = first, last, of_what
        self._known = {thing: number for thing, number in known.items() if first <= number <= last}
        self._used = {number for number in (*known.values(), *used) if first <= number <= last}
        self._lowest = first
        self._preferred = preferred

    def knows(self, thing: Thing) -> bool:
        return thing in self._known

    @property
    def known(self) -> Mapping[Thing, int]:
        """The numbers of all things that have one."""
        return self._known

    def hand_over(self, old: Thing, new: Thing) -> None:
        """Let a new thing have the number of a known one, which is known no more."""
        self._known[new] = self._known.pop(old)

    def of(self, thing: Thing) -> int:
        """The number of a thing; raises NumbersUsedUpError when all are taken."""
        known = self._known.get(thing)
        if known is None:
            if len(self._used) > self._last - self._first:
                raise NumbersUsedUpError(f"more than {self._last - self._first + 1} {self._of_what}")
            number = self._lowest if self._preferred is None else self._preferred(thing)
            while number in self._used:
                number = number + 1 if number < self._last else self._first
            if self._preferred is None:
                self._lowest = number
            self._known[thing] = known = number
            self._used.add(number)
        return known


@dataclass(frozen=True, slots=True, order=True)
class Mover:
    """A workload that may move: the number of its network, and the first of its addresses with its version."""

    network: int
    version: int
    address: int


class NextHops(Numbers["ActionCall | Mover"]):
    """Next hops by the action that reaches them, and some by the workload that they lead to, whatever reaches it."""

    def __init__(self, known: Mapping[ActionCall | Mover, int], used: Iterable[int], movers: Iterable[Mover]) -> None:
        super().__init__(known, used, _hop_number)
        self._movers = frozenset(movers)

    def to(self, mover: Mover | None, call: ActionCall) -> int:
        """The next hop to a workload, which is reached by this action."""
        return self.of(mover if mover is not None and mover in self._movers else call)


def crossings(previous: Entries) -> Numbers[ActionCall]:
    """Crossings by what they lead to. One number is the same in both families."""
    held = [entry for entry in previous.table_entries if entry.table.startswith(f"{gateway.TABLE}_")]
    known = {entry.action: first_match(entry) for entry in held if isinstance(entry.action, ActionCall)}
    return Numbers(known, map(first_match, held), last=(1 << gateway.ACROSS_BITS) - 1, of_what="ways into networks")


def _hop_number(hop: ActionCall | Mover) -> int:
    arguments = hop.arguments if isinstance(hop, ActionCall) else (hop.network, hop.version, hop.address)
    return _hash_of(_HOP_SEED, arguments) % LAST + 1


def _hash_of(seed: int, arguments: Iterable[int]) -> int:
    """`mix64` of numbers of 128 bits: two words each."""
    words: list[int] = []
    for argument in arguments:
        words += (argument >> 64, argument & MASK)
    return mix64_words(seed, words)


def services(previous: Entries) -> Numbers[EntryKey]:
    """Services by the key of their entry; their number is the first argument of its action."""
    return _services(previous, FIRST, LAST_SERVICE)


def portals(previous: Entries) -> Numbers[EntryKey]:
    """The same of portals and registries, whose numbers are above those of services."""
    return _services(previous, LAST_SERVICE + 1, LAST)


def _services(previous: Entries, first: int, last: int) -> Numbers[EntryKey]:
    known: dict[EntryKey, int] = {}
    for entry in previous.table_entries:
        if entry.table.startswith("service_") and isinstance(entry.action, ActionCall) and entry.action.arguments:
            known.setdefault(entry.key, entry.action.arguments[0])
    used = (group.id for group in previous.groups if group.selector.startswith("backends_"))
    return Numbers(known, used, first=first, last=last)


def first_match(entry: TableEntry) -> int:
    """The number that an entry is about, in tables whose first key is that."""
    match entry.matches[0]:
        case Exact(value=value):
            return value
        case other:
            raise InternalError(f"table {entry.table} is keyed by {other}")


def member_ids(calls: Mapping[ActionCall, object], previous: Entries, selector: str) -> dict[ActionCall, int]:
    """An id for each distinct action of a selector's members: that of before, else by a hash of the action.

    A hash keeps the ids, and so the Maglev rings, alike on all devices; on a clash the next free id is taken. Of a
    backend that answers by itself the next hop, which is a number of each device, counts for nothing here: a packet
    that comes in by another device than those before it finds the same backend there.
    """
    ids: dict[ActionCall, int] = {}
    held = [member for member in previous.members if member.selector == selector]
    used = {member.id for member in held}
    for member in held:
        if member.action in calls:
            ids.setdefault(member.action, member.id)
    for call in sorted(calls.keys() - ids.keys(), key=lambda c: (c.action, c.arguments)):
        if _is_direct(call):
            same = (m.id for m in held if _is_direct(m.action) and _place(m.action) == _place(call))
            kept = next((number for number in same if number not in ids.values()), None)
            if kept is not None:
                ids[call] = kept
                continue
        seed, identity = (_DIRECT_SEED, _place(call)) if _is_direct(call) else (_MEMBER_SEED, call)
        candidate = _hash_of(seed, identity.arguments) >> (64 - _MEMBER_BITS)
        while candidate in used or candidate == 0:
            candidate = (candidate + 1) % (1 << _MEMBER_BITS)
        ids[call] = candidate
        used.add(candidate)
    return ids


def _is_direct(call: ActionCall) -> bool:
    return call.action.startswith(serverreturn.BACKEND_ACTION)


def _place(call: ActionCall) -> ActionCall:
    """The same without the next hop: address and port."""
    return ActionCall(action=call.action, arguments=call.arguments[:2])
