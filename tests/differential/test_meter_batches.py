"""Meters within one batch, as the kernel target and the model target have them: what they say of packets after it.

Rates are 0, so that only bursts count and no time does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from compiler.ir.entries import ActionCall, EntryKey, Exact, MeterConfig, TableEntry
from compiler.ir.interpreter import Model
from compiler.ir.metering import Color
from compiler.printers.ebpf.printing import print_c
from runtime.bpf.chains import Hook
from runtime.bpf.object import Object, load
from runtime.bpf.testrun import SkbContext, run_skb
from runtime.build import compile_source
from runtime.device.kernel.instance import KernelInstance
from runtime.device.kernel.interfaces import DIRECT, OTHER, Interfaces
from runtime.device.modeltarget import ModelInstance, ModelTarget
from runtime.device.target import Instance
from tests.differential.metered import frame, metered

pytestmark = pytest.mark.root
PORT, SOURCE, LENGTH, IFINDEX = 1, 9, 100, 1001
METERS = ("line", "excess")
WORKLOADS = range(64)
"""As many as the table holds."""
Sent = tuple[tuple[int, ...], ...]


class Target(Protocol):
    instance: Instance

    def send(self) -> None: ...


class Kernel:
    def __init__(self) -> None:
        self._loaded: Object = load(compile_source(print_c(metered()), Hook.TC))
        self.instance = KernelInstance(metered(), self._loaded, 0, lambda _: self._loaded, lambda _: None)
        Interfaces(self._loaded.map(DIRECT), self._loaded.map(OTHER)).put(IFINDEX, PORT)

    def send(self) -> None:
        program = self._loaded.program(Hook.TC.value)
        run_skb(program.fd, frame(SOURCE, LENGTH), SkbContext(ingress_ifindex=IFINDEX))


class ModelTwin:
    def __init__(self) -> None:
        self.instance = ModelInstance(ModelTarget(), Model(metered()), lambda: 1000, lambda _: 0)

    def send(self) -> None:
        self.instance.process(PORT, frame(SOURCE, LENGTH))


def burst(packets: int, meter: str = "line") -> MeterConfig:
    if meter == "line":
        return MeterConfig(cir=0, cburst=packets, pir=0, pburst=2 * packets)
    octets = packets * LENGTH
    return MeterConfig(cir=0, cburst=octets, pir=0, pburst=octets, eburst=octets)


def workload(number: int, packets: int) -> TableEntry:
    meter = MeterConfig(cir=0, cburst=packets * LENGTH, pir=0, pburst=2 * packets * LENGTH)
    return TableEntry(table="workload", matches=(Exact(value=number),), action=ActionCall(action="police"), meter=meter)


KEY: EntryKey = workload(SOURCE, 1).key


def configure(instance: Instance, *packets: int | None) -> None:
    """Both indexed meters, once for each of these, in one batch; None takes the configuration away."""
    for number in packets:
        for meter in METERS:
            instance.configure_meter(meter, PORT, 1, None if number is None else burst(number, meter))
    instance.commit()


def fill(instance: Instance) -> None:
    for number in WORKLOADS:
        instance.insert_entry(workload(number, 3))
    configure(instance, 3)


def replace_all(instance: Instance) -> None:
    """The table is full, so each new entry has the index of an old one that packets still meet."""
    for number in WORKLOADS:
        instance.delete_entry(workload(number, 3).key)
    for number in WORKLOADS:
        instance.insert_entry(workload(number, 3))
    instance.commit()


def change_back_and_forth(instance: Instance) -> None:
    configure(instance, 1, 9)


def begin_anew(instance: Instance) -> None:
    configure(instance, None, 3)


def begin_anew_twice(instance: Instance) -> None:
    configure(instance, None, 3, None, 2, 4)


def fail(instance: Instance) -> None:
    for meter in METERS:
        instance.configure_meter(meter, PORT, 1, None)
        instance.configure_meter(meter, PORT, 1, burst(7, meter))
        instance.clear_meter_tallies(meter, PORT, 1)
    instance.modify_entry(workload(SOURCE, 9))
    instance.delete_entry(KEY)
    instance.undo.back_to(0)
    instance.commit()


FULL: Sent = ((3, 3, 4), (3, 3, 4), (3, 3, 4))
"""Green, yellow, red of ten packets: `line`, `excess`, the entry's."""
NONE: Sent = ((0, 0, 10),) * 3
CASES: dict[Callable[[Instance], None], Sent] = {
    begin_anew: ((3, 3, 4), (3, 3, 4), (0, 0, 10)),
    begin_anew_twice: ((2, 2, 6), (2, 2, 6), (0, 0, 10)),
    change_back_and_forth: NONE,
    replace_all: ((0, 0, 10), (0, 0, 10), (3, 3, 4)),
    fail: NONE,
}


@pytest.fixture(params=[Kernel, ModelTwin])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    made: Target = request.param()
    yield made
    made.instance.close()


def sent(target: Target) -> Sent:
    """What ten packets got."""
    before = told(target.instance)
    for _ in range(10):
        target.send()
    after = told(target.instance)
    return tuple(tuple(b - a for a, b in zip(*pair, strict=True)) for pair in zip(before, after, strict=True))


def told(instance: Instance) -> Sent:
    tallies = [*(instance.meter_tallies(meter, PORT, 1)[0] for meter in METERS)]
    tallies += instance.direct_meter_tallies("workload", [KEY])
    return tuple(tuple(tally[color].packets for color in Color) for tally in tallies)


@pytest.mark.parametrize("change", CASES, ids=lambda change: change.__name__)
def test_a_batch_of_meters(target: Target, change: Callable[[Instance], None]) -> None:
    fill(target.instance)
    assert sent(target) == FULL
    assert sent(target) == NONE
    change(target.instance)
    assert sent(target) == CASES[change]
