"""An entry that nobody touches is found by every packet, whatever is written to its table at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from compiler.ir.entries import ActionCall, Exact, Lpm, Optional, Range, TableEntry, Ternary
from runtime.bpf.testrun import SkbContext, run_skb
from runtime.build import Hook
from runtime.verification.testrun_level import FIRST_IFINDEX, TestRunLevel
from tests.pipelines.acl import acl_pipeline, probe

pytestmark = [pytest.mark.root, pytest.mark.slow]
PORT, REPEAT, ROUNDS = 3, 50_000, 12
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


def below_it(level: TestRunLevel, round_: int) -> None:
    """Masks come and go, ids and slots are used again, the highest rank of others rises and falls."""
    mask = FULL ^ 1 << round_ % 12
    level.insert(entry(mask, 99 - round_ % 7))
    level.insert(entry(mask, 3, low=7, high=4000))
    level.delete(entry(mask, 99 - round_ % 7))
    level.delete(entry(mask, 3, low=7, high=4000))


def at_its_place(level: TestRunLevel, round_: int) -> None:
    """The place is shared: entries of less priority come, change and go there."""
    lower = entry(0xFF, 1 + round_ % 9)
    level.insert(lower)
    level.modify(replace(lower, action=ActionCall(action="deny")))
    level.delete(lower)


def past_packets(level: TestRunLevel, round_: int) -> None:
    """Of more priority, and never for this packet."""
    other = entry(FULL ^ 1 << 100 + round_ % 12, 200 + round_ % 5, low=1, high=65535)
    level.insert(other)
    level.delete(other)


@pytest.mark.parametrize("change", [below_it, at_its_place, past_packets], ids=lambda change: change.__name__)
def test_an_entry_that_nobody_touches(change: Callable[[TestRunLevel, int], None]) -> None:
    with TestRunLevel(acl_pipeline(), Hook.TC, traces=False) as level:
        level.add_port(PORT)
        level.insert(KEPT)
        done, rounds = threading.Event(), 0

        def packets() -> None:
            context = SkbContext(ingress_ifindex=FIRST_IFINDEX + PORT)
            for _ in range(ROUNDS):
                run_skb(level.program.fd, probe(), context, repeat=REPEAT)
            done.set()

        runner = threading.Thread(target=packets)
        runner.start()
        while not done.is_set():
            change(level, rounds)
            rounds += 1
        runner.join()
        assert level.direct_counter(KEPT.key).packets == ROUNDS * REPEAT
        assert rounds > ROUNDS
