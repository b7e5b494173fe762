"""The printed C does what the interpreter does: verdict, port, bytes, reason, learned entries, counters."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import pytest

from compiler.ir.entries import Entries
from compiler.pipeline.assembly import pipeline
from compiler.printers.features import features
from runtime.bpf.chains import Hook
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.levels import small
from runtime.verification.shop import CLIENT_PORT, OTHER_PORT, TAGGED_PORT, UPLINK, WEB_1_PORT, device_entries
from runtime.verification.shop_frames import Arrival, cut, mutated, vectors
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.vector import PacketIn, in_order

pytestmark = [pytest.mark.root, pytest.mark.slow]
SLOTS = 64


@pytest.fixture(params=Hook, ids=lambda hook: hook.name)
def shop(request: pytest.FixtureRequest) -> Generator[Comparison]:
    """The shop's device A on the interpreter and in the kernel."""
    with TestRunLevel(small(pipeline(), SLOTS), request.param) as level:
        for port in (UPLINK, CLIENT_PORT, WEB_1_PORT, TAGGED_PORT, OTHER_PORT):
            level.add_port(port)
        comparison = Comparison([level])
        comparison.fill(device_entries("A", book=Book(comparison.names)))
        yield comparison


def play(comparison: Comparison, arrivals: Iterable[Arrival], step_ms: int = 0) -> int:
    """How many the kernel took."""
    taken = 0
    for _, port, frame in arrivals:
        comparison.wait(step_ms)
        taken += comparison.process(port, frame) is not None
    comparison.compare_state()
    return taken


def test_every_vector(shop: Comparison) -> None:
    assert play(shop, vectors(), step_ms=7) == len(list(vectors()))


def test_frames_that_end_early(shop: Comparison) -> None:
    assert play(shop, cut(list(vectors()))) > 150


@pytest.mark.parametrize("seed", range(3))
def test_long_runs_with_damaged_frames_and_full_tables(shop: Comparison, seed: int) -> None:
    for number, (_, port, frame) in enumerate(mutated(list(vectors()), seed, 600)):
        shop.wait(1 + number % 5 * 4_000)
        shop.process(port, frame)
    shop.compare_state()


@pytest.mark.parametrize("hook", Hook, ids=lambda hook: hook.name)
def test_flags_take_code_out_and_change_nothing_else(hook: Hook) -> None:
    source = small(pipeline(), SLOTS)
    shop = device_entries("A")
    kept = tuple(e for e in shop.table_entries if "ipv6" not in e.table and e.table not in ("tunnel", "nd"))
    entries = Entries(members=shop.members, groups=shop.groups, table_entries=kept)
    flags = features(source, Entries(table_entries=kept))
    with (
        TestRunLevel(source, hook, traces=False) as whole,
        TestRunLevel(source, hook, flags=flags, traces=False) as part,
    ):
        assert part.instruction_bytes < 0.8 * whole.instruction_bytes
        for level in (whole, part):
            level.insert(*in_order(entries))
        for name, port, frame in vectors():
            packet = PacketIn(port=port, frame=frame)
            assert part.process(packet) == whole.process(packet), name
