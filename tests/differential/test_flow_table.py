"""The flow table's C against the IR's model of a store: any sequence of operations leaves the same slots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from compiler.printers.store_programs import MAX_PROFILES, Deleted, StoreEvent
from tests.differential.flow_store import (
    CLOSING,
    ESTABLISHED,
    EVENTS,
    KNOWN,
    LEARNED,
    NEW,
    SHORT,
    TINY,
    Arguments,
    Kernel,
    Reference,
    Words,
)

pytestmark = pytest.mark.root
WRAP = 1 << 32


@dataclass(frozen=True, slots=True)
class Packet:
    """Looks its key up; if `event` is set, a hit tells it. On a miss it learns as many entries as `halves`."""

    flow: int
    is_reply: bool
    event: int
    halves: int
    profile: int
    length: int


@dataclass(frozen=True, slots=True)
class Wait:
    ms: int


@dataclass(frozen=True, slots=True)
class Sweep:
    pass


@dataclass(frozen=True, slots=True)
class DeleteKey:
    flow: int
    is_reply: bool


@dataclass(frozen=True, slots=True)
class DeleteSlot:
    index: int
    is_stale: bool


Step = Packet | Wait | Sweep | DeleteKey | DeleteSlot
FLOWS = 12
packets = st.builds(
    Packet,
    flow=st.integers(0, FLOWS - 1),
    is_reply=st.booleans(),
    event=st.integers(0, len(EVENTS)),
    halves=st.sampled_from([2, 2, 2, 1]),
    profile=st.sampled_from([NEW, NEW, ESTABLISHED, CLOSING, SHORT]),
    length=st.integers(0, 1 << 31),
)
steps = st.one_of(
    packets,
    packets,
    packets,
    st.builds(Wait, ms=st.sampled_from([0, 1, 5, 29, 30, 31, 59, 60, 119, 120, 999, 1000])),
    st.builds(Sweep),
    st.builds(DeleteKey, flow=st.integers(0, FLOWS - 1), is_reply=st.booleans()),
    st.builds(DeleteSlot, index=st.integers(0, TINY.size - 1), is_stale=st.booleans()),
)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    yield made
    made.close()


class Both:
    """Kernel and model side by side at one time."""

    def __init__(self, kernel: Kernel, now_ms: int) -> None:
        self.kernel, self.model, self.now_ms = kernel, Reference(), now_ms
        kernel.clear()
        kernel.set_clock(now_ms)

    def take(self, step: Step) -> None:
        match step:
            case Packet():
                self._packet(step)
            case Wait(ms=ms):
                self.now_ms += ms
                self.kernel.set_clock(self.now_ms)
            case Sweep():
                live = self.model.sweep(self.now_ms), len(self.model.slots())
                swept = self.kernel.sweep()
                assert (sum(swept.removed), sum(swept.live)) == live
                assert (swept.next_slot, swept.busy) == (TINY.size, 0)
            case DeleteKey(flow=flow, is_reply=is_reply):
                key = keys(flow)[is_reply]
                assert self.kernel.delete_key(key).removed == self.model.delete(self.model.store.find(key))
            case DeleteSlot(index=index, is_stale=is_stale):
                version = self.kernel.version(index) + (2 if is_stale else 0)
                wanted = 0 if is_stale else self.model.delete(self.model.slot(index))
                assert self.kernel.delete_slot(index, version).removed == wanted
        assert self.kernel.slots() == self.model.slots()
        assert self.kernel.counts() == self.kernel.true_counts() == self.model.store.counts()

    def _packet(self, packet: Packet) -> None:
        both = keys(packet.flow)
        key = both[packet.is_reply]
        found = self.kernel.find(key, packet.event, packet.length)
        assert found == self.model.find(key, packet.event, packet.length, self.now_ms)
        learns = both[: packet.halves] if not packet.is_reply else (both[1], both[0])[: packet.halves]
        if found is None and not any(self.model.store.find(each) for each in learns):
            arguments = tuple(arguments_of(each, packet.length) for each in learns)
            assert self.kernel.learn(learns, arguments, packet.profile) == self.model.learn(
                learns, arguments, packet.profile, self.now_ms
            )


def keys(flow: int) -> tuple[Words, Words]:
    """Of flow 0 both directions have one key."""
    return ((flow, flow), (flow, flow)) if flow == 0 else ((flow, ~flow % (1 << 64)), (~flow % (1 << 64), flow))


def arguments_of(key: Words, salt: int) -> Arguments:
    return (key[0] ^ salt) & 0xFFFFFFFF, key[1] & 0xFFFF, salt & 0xFFFF, key[0] * 3 % (1 << 64)


def fill(count: int, profile: int, *, start: int = 1) -> list[Step]:
    return [
        Packet(flow=flow, is_reply=False, event=0, halves=1, profile=profile, length=flow)
        for flow in range(start, start + count)
    ]


@given(start=st.sampled_from([5_000, WRAP - 100, 3 * WRAP - 1]), sequence=st.lists(steps, min_size=20, max_size=80))
@example(start=5_000, sequence=[*fill(11, ESTABLISHED), *fill(11, NEW, start=1)])
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.slow
def test_kernel_and_model_hold_the_same_slots(kernel: Kernel, start: int, sequence: list[Step]) -> None:
    both = Both(kernel, start)
    for step in sequence:
        both.take(step)
    events = kernel.events()
    assert events == both.model.events
    assert all(kernel.version(index) % 2 == 0 for index in range(TINY.size))
    left = sum(count for event, count in events.items() if event not in (StoreEvent.LEARNED, StoreEvent.FULL))
    assert events[StoreEvent.LEARNED] - left == len(kernel.slots())


def test_established_flows_are_no_victims_of_a_new_one(kernel: Kernel) -> None:
    both = Both(kernel, 5_000)
    for step in fill(11, ESTABLISHED):
        both.take(step)
    assert len(kernel.slots()) == TINY.size
    before = kernel.slots()
    assert kernel.learn(((77, 1),), ((0, 0, 0, 0),), NEW) == (0,)
    assert kernel.slots() == before


def test_a_second_half_that_finds_no_place_takes_the_first_back(kernel: Kernel) -> None:
    both = Both(kernel, 5_000)
    for step in fill(11, ESTABLISHED):
        both.take(step)
    both.take(DeleteSlot(index=0, is_stale=False))
    before = kernel.slots()
    results = {kernel.learn(((n, 1), (1, n)), ((1, 1, 1, 1), (2, 2, 2, 2)), NEW) for n in range(100, 140)}
    assert results == {(0, 0), (1, 0)}
    assert kernel.slots() == before
    assert kernel.events()[StoreEvent.WITHDRAWN] > 0


def test_a_sweep_removes_the_second_of_two_entries_with_one_key(kernel: Kernel) -> None:
    both = Both(kernel, 5_000)
    both.take(Packet(flow=3, is_reply=False, event=0, halves=1, profile=NEW, length=1))
    (index,) = kernel.slots()
    size = kernel.layout.map.value_size
    twin = next(i for i in range(index + 1, index // 4 * 4 + 4))
    kernel.slots_memory[twin * size : (twin + 1) * size] = kernel.raw_slot(index)
    assert sum(kernel.sweep().removed) == 1
    assert set(kernel.slots()) == {index}
    assert kernel.events()[StoreEvent.DUPLICATE] == 1


def test_sweeps_go_by_ranges(kernel: Kernel) -> None:
    both = Both(kernel, 5_000)
    for step in fill(11, NEW):
        both.take(step)
    held = len(kernel.slots())
    both.kernel.set_clock(5_060)
    first, second = kernel.sweep(0, 3), kernel.sweep(3, 512)
    assert (first.next_slot, second.next_slot) == (3, TINY.size)
    assert first.removed[NEW] + second.removed[NEW] == held
    assert kernel.sweep(99, 5).removed == (0,) * MAX_PROFILES


def hold(kernel: Kernel, index: int) -> None:
    """Make a slot look as if another CPU were changing it, or no longer."""
    at = index * kernel.layout.map.value_size + kernel.layout.head_offset
    kernel.slots_memory[at] ^= 1


def learn_pair(kernel: Kernel) -> tuple[int, int]:
    """One pair in an empty store; the slots of both halves."""
    both = Both(kernel, 5_000)
    both.take(Packet(flow=3, is_reply=False, event=0, halves=2, profile=NEW, length=1))
    slots = kernel.slots()
    first = next(index for index, slot in slots.items() if slot.table == "table_1")
    second = slots[first].pair
    assert second is not None
    return first, second


def test_a_key_that_another_cpu_has_learned_is_not_learned_again(kernel: Kernel) -> None:
    learn_pair(kernel)
    before = kernel.slots()
    known, known_reply = keys(3)
    nothing = (0, 0, 0, 0)
    assert kernel.learn((known, (50, 51)), (nothing, nothing), NEW) == (KNOWN, KNOWN)
    assert kernel.learn(((50, 51), known_reply), (nothing, nothing), NEW) == (LEARNED, KNOWN)
    assert kernel.slots() == before
    assert kernel.events()[StoreEvent.WITHDRAWN] == 1


def test_a_slot_that_is_being_changed_is_no_hit_and_no_place(kernel: Kernel) -> None:
    first, second = learn_pair(kernel)
    hold(kernel, first)
    assert kernel.find(keys(3)[0], 0, 1) is None
    assert kernel.find(keys(3)[1], 0, 1) is not None
    raw = kernel.raw_slot(first)
    for number in range(100, 120):
        kernel.learn(((number, 1),), ((0, 0, 0, 0),), ESTABLISHED)
    assert kernel.raw_slot(first) == raw
    hold(kernel, first)
    assert kernel.slots()[first].pair == second
    assert kernel.slots()[second].pair == first


@pytest.mark.parametrize("held", [0, 1], ids=["the_slot", "its_pair"])
def test_a_pair_of_which_one_half_is_being_changed_stays_whole(kernel: Kernel, held: int) -> None:
    halves = learn_pair(kernel)
    before = kernel.slots()
    hold(kernel, halves[held])
    assert kernel.delete_slot(halves[0], kernel.version(halves[0])) == Deleted(removed=0, busy=True)
    kernel.set_clock(50_000)
    assert kernel.sweep().busy == 2
    hold(kernel, halves[held])
    assert kernel.slots() == before
    assert sum(kernel.sweep().removed) == 2


def test_deletion_by_key_of_a_pair_that_is_being_changed_says_so(kernel: Kernel) -> None:
    _, second = learn_pair(kernel)
    hold(kernel, second)
    assert kernel.delete_key(keys(3)[0]) == Deleted(removed=0, busy=True)
    hold(kernel, second)
    assert kernel.delete_key(keys(3)[0]) == Deleted(removed=2, busy=False)
