"""Clients that are remembered, forgotten, pushed out and moved: the printed C against the interpreter."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compiler.pipeline.assembly import pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.comparison import Comparison
from runtime.verification.levels import small
from runtime.verification.testrun_level import TestRunLevel
from tests.differential.remembering import ACTIONS, BACKENDS, PROTOCOLS, Change, Open, remembered
from tests.differential.searches import EXAMPLES, searched

pytestmark = [pytest.mark.root, pytest.mark.slow]

SLOTS = 16
TIMES_MS = (0, 1000, 60_000, 61_000, 10_800_000)

VERSIONS, PROTOCOL = st.sampled_from((4, 6)), st.sampled_from(tuple(PROTOCOLS))
OPENINGS = st.builds(Open, VERSIONS, PROTOCOL, st.integers(1, 6), st.integers(20_000, 20_400))
CHANGES = st.builds(
    Change,
    VERSIONS,
    PROTOCOL,
    st.sampled_from(ACTIONS),
    st.sampled_from(TIMES_MS),
    st.frozensets(st.integers(0, BACKENDS - 1)),
)
PAUSES = st.sampled_from((1, 999, 1000, 30_000, 59_999, 60_000, 10_799_999, 10_800_000))
STEPS = st.lists(st.one_of(OPENINGS, OPENINGS, OPENINGS, OPENINGS, PAUSES, CHANGES, st.none()), max_size=60)


@pytest.fixture(scope="module")
def levels() -> Generator[tuple[TestRunLevel, ...]]:
    source = small(pipeline(), SLOTS)
    with pinned_to_cpu(), TestRunLevel(source, Hook.TC) as tc, TestRunLevel(source, Hook.XDP) as xdp:
        yield tc, xdp


OVER_THE_WRAP = [1, Open(4, 17, 1, 20_000), 59_999, None, Open(4, 17, 1, 20_000)]
"""The low 32 bits of the clock of a comparison begin anew a minute after its start."""


@searched(EXAMPLES)
@example(steps=OVER_THE_WRAP)
@given(steps=STEPS)
def test_programs_remember_as_the_interpreter_does(
    levels: tuple[TestRunLevel, ...], steps: list[Open | Change | int | None]
) -> None:
    """Openings, pauses, sweeps, changes of services; compared are packets, and all entries with places and ages."""
    remembered(Comparison(levels), steps)
