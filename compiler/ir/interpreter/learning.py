"""The slots of one store, as the docstring of `compiler.ir.tables.Store` says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from compiler.ir.entries import ActionCall
from compiler.ir.expressions import width_bits
from compiler.ir.hashing import mix64
from compiler.ir.tables import Profile, Store, Table
from compiler.span import InternalError

EXPIRED_RANK = -1
WAY_SHIFT = 30
"""Of a hash: the bits that tell at which way of its sets a search begins."""
ENOUGH_FREE = 2
"""Free slots of a key's first set that keep its entry from the second one."""


@dataclass(slots=True)
class Slot:
    """A learned entry at its place in the store."""

    index: int
    table: str
    key: tuple[int, ...]
    action: ActionCall
    profile: Profile
    seen_ms: int
    packets: int = 0
    bytes: int = 0
    pair: int | None = None
    """Index of the slot of the other half."""
    counted: int | None = None
    """Id of the member that it counts for."""


@dataclass(frozen=True, slots=True)
class LearnResult:
    """The new slot, or None when the store is full for the key; and what left, with the reason."""

    slot: Slot | None
    left: tuple[tuple[Slot, str], ...] = field(default=())


class SlotStore:
    def __init__(self, store: Store, tables: Collection[Table], seed: int) -> None:
        self.store = store
        self._seed = seed
        self._sets = store.size // store.ways
        self._slots: dict[int, Slot] = {}
        self._profiles = {profile.id: profile for profile in store.profiles}
        self._by_name = {profile.name: profile for profile in store.profiles}
        self._widths = next((tuple(width_bits(key.expr) for key in table.keys) for table in tables), ())

    def slots(self) -> tuple[Slot, ...]:
        """In the order of their places."""
        return tuple(self._slots[index] for index in sorted(self._slots))

    def find(self, key: tuple[int, ...]) -> Slot | None:
        for index in self._places(key):
            slot = self._slots.get(index)
            if slot is not None and slot.key == key:
                return slot
        return None

    def at(self, index: int) -> Slot | None:
        return self._slots.get(index)

    def counts(self) -> Counter[int]:
        """How many entries count for each member (`compiler.ir.tables.Fewest`), those with none left out."""
        return Counter(
            slot.counted for slot in self._slots.values() if slot.counted is not None and not slot.profile.is_over
        )

    def bring(self, before: Slot, action: ActionCall) -> Slot | None:
        """An entry of another store goes on here, without its pair; None when no place of its key is free."""
        index = self._free(self._places(before.key))
        if index is None:
            return None
        profile = self._by_name[before.profile.name]
        made = Slot(index, before.table, before.key, action, profile, before.seen_ms, before.packets, before.bytes)
        made.counted = before.counted
        self._slots[index] = made
        return made

    def learn(
        self,
        table: str,
        key: tuple[int, ...],
        action: ActionCall,
        profile_id: int,
        now_ms: int,
        kept: Collection[int],
        counted: int | None = None,
    ) -> LearnResult:
        """Add an entry, which counts for the member `counted`. `kept` are the slots that this packet learned before.

        One such becomes the pair.
        """
        profile = self._profiles.get(profile_id)
        if profile is None:
            raise InternalError(f"store {self.store.name} has no profile {profile_id}")
        places = self._places(key)
        if any(index in kept and self._slots[index].key == key for index in places):
            return LearnResult(None)
        index = self._free(places)
        left: tuple[tuple[Slot, str], ...] = ()
        if index is None:
            index = self._victim(places, profile, now_ms, kept)
            if index is None:
                return LearnResult(None)
            left = self._evict(index)
        slot = self._slots[index] = Slot(index, table, key, action, profile, now_ms, counted=counted)
        for other in kept:
            slot.pair, self._slots[other].pair = other, index
        return LearnResult(slot, left)

    def renew(self, table: str, key: tuple[int, ...], action: ActionCall, profile_id: int, now_ms: int) -> Slot | None:
        """Change the entry of a key, if there is one; it goes on counting."""
        slot = self.find(key)
        if slot is not None:
            slot.table, slot.action, slot.profile, slot.seen_ms = table, action, self._profiles[profile_id], now_ms
        return slot

    def remove(self, slot: Slot) -> tuple[Slot, ...]:
        """Take an entry and its pair out; returns both."""
        pair = self._slots.get(slot.pair) if slot.pair is not None else None
        removed = (slot,) if pair is None else (slot, pair)
        for each in removed:
            del self._slots[each.index]
        return removed

    def touch(self, slot: Slot, now_ms: int, length: int) -> None:
        slot.seen_ms = now_ms
        slot.packets += 1
        slot.bytes += length

    def advance(self, slot: Slot, event: str) -> tuple[tuple[Slot, Profile], ...]:
        """Change the profile, and that of the pair, as the transitions say; returns what changed, with its old one."""
        other = self._slots.get(slot.pair) if slot.pair is not None else None
        for transition in self.store.transitions:
            if (transition.current, transition.event) == (slot.profile.name, event) and (
                not transition.other or (other is not None and other.profile.name == transition.other)
            ):
                changed = (self._change(slot, transition.next), self._change(other, transition.other_next))
                return tuple(change for change in changed if change is not None)
        return ()

    def _change(self, slot: Slot | None, profile: str) -> tuple[Slot, Profile] | None:
        if slot is None or profile in ("", slot.profile.name):
            return None
        before, slot.profile = slot.profile, self._by_name[profile]
        return slot, before

    def sweep(self, now_ms: int) -> tuple[Slot, ...]:
        """Remove what has expired, a pair when both halves have; in order of place."""
        gone = [slot for slot in self.slots() if self._is_expired(slot, now_ms) and self._pair_expired(slot, now_ms)]
        for slot in gone:
            del self._slots[slot.index]
        return tuple(gone)

    def _is_expired(self, slot: Slot, now_ms: int) -> bool:
        return now_ms - slot.seen_ms >= slot.profile.timeout_ms

    def _pair_expired(self, slot: Slot, now_ms: int) -> bool:
        return slot.pair is None or self._is_expired(self._slots[slot.pair], now_ms)

    def _places(self, key: tuple[int, ...]) -> tuple[int, ...]:
        """The slot indexes where a key may be, in the order of search."""
        digest = mix64(self._seed, zip(key, self._widths, strict=True))
        sets = dict.fromkeys((digest % self._sets, (digest >> 32) % self._sets))
        ways = self.store.ways
        first = (digest >> WAY_SHIFT) % ways
        return tuple(number * ways + (first + position) % ways for number in sets for position in range(ways))

    def _free(self, places: tuple[int, ...]) -> int | None:
        """The first free slot of the first set while that has two, then of the set that has more, first of equals."""
        free = [place for place in places if place not in self._slots]
        of_first = sum(place in places[: self.store.ways] for place in free)
        take_second = of_first < ENOUGH_FREE and len(free) - of_first > of_first
        return next(iter(free[of_first if take_second else 0 :]), None)

    def _victim(self, places: tuple[int, ...], profile: Profile, now_ms: int, kept: Collection[int]) -> int | None:
        candidates: list[tuple[int, int, int, int]] = []
        for position, index in enumerate(places):
            slot = self._slots[index]
            rank = EXPIRED_RANK if self._is_expired(slot, now_ms) else slot.profile.rank
            if rank <= profile.rank and index not in kept:
                candidates.append((rank, slot.seen_ms, position, index))
        return min(candidates)[3] if candidates else None

    def _evict(self, index: int) -> tuple[tuple[Slot, str], ...]:
        victim, *pair = self.remove(self._slots[index])
        return ((victim, "its slot is needed"), *((slot, "its pair left") for slot in pair))
