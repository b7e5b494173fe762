"""One cell of a meter, with packets on every CPU: never more than its burst and what has come in, and little less.

The packets are test runs with the clock of the machine, a thread for each CPU; another thread is the device, which
changes the configuration under them. What was let through is read from the meter's own counters.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from compiler.ir.entries import MeterConfig
from compiler.printers.layout import layout
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import SkbContext, pinned_to_cpu, run_skb
from runtime.device.kernel.grace import GracePeriods
from runtime.device.kernel.metermaps import MeterMap
from runtime.device.kernel.sides import SIDE_MAP, Sides
from runtime.device.records import ColorTallies, Tally
from runtime.device.undo import UndoLog
from runtime.verification.testrun_level import FIRST_IFINDEX, TestRunLevel
from tests.differential.metered import frame, metered

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
PORT, SECONDS, AT_ONCE, LENGTH = 1, 1.5, 2_000, 100
RATE = 100_000
DRAINED_S = 0.4
"""After so long the first burst is used up."""
BURST = RATE // 2
"""Half a second's: a machine that gives the packets no CPU for less loses nothing."""


@dataclass(frozen=True)
class Hammered:
    """What a meter told, from before its first configuration until after its last packet. And what it let through in
    the time in which it had no burst left, whatever the machine gave the CPUs to.
    """

    green: Tally
    yellow: Tally
    red: Tally
    seconds: float
    green_in_between: Tally
    passed_in_between: Tally
    seconds_in_between: float


@pytest.fixture
def level() -> Iterator[TestRunLevel]:
    with TestRunLevel(metered(), Hook.TC, flags={"test_mode": 0}, traces=False) as made:
        made.add_port(PORT)
        yield made


class Device:
    """The device's part of it: a meter, written as a Write does."""

    def __init__(self, level: TestRunLevel, name: str) -> None:
        self._undo, self._grace = UndoLog(), GracePeriods()
        self._sides = Sides(level.map(SIDE_MAP), self._undo, self._grace.wait)
        self._meter = MeterMap(layout(metered()).meter(name), level.map, time.monotonic_ns, self._sides, self._undo)

    def configure(self, config: MeterConfig) -> None:
        self._meter.configure(PORT, config)
        self._sides.commit()

    def tallies(self) -> ColorTallies:
        return self._meter.tallies([PORT])[0]

    def close(self) -> None:
        self._sides.close()
        self._grace.close()


def _hammer(level: TestRunLevel, name: str, change: Callable[[Device, int], None]) -> Hammered:
    """Packets on every CPU until the time is over; `change` is called again and again meanwhile, with a count."""
    device, cpus = Device(level, name), sorted(os.sched_getaffinity(0))
    over, begun = threading.Event(), threading.Barrier(len(cpus) + 1)

    def send(cpu: int) -> None:
        with pinned_to_cpu(cpu):
            begun.wait()
            while not over.is_set():
                context = SkbContext(ingress_ifindex=FIRST_IFINDEX + PORT)
                run_skb(level.program.fd, frame(9, LENGTH), context, repeat=AT_ONCE)

    began = time.monotonic()
    change(device, 0)
    threads = [threading.Thread(target=send, args=(cpu,)) for cpu in cpus]
    for thread in threads:
        thread.start()
    begun.wait()
    _change_until(began + DRAINED_S, device, change)
    first, drained = device.tallies(), time.monotonic()
    _change_until(began + SECONDS, device, change)
    seconds_in_between = time.monotonic() - drained
    over.set()
    for thread in threads:
        thread.join()
    run_skb(level.program.fd, frame(9, LENGTH), SkbContext(ingress_ifindex=FIRST_IFINDEX + PORT), repeat=5 * BURST)
    last = device.tallies()
    device.close()
    return Hammered(
        *last,
        seconds=time.monotonic() - began,
        green_in_between=_more(last[:1], first[:1]),
        passed_in_between=_more(last[:2], first[:2]),
        seconds_in_between=seconds_in_between,
    )


def _change_until(end: float, device: Device, change: Callable[[Device, int], None]) -> None:
    number = 0
    while time.monotonic() < end:
        number += 1
        change(device, number)
        time.sleep(0.001)


def _more(last: Sequence[Tally], first: Sequence[Tally]) -> Tally:
    pairs = list(zip(last, first, strict=True))
    return Tally(sum(one.packets - two.packets for one, two in pairs), sum(one.bytes - two.bytes for one, two in pairs))


def _first_only(config: MeterConfig) -> Callable[[Device, int], None]:
    return lambda device, number: device.configure(config) if number == 0 else None


def test_two_rates_on_all_cpus(level: TestRunLevel) -> None:
    config = MeterConfig(cir=RATE, cburst=BURST, pir=2 * RATE, pburst=2 * BURST)
    told = _hammer(level, "line", _first_only(config))
    passed = told.green.packets + told.yellow.packets
    assert told.red.packets > passed, "the packets were too few to say anything"
    least, most = 0.99 * RATE * told.seconds_in_between, RATE * told.seconds + BURST
    assert least <= told.green_in_between.packets
    assert 2 * least <= told.passed_in_between.packets
    assert told.green.packets <= most + 1
    assert passed <= 2 * most + 1


def test_one_rate_on_all_cpus(level: TestRunLevel) -> None:
    config = MeterConfig(cir=RATE * LENGTH, cburst=BURST * LENGTH, pir=0, pburst=0, eburst=BURST * LENGTH)
    told = _hammer(level, "excess", _first_only(config))
    most = LENGTH * (RATE * told.seconds + 2 * BURST)
    assert told.red.packets > told.green.packets
    assert told.green.bytes + told.yellow.bytes <= most + LENGTH
    assert 0.99 * RATE * LENGTH * told.seconds_in_between <= told.passed_in_between.bytes
    assert told.green.bytes <= most - BURST * LENGTH + LENGTH


def test_a_configuration_that_changes_all_the_time_gives_no_fresh_bursts(level: TestRunLevel) -> None:
    """A thousand changes of the burst, each of which would let a burst through if tokens were not kept."""

    def change(device: Device, number: int) -> None:
        burst = BURST if number % 2 else 100
        device.configure(MeterConfig(cir=RATE, cburst=burst, pir=RATE, pburst=burst))

    told = _hammer(level, "line", change)
    assert told.red.packets > told.green.packets
    assert told.yellow.packets <= told.green.packets // 100
    assert told.green.packets <= RATE * told.seconds + BURST + 1


def test_a_rate_that_changes_all_the_time_is_kept(level: TestRunLevel) -> None:
    """Between two rates: as many as both allow at most, and not fewer than the lower one."""

    def change(device: Device, number: int) -> None:
        rate = RATE * (1 + number % 2)
        device.configure(MeterConfig(cir=rate, cburst=BURST, pir=rate, pburst=BURST))

    told = _hammer(level, "line", change)
    assert told.red.packets > told.green.packets
    assert told.green.packets + told.yellow.packets <= 2 * RATE * told.seconds + BURST + 1
    assert 0.99 * RATE * told.seconds_in_between <= told.passed_in_between.packets


def test_every_packet_gets_one_color(level: TestRunLevel) -> None:
    device = Device(level, "line")
    device.configure(MeterConfig(cir=1, cburst=7, pir=1, pburst=9))
    with pinned_to_cpu():
        run_skb(level.program.fd, frame(9, LENGTH), SkbContext(ingress_ifindex=FIRST_IFINDEX + PORT), repeat=1_000)
    tallies = device.tallies()
    device.close()
    assert [one.packets for one in tallies] == [7, 2, 991]
    assert sum(one.bytes for one in tallies) == 1_000 * LENGTH
