"""Redirects and NetworkPolicies of any kind: eBPF does what the interpreter does, also while rules come and go."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import given

from compiler.pipeline.assembly import pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.comparison import Comparison
from runtime.verification.isolations import isolations
from runtime.verification.levels import small
from runtime.verification.meshes import Mesh, meshes
from runtime.verification.testrun_level import TestRunLevel
from tests.differential.redirecting import STEPS, Doing, play
from tests.differential.searches import EXAMPLES, SLOTS, searched

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module", params=Hook, ids=lambda hook: hook.name)
def loaded(request: pytest.FixtureRequest) -> Generator[TestRunLevel]:
    with pinned_to_cpu(), TestRunLevel(small(pipeline(), SLOTS), request.param) as level:
        yield level


@searched(EXAMPLES // 2 + 1)
@given(mesh=meshes(), steps=STEPS)
def test_any_redirects(loaded: TestRunLevel, mesh: Mesh, steps: list[Doing]) -> None:
    play(Comparison([loaded]), mesh, steps)


@searched(EXAMPLES // 2 + 1)
@given(mesh=isolations(), steps=STEPS)
def test_any_network_policies(loaded: TestRunLevel, mesh: Mesh, steps: list[Doing]) -> None:
    play(Comparison([loaded]), mesh, steps)
