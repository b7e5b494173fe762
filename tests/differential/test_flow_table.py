"""The flow table's C against the IR's model of a store: any sequence of operations leaves the same slots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from compiler.printers.store_programs import StoreEvent
from tests.differential.flow_store import (
    CLOSING,
    ESTABLISHED,
    EVENTS,
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
    assert kernel.sweep(99, 5).removed == (0,) * 16
