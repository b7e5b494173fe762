"""Packets on two CPUs and the device's programs at one store: no torn copy, no half alone, nothing lost to counting."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from compiler.printers.store_programs import StoreEvent
from runtime.bpf.object import Object
from runtime.bpf.testrun import pinned_to_cpu, run_xdp
from tests.differential.flow_store import COUNTED, ESTABLISHED, TINY, Kernel, Words

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
SECONDS = 1.0
REPEAT = 20_000
ROUNDS = 1000
FRAME = bytes(64)


def keys(number: int) -> tuple[Words, Words]:
    return (1000 + number, 2000 + number), (2000 + number, 1000 + number)


@pytest.fixture(params=[1, 2, 3, 12], ids=lambda count: f"{count}_flows")
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    made = Kernel(test_mode=False, hammered_keys=request.param)
    yield made
    made.close()


def hammer(kernel: Kernel, beside: Callable[[], object]) -> None:
    """Two threads of packets, each on its CPU, and a third that calls `beside`, until time is up."""
    end = time.monotonic() + SECONDS
    failures: list[BaseException] = []

    def until_end(step: Callable[[], object], cpu: int | None) -> None:
        try:
            with pinned_to_cpu(cpu):
                while time.monotonic() < end:
                    step()
        except BaseException as failure:  # noqa: BLE001  handed to the test below
            failures.append(failure)

    program = kernel.object.program("hammer").fd
    cpus = sorted(os.sched_getaffinity(0))[:2]
    works: list[tuple[Callable[[], object], int | None]] = [
        (lambda: run_xdp(program, FRAME, repeat=REPEAT), c) for c in cpus
    ]
    threads = [threading.Thread(target=until_end, args=work) for work in [*works, (beside, None)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def number(loaded: Object, name: str) -> int:
    variable = next(v for v in loaded.variables if v.name == name)
    section = loaded.map(variable.section).lookup(bytes(4)) or b""
    return struct.unpack_from("<Q", section, variable.offset)[0]


def expect_whole(kernel: Kernel) -> None:
    """What must hold when nobody is at the store."""
    assert number(kernel.object, "torn") == 0
    assert number(kernel.object, "hits") > 1000
    assert all(kernel.version(index) % 2 == 0 for index in range(TINY.size))
    slots = kernel.slots()
    for index, slot in slots.items():
        assert slot.pair is not None
        assert slots[slot.pair].pair == index
        assert slots[slot.pair].key == slot.key[::-1]
    assert kernel.counts() == kernel.true_counts()
    events = kernel.events()
    left = sum(count for event, count in events.items() if event not in (StoreEvent.LEARNED, StoreEvent.FULL))
    assert events[StoreEvent.LEARNED] - left == len(slots)


def expect_no_duplicates(kernel: Kernel) -> None:
    kernel.sweep()
    held = [slot.key for slot in kernel.slots().values()]
    assert len(held) == len(set(held))
    expect_whole(kernel)


def test_packets_alone(kernel: Kernel) -> None:
    hammer(kernel, lambda: time.sleep(0.01))
    expect_whole(kernel)
    expect_no_duplicates(kernel)


def test_packets_and_deletion_by_key(kernel: Kernel) -> None:
    turn = iter(range(1 << 60))

    def delete() -> None:
        flow, half = divmod(next(turn), 2)
        kernel.delete_key(keys(flow % 12)[half])

    hammer(kernel, delete)
    for flow in range(12):  # one that was deleted last, while a packet was at it, is ended and still there
        for key in keys(flow):
            assert not kernel.remove_ended(key).busy
    expect_whole(kernel)
    expect_no_duplicates(kernel)
    assert kernel.events()[StoreEvent.DELETED] > 0


def test_packets_and_deletion_by_slot_and_sweeps(kernel: Kernel) -> None:
    turn = iter(range(1 << 60))

    def delete_and_sweep() -> None:
        index = next(turn) % TINY.size
        kernel.delete_slot(index, kernel.version(index))
        kernel.sweep()

    hammer(kernel, delete_and_sweep)
    expect_whole(kernel)
    expect_no_duplicates(kernel)
    assert kernel.events()[StoreEvent.DELETED] > 0


def close_together() -> int:
    """Rounds in which two CPUs closed a half each of one pair; fewer than asked for if one had to wait too long."""
    kernel = Kernel(test_mode=False)
    kernel.learn(((1, 2), (2, 1)), ((0, 0, 0, 0),) * 2, ESTABLISHED)
    program = kernel.object.program("close_together").fd

    def play(half: int, cpu: int) -> None:
        with pinned_to_cpu(cpu):
            run_xdp(program, bytes([half]) + FRAME, repeat=ROUNDS)

    threads = [threading.Thread(target=play, args=place) for place in enumerate(sorted(os.sched_getaffinity(0))[:2])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert number(kernel.object, "half_closed") == 0
    assert kernel.counts() == kernel.true_counts() == {COUNTED: 1}
    rounds = number(kernel.object, "rounds")
    kernel.close()
    return rounds


def test_both_halves_closed_at_one_instant_are_closed_together() -> None:
    """Each CPU may see the other half as it was, but not both of them."""
    rounds = 0
    while rounds < ROUNDS:
        rounds += close_together()
