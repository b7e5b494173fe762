"""Clients outside of any policies, while these change: eBPF does what the interpreter does, and answers find back."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.verification.cluster import Levels
from tests.differential.outside import search_outside
from tests.differential.searches import EXAMPLES, loaded_levels, searched

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def levels() -> Generator[Levels]:
    with loaded_levels() as made:
        yield made


@searched(EXAMPLES)
@given(data=st.data())
def test_any_clients_outside(levels: Levels, data: st.DataObject) -> None:
    search_outside(levels, data)
