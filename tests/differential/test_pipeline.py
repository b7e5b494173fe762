"""The printed C does what the interpreter does: verdict, port, bytes, reason, learned entries, counters."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import pytest

from compiler.ir.entries import Entries
from compiler.ir.interpreter import trace_to_text
from compiler.pipeline.assembly import pipeline
from compiler.printers.features import features
from runtime.build import Hook
from tests.differential.kernel import Kernel, small
from tests.differential.vectors import SHORTEST, Arrival, cut, mutated, vectors
from tests.scenario import CLIENT_PORT, OTHER_PORT, TAGGED_PORT, UPLINK, WEB_1_PORT, Node, device_entries

pytestmark = [pytest.mark.root, pytest.mark.slow]
COUNTERS = {"drops": range(12), "service_requests": range(8), "service_replies": range(8)}
SLOTS = 64


@dataclass
class Pair:
    """The shop's device A twice: on the interpreter and in the kernel."""

    node: Node
    kernel: Kernel

    def compare(self, arrival: Arrival) -> None:
        name, port, data = arrival
        wanted = self.node.interpreter.process(port, data)
        got = self.kernel.process(port, data)
        assert got == replace(wanted, trace=()), f"{name}, frame {data.hex()}\n{trace_to_text(wanted.trace)}"

    def compare_state(self) -> None:
        for table in self.kernel.pipeline.tables:
            if table.store is not None:
                assert self.kernel.learned(table.name) == self.node.model.learned(table.name)
        for entry in device_entries(self.node.device, book=self.node.book).table_entries:
            if self.node.model.names.tables[entry.table].counter_id is not None:
                assert self.kernel.direct_counter(entry.key) == self.node.model.direct_counter(entry.key), entry
        for counter, indices in COUNTERS.items():
            wanted = tuple(self.node.model.indexed_counter(counter, index) for index in indices)
            assert self.kernel.tallies(counter, indices) == wanted


@pytest.fixture(params=Hook, ids=lambda hook: hook.name)
def pair(request: pytest.FixtureRequest) -> Generator[Pair]:
    source = small(pipeline(), SLOTS)
    node = Node(source=source)
    with Kernel(source, request.param, clock=node.clock, hash_seed=node.hash_seed) as kernel:
        kernel.insert(*device_entries("A", book=node.book).all())
        for port in (UPLINK, CLIENT_PORT, WEB_1_PORT, TAGGED_PORT, OTHER_PORT):
            kernel.add_port(port)
        yield Pair(node, kernel)


def test_every_vector(pair: Pair) -> None:
    for arrival in vectors():
        pair.node.clock.now_ms += 7
        pair.compare(arrival)
    pair.compare_state()


def test_frames_that_end_early(pair: Pair) -> None:
    for name, port, data in cut(list(vectors())):
        is_ip = data[12:14] in (b"\x08\x00", b"\x86\xdd")
        if pair.kernel.hook is Hook.XDP or not is_ip or len(data) >= SHORTEST:
            pair.compare((name, port, data))
    pair.compare_state()


@pytest.mark.parametrize("seed", range(3))
def test_long_runs_with_damaged_frames_and_full_tables(pair: Pair, seed: int) -> None:
    arrivals = list(vectors())
    for number, arrival in enumerate(mutated(arrivals, seed, 600)):
        pair.node.clock.now_ms += 1 + number % 5 * 4_000
        pair.compare(arrival)
    pair.compare_state()


@pytest.mark.parametrize("hook", Hook, ids=lambda hook: hook.name)
def test_flags_take_code_out_and_change_nothing_else(hook: Hook) -> None:
    source = small(pipeline(), SLOTS)
    node = Node(source=source)
    shop = device_entries("A", book=node.book)
    kept = tuple(e for e in shop.table_entries if "ipv6" not in e.table and e.table not in ("tunnel", "nd"))
    flags = features(source, Entries(table_entries=kept))
    with (
        Kernel(source, hook, clock=node.clock, hash_seed=node.hash_seed) as whole,
        Kernel(source, hook, clock=node.clock, hash_seed=node.hash_seed, flags=flags) as part,
    ):
        assert part.instruction_bytes < 0.8 * whole.instruction_bytes
        for kernel in (whole, part):
            kernel.insert(*shop.members, *shop.groups, *kept)
        for name, port, data in vectors():
            assert part.process(port, data) == whole.process(port, data), name
