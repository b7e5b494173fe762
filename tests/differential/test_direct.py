"""Backends of any policies that answer by themselves, while these change: eBPF does what the interpreter does.

A backend gets what was sent, and its answer leaves at its own device.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.verification.cluster import Levels
from tests.differential.direct import search_direct
from tests.differential.searches import EXAMPLES, loaded_levels, searched

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def levels() -> Generator[Levels]:
    with loaded_levels() as made:
        yield made


@searched(EXAMPLES // 2)
@given(data=st.data())
def test_any_backends_that_answer_themselves(levels: Levels, data: st.DataObject) -> None:
    search_direct(levels, data)
