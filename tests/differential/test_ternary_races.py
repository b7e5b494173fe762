"""An entry that nobody touches is found by every packet, whatever is written to its table at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from compiler.ir.entries import ActionCall, Exact, Lpm, Optional, Range, TableEntry, Ternary
from compiler.printers.ebpf.printing import print_c
from runtime.bpf.chains import Hook
from runtime.bpf.object import Object, load
from runtime.bpf.testrun import SkbContext, run_skb
from runtime.build import compile_source
from runtime.device.kernel.instance import KernelInstance
from runtime.device.kernel.interfaces import DIRECT, OTHER, Interfaces
from tests.pipelines.acl import acl_pipeline, probe

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
PORT, REPEAT, ROUNDS = 3, 20_000, 40
IFINDEX = 1000 + PORT
FULL = (1 << 128) - 1


def entry(mask: int, priority: int, *, low: int = 0, high: int = 65535) -> TableEntry:
    matches = (
        Exact(value=PORT),
        Lpm(value=0, prefix_len=0),
        Ternary(value=0, mask=mask),
        Range(low=low, high=high),
        Optional(value=None),
    )
    return TableEntry(
        table="acl", matches=matches, priority=priority, action=ActionCall(action="allow", arguments=(priority,))
    )


KEPT = entry(0xFF, 100)


def below_it(device: KernelInstance, round_: int) -> None:
    """Masks come and go, their ids are used again, the highest rank of others rises and falls."""
    mask = FULL ^ 1 << round_ % 12
    upper, lower = entry(mask, 99 - round_ % 7), entry(mask, 3, low=7, high=4000)
    for one in (upper, lower):
        device.insert_entry(one)
        device.commit()
    for one in (upper, lower):
        device.delete_entry(one.key)
        device.commit()


def at_its_place(device: KernelInstance, round_: int) -> None:
    """The place is shared: entries of less priority come, change and go there."""
    lower = entry(0xFF, 1 + round_ % 9)
    device.insert_entry(lower)
    device.commit()
    device.modify_entry(replace(lower, action=ActionCall(action="deny")))
    device.commit()
    device.delete_entry(lower.key)
    device.commit()


def past_packets(device: KernelInstance, round_: int) -> None:
    """Of more priority, and never for this packet."""
    other = entry(FULL ^ 1 << 100 + round_ % 12, 200 + round_ % 5, low=1, high=65535)
    device.insert_entry(other)
    device.commit()
    device.delete_entry(other.key)
    device.commit()


@contextmanager
def running() -> Generator[tuple[KernelInstance, Object]]:
    loaded = load(compile_source(print_c(acl_pipeline()), Hook.TC))
    device = KernelInstance(acl_pipeline(), loaded, 0, lambda _: loaded, lambda _: None)
    Interfaces(loaded.map(DIRECT), loaded.map(OTHER)).put(IFINDEX, PORT)
    yield device, loaded
    device.close()


@pytest.mark.parametrize("change", [below_it, at_its_place, past_packets], ids=lambda change: change.__name__)
def test_an_entry_that_nobody_touches(change: Callable[[KernelInstance, int], None]) -> None:
    with running() as (device, loaded):
        device.insert_entry(KEPT)
        device.commit()
        over, sent = threading.Event(), 0

        def packets() -> None:
            nonlocal sent
            while not over.is_set():
                run_skb(loaded.program(Hook.TC.value).fd, probe(), SkbContext(ingress_ifindex=IFINDEX), repeat=REPEAT)
                sent += REPEAT

        runner = threading.Thread(target=packets)
        runner.start()
        for round_ in range(ROUNDS):
            change(device, round_)
        over.set()
        runner.join()
        assert sent > ROUNDS
        assert device.direct_tallies("acl", [KEPT.key])[0].packets == sent
