"""Storage of any policies: eBPF does what the interpreter does, also while targets, classes and rates change."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.pipeline.assembly import pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.comparison import Comparison
from runtime.verification.levels import small
from runtime.verification.meshes import Segment
from runtime.verification.sans import PORTS, San, sans, storage_segments
from runtime.verification.testrun_level import TestRunLevel
from tests.differential.changing import change
from tests.differential.searches import EXAMPLES, SLOTS, searched

pytestmark = [pytest.mark.root, pytest.mark.slow]
Doing: TypeAlias = tuple[int, Segment, int, int]
"""What comes in, and by which port; then so many ms pass, and the policies are those of this number, if there are."""
STEPS = st.lists(
    st.tuples(st.sampled_from(PORTS), storage_segments(), st.sampled_from((0, 0, 1, 40, 70_000)), st.integers(0, 9)),
    min_size=1,
    max_size=25,
)


@pytest.fixture(scope="module", params=Hook, ids=lambda hook: hook.name)
def loaded(request: pytest.FixtureRequest) -> Generator[TestRunLevel]:
    with pinned_to_cpu(), TestRunLevel(small(pipeline(), SLOTS), request.param) as level:
        yield level


@searched(EXAMPLES)
@given(states=st.lists(sans(), min_size=1, max_size=3), steps=STEPS)
def test_any_storage(loaded: TestRunLevel, states: list[San], steps: list[Doing]) -> None:
    comparison = Comparison([loaded])
    present = states[0].entries()
    comparison.fill(present)
    for port, segment, passing_ms, which in steps:
        comparison.process(port, segment.frame())
        if passing_ms:
            comparison.wait(passing_ms)
        if which < len(states):
            desired = states[which].entries(present)
            change(comparison, present, desired)
            present = desired
    comparison.compare_state()
