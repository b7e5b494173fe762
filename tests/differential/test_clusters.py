"""Clusters that nobody set up: policies, traffic between workloads, changes, time and restarts, in any order."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.verification.cluster import Levels
from runtime.verification.gateway_stories import GATEWAYS
from runtime.verification.isolation_stories import ISOLATED
from runtime.verification.stories import STORIES, Story
from tests.differential.searches import EXAMPLES, loaded_levels, search_clusters, search_malformed, searched

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def levels() -> Generator[Levels]:
    with loaded_levels() as made:
        yield made


@searched(EXAMPLES)
@given(data=st.data())
def test_any_story(levels: Levels, data: st.DataObject) -> None:
    search_clusters(levels, data)


@searched(EXAMPLES)
@given(data=st.data())
def test_any_faults(levels: Levels, data: st.DataObject) -> None:
    search_malformed(levels, data)


@pytest.mark.parametrize("story", [*STORIES, *ISOLATED, *GATEWAYS], ids=lambda story: story.name)
def test_named_story(levels: Levels, story: Story) -> None:
    story.run(levels)
