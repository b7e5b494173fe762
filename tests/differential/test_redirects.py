"""Redirects of any policies: eBPF does what the interpreter does, also while rules come and go."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from runtime.bpf.testrun import pinned_to_cpu
from runtime.build import Hook
from runtime.verification.comparison import Comparison
from runtime.verification.levels import small
from runtime.verification.meshes import FIRST_PROXY_PORT, NETWORKS, UPLINK, Mesh, Segment, meshes, port_of, segments
from runtime.verification.testrun_level import TestRunLevel
from tests.differential.searches import EXAMPLES, SLOTS, searched

pytestmark = [pytest.mark.root, pytest.mark.slow]
PORTS = (*(port_of(network, host) for network in NETWORKS for host in (10, 11)), *range(FIRST_PROXY_PORT, 42), UPLINK)
"""All of dpu-a; what comes from where it cannot come from is compared as well."""


@pytest.fixture(scope="module", params=Hook, ids=lambda hook: hook.name)
def loaded(request: pytest.FixtureRequest) -> Generator[TestRunLevel]:
    with pinned_to_cpu(), TestRunLevel(small(pipeline(), SLOTS), request.param) as level:
        yield level


def entries_of(mesh: Mesh) -> Entries:
    loaded = load_text(mesh.text(), "mesh.yaml")
    assert not loaded.is_refused, loaded.render()
    return compile_entries(loaded.policies, loaded.policies.devices[0]).entries


@searched(EXAMPLES // 2 + 1)
@given(
    mesh=meshes(),
    steps=st.lists(st.tuples(st.sampled_from(PORTS), segments(), st.integers(0, 7)), min_size=1, max_size=20),
)
def test_any_redirects(loaded: TestRunLevel, mesh: Mesh, steps: list[tuple[int, Segment, int]]) -> None:
    """Verdict, port, bytes and drop reason of each packet; in the end, connections and counters."""
    entries = entries_of(mesh)
    rules = [e for e in entries.table_entries if e.table.startswith(("outbound", "inbound", "proxy"))]
    comparison = Comparison([loaded])
    comparison.fill(entries)
    gone: set[int] = set()
    for port, segment, which in steps:
        comparison.process(port, segment.frame())
        if which < len(rules):
            rule = rules[which]
            if which in gone:
                comparison.insert(rule)
            else:
                comparison.delete(rule)
            gone ^= {which}
    comparison.compare_state()
