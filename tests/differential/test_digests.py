"""Digests: what the ring gives the device is what the interpreter says, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from compiler.ir.entries import ActionCall, Exact, TableEntry
from compiler.ir.interpreter import SentDigest
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.comparison import Comparison
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.vector import PacketIn
from runtime.verification.wire_level import WireLevel
from tests.pipelines.digests import digests

pytestmark = [pytest.mark.root, pytest.mark.slow]
Kernel = TestRunLevel | WireLevel
LEVELS: dict[str, Callable[[], Kernel]] = {
    "tc": lambda: TestRunLevel(digests(), Hook.TC),
    "xdp": lambda: TestRunLevel(digests(), Hook.XDP),
    "wire": lambda: WireLevel(digests()),
}


def entry(table: str, address: int, action: ActionCall) -> TableEntry:
    return TableEntry(table=table, matches=(Exact(value=address),), action=action)


def frame(dst: int, src: int, kind: int) -> bytes:
    return dst.to_bytes(6, "big") + src.to_bytes(6, "big") + kind.to_bytes(2, "big") + bytes(40)


@pytest.fixture(params=list(LEVELS.values()), ids=list(LEVELS))
def level(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    with pinned_to_cpu(), request.param() as made:
        yield made


def test_the_controller_is_told_what_the_interpreter_says(level: Kernel) -> None:
    compared = Comparison([level])
    compared.insert(
        entry("source", 0x020000000001, ActionCall(action="known")),
        entry("destination", 0x020000000002, ActionCall(action="to_port", arguments=(17,))),
    )
    seen: list[tuple[SentDigest, ...]] = []
    for dst in (0x020000000002, 0x020000000003):
        for src in (0x020000000001, 0x02FFFFFFFFFF):
            for kind in (0x88B5, 0x9999):
                outcome = compared.process(16, frame(dst, src, kind))
                assert outcome is not None
                seen.append(outcome.digests)
    learned = SentDigest(digest="mac_learn", values=(16, 0x02FFFFFFFFFF))
    odd = [SentDigest(digest="odd_type", values=(0x9999, src, 1)) for src in (0x020000000001, 0x02FFFFFFFFFF)]
    assert seen == [(), (odd[0],), (learned,), (learned, odd[1])] * 2
    compared.compare_state()


def test_a_full_ring_counts_what_it_loses() -> None:
    with pinned_to_cpu(), TestRunLevel(digests(), Hook.TC) as level:
        level.add_port(16)
        held = (256 << 10) // (8 + 8 + 16)  # the ring's own head, the number, what is said
        for _ in range(held + 50):
            level.run(PacketIn(port=16, frame=frame(1, 2, 0x88B5)))
        raw = level.map("digests_lost").lookup(bytes(4))
        assert raw is not None
        lost = sum(int.from_bytes(value[:8], "little") for value in level.map("digests_lost").split_per_cpu(raw))
        assert 50 <= lost <= 52
