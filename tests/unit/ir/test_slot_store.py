"""Which slots learned entries get, in a store large enough for its statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compiler.ir.entries import ActionCall
from compiler.ir.expressions import MetaRef
from compiler.ir.hashing import mix64
from compiler.ir.interpreter.learning import SlotStore
from compiler.ir.tables import ActionRef, Key, Profile, Store, Table

ENOUGH = 3 * (1 << 14) // 10
"""Entries that go into the store below whatever its seed, as good as always."""
KEPT = Profile(name="kept", id=1, timeout_ms=1000, rank=1)
STORE = Store(name="memory", size=1 << 14, ways=4, profiles=(KEPT,), events=(), transitions=())
TABLE = Table(
    name="known",
    id=1,
    keys=(Key(name="number", id=1, expr=MetaRef(name="number", width_bits=32)),),
    actions=(ActionRef(name="use"),),
    default_action="miss",
    size=1 << 14,
    store=STORE.name,
)


def learned(store: SlotStore, numbers: Iterable[int]) -> Iterator[bool]:
    """Learn an entry for each number; whether another one had to leave for it."""
    for number in numbers:
        yield bool(store.learn("known", (number,), ActionCall(action="use"), KEPT.id, 0, []).left)


def test_three_tenths_of_all_slots_are_taken_before_a_key_finds_none() -> None:
    store = SlotStore(STORE, [TABLE], seed=1)
    assert not any(learned(store, range(ENOUGH)))
    assert any(learned(store, range(ENOUGH, STORE.size)))


def test_most_entries_are_at_the_place_that_a_search_looks_at_first() -> None:
    """A quarter of the slots is taken; were the first free way of a set always the first one, 63 of 100 would be."""
    store = SlotStore(STORE, [TABLE], seed=1)
    numbers = range(STORE.size // 4)
    assert not any(learned(store, numbers))
    sets = STORE.size // STORE.ways
    hashes = {number: mix64(1, [(number, 32)]) for number in numbers}
    firsts = {number: hashed % sets * STORE.ways + (hashed >> 30) % STORE.ways for number, hashed in hashes.items()}
    assert sum(slot.index == firsts[slot.key[0]] for slot in store.slots()) > 0.85 * len(numbers)


def test_most_entries_lie_in_the_set_that_a_search_looks_at_first() -> None:
    store = SlotStore(STORE, [TABLE], seed=1)
    numbers = range(ENOUGH)
    assert not any(learned(store, numbers))
    sets = STORE.size // STORE.ways
    firsts = {number: mix64(1, [(number, 32)]) % sets for number in numbers}
    in_first = sum(slot.index // STORE.ways == firsts[slot.key[0]] for slot in store.slots())
    assert in_first > 0.9 * len(numbers)
