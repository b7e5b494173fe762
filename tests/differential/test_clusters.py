"""Clusters that nobody set up: policies, traffic between workloads, changes, time and restarts, in any order."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.pipeline.assembly import pipeline
from runtime.bpf.testrun import pinned_to_cpu
from runtime.build import Hook
from runtime.verification.cluster import Cluster, Levels
from runtime.verification.cluster_steps import RUNS
from runtime.verification.levels import small
from runtime.verification.policies.drawing import next_plans, plans
from runtime.verification.policies.plan import DEVICES
from runtime.verification.restarting import RestartingLevel
from runtime.verification.stories import STORIES, Story
from runtime.verification.strategies import BOUNDED
from tests.differential.test_generated import EXAMPLES, SLOTS

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def levels() -> Generator[Levels]:
    source = small(pipeline(), SLOTS)
    with pinned_to_cpu():
        made = {name: tuple(RestartingLevel(source, hook) for hook in Hook) for name in DEVICES}
        yield made
        for level in (level for levels in made.values() for level in levels):
            level.close()


@settings(BOUNDED, max_examples=EXAMPLES)
@given(data=st.data())
def test_any_story(levels: Levels, data: st.DataObject) -> None:
    first = data.draw(plans())
    second = data.draw(next_plans(first))
    third = data.draw(next_plans(second))
    Cluster(levels, [first, second, third]).run(data.draw(RUNS))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_named_story(levels: Levels, story: Story) -> None:
    story.run(levels)
