"""Backends of any policies that answer by themselves, while these change: eBPF does what the interpreter does.

A backend gets what was sent, and its answer leaves at its own device.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.verification.cluster import Levels
from runtime.verification.comparison import Comparison
from runtime.verification.directs import Call, Directs, policies_of
from runtime.verification.fabric import Fabric
from runtime.verification.outsiders import DEVICES
from tests.differential.direct import meet, search_direct
from tests.differential.searches import EXAMPLES, loaded_levels, searched
from tests.differential.soak import Soak

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def levels() -> Generator[Levels]:
    with loaded_levels() as made:
        yield made


def test_who_comes_by_another_device_goes_on(levels: Levels) -> None:
    """While its backend's own device knows the connection as one that came in there: found by soak, seed 2334783500."""
    present = Directs(backends=frozenset({3}))
    fabric = Fabric({name: Comparison(levels[name]) for name in DEVICES}, policies_of(present))
    for device, flags in ((1, "S"), (0, "S"), (0, "A"), (1, "A")):
        meet(fabric, present, Call(device=device, flags=flags), True)
    fabric.compare_state()


def test_a_find_without_words_is_kept() -> None:
    """Of an assertion that says nothing; it ended the search."""
    soak = Soak(1)
    soak._keep("direct-1", AssertionError())  # pyright: ignore[reportPrivateUsage]
    assert list(soak.found.values()) == ["direct-1"]


@searched(EXAMPLES // 2)
@given(data=st.data())
def test_any_backends_that_answer_themselves(levels: Levels, data: st.DataObject) -> None:
    search_direct(levels, data)
