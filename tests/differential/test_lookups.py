"""The printed C asks the tables that the interpreter asks; a difference is told from where it does not."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest
from hypothesis import given, settings

from compiler.ir.expressions import Const
from compiler.ir.interpreter import Outcome
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Table
from compiler.pipeline.assembly import pipeline
from compiler.printers.ebpf.printing import print_c
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.build import compile_source
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.findings import Difference
from runtime.verification.levels import small
from runtime.verification.playing import Play
from runtime.verification.scenes import Scene
from runtime.verification.shop import OTHER_PORT, device_entries
from runtime.verification.shop_frames import vectors
from runtime.verification.strategies import BOUNDED, RUNS, scenes
from runtime.verification.strategies import Step as Doing
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.vector import PacketIn, Step

pytestmark = [pytest.mark.root, pytest.mark.slow]
SOURCE = small(pipeline(), 16)
EXAMPLES = 25


class InLockstep(Comparison):
    """Compares the look-ups of every packet as well."""

    def do(self, step: Step) -> Outcome | None:
        outcome = super().do(step)
        if isinstance(step, PacketIn) and outcome is not None:
            for level in self.levels:
                assert level.lookups() == self.reference.lookups(), step
        return outcome


@pytest.fixture(scope="module", params=Hook, ids=lambda hook: hook.name)
def loaded(request: pytest.FixtureRequest) -> Generator[TestRunLevel]:
    with pinned_to_cpu(), TestRunLevel(SOURCE, request.param) as level:
        yield level


@settings(BOUNDED, max_examples=EXAMPLES)
@given(scene=scenes(), steps=RUNS)
def test_every_packet_asks_the_same_tables(loaded: TestRunLevel, scene: Scene, steps: list[Doing]) -> None:
    Play(InLockstep([loaded]), scene).run(steps)


def network_1_alone(source: Pipeline) -> Pipeline:
    """A fault: everybody finds the services of network 1."""
    one = Const(value=1, width_bits=16)

    def changed(table: Table) -> Table:
        keys = tuple(replace(key, expr=one) if key.name == "network" else key for key in table.keys)
        return replace(table, keys=keys) if table.name == "service_ipv4" else table

    return replace(source, tables=tuple(map(changed, source.tables)))


TURNED = "src=10.96.0.10, dst=10.0.0.10, src_port=80, dst_port=4000"
TOLD = f"""\
{{level}} differs: drop (no_route) instead of to_kernel
Ether / IP / TCP 10.0.0.10:4000 > 10.96.0.10:http S, by port 19
{{packet}}
both: port set_workload, flow_ipv4 miss, proxy_ipv4 miss, outbound_ipv4 miss
the last that both did:
  table outbound_ipv4 (network=2, workload=10.0.0.10, peer=10.96.0.10, port=80): miss, miss()
interpreter, from there:
  control decide_ipv4
  table service_ipv4 (network=2, address=10.96.0.10, protocol=6, port=80): miss, miss()
  control redirect_in_ipv4
  table inbound_ipv4 (network=2, workload=10.96.0.10, peer=10.0.0.10, port=80): miss, miss()
  control police_ipv4
  table isolated_source_ipv4 (network=2, nexthop=20): miss, miss()
  table isolated_destination_ipv4 (network=2, address=10.96.0.10): miss, miss()
  control share_backend_ipv4
  table served_ipv4 (network=2, address=10.96.0.10): miss, miss()
  seek flow_reverse_ipv4 (network=2, leg=2, protocol=6, {TURNED}): free, 1 tried
  table route_ipv4 (network=2, dst=10.96.0.10): miss, miss()
  to the kernel
  {{packet}}
{{level}}, from there:
  table service_ipv4: to_service_ipv4 (where the interpreter asks for network=2, address=10.96.0.10, \
protocol=6, port=80)
    perhaps table service_ipv4 (network=1, address=10.96.0.10, protocol=6, port=80): \
to_service_ipv4(service_id=1, hairpin=10.0.0.1, affinity_ms=0)  [shop.yaml:101:1]
  table backend_ipv4: to_backend_ipv4
  table inbound_ipv4: miss
  table isolated_source_ipv4: miss
  table isolated_destination_ipv4: miss
  table route_ipv4: miss
  drop: no_route
what was done:
  port 19: {{packet}}"""


@pytest.mark.parametrize("hook", Hook, ids=lambda hook: hook.name)
def test_a_fault_is_told_from_the_table_where_the_ways_part(hook: Hook) -> None:
    elf = compile_source(print_c(network_1_alone(SOURCE)), hook)
    frame = next(frame for name, _, frame in vectors() if name == "other network v4")
    with TestRunLevel(SOURCE, hook, elf=elf) as level:
        comparison = Comparison([level])
        comparison.fill(device_entries("A", book=Book(comparison.names)))
        with pytest.raises(Difference) as difference:
            comparison.process(OTHER_PORT, frame)
    assert str(difference.value) == TOLD.format(level=level.name, packet=frame.hex())
