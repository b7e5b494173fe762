"""The few acts that matter are found, whatever lies around them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from runtime.verification.findings import Violation
from runtime.verification.proof.acts import Act, Pause
from runtime.verification.proof.shrinking import Again, shrink


def acts(count: int) -> list[Act]:
    return [Pause(ms=number) for number in range(count)]


def needs(*wanted: int) -> tuple[Again, list[int]]:
    """Something is found when all of these are done in their order; and how long each try was."""
    tries: list[int] = []

    def again(tried: Sequence[Act]) -> Violation | None:
        tries.append(len(tried))
        done = [act.ms for act in tried if isinstance(act, Pause) and act.ms in wanted]
        return Violation("found") if done == list(wanted) else None

    return again, tries


@pytest.mark.parametrize("count", [1, 2, 3, 100, 5_000])
def test_one_act_is_enough(count: int) -> None:
    again, tries = needs(count - 1)
    few, found = shrink(acts(count), again)
    assert few == [Pause(ms=count - 1)]
    assert str(found) == "found"
    assert len(tries) == 1


@pytest.mark.parametrize("seed", range(20))
def test_what_is_spread_is_brought_together(seed: int) -> None:
    wanted = [*sorted(random.Random(seed).sample(range(999), 4)), 999]
    again, tries = needs(*wanted)
    few, _ = shrink(acts(1000), again)
    assert few == [Pause(ms=number) for number in wanted]
    assert len(tries) <= 200


def test_tries_end_with_what_is_left_by_then() -> None:
    again, tries = needs(*range(0, 1000, 50), 999)
    few, found = shrink(acts(1000), again, tries=15)
    assert found is not None
    assert len(few) < 1000
    assert len(tries) <= 15


def test_what_does_not_show_again_is_left_whole() -> None:
    few, found = shrink(acts(10), lambda _: None)
    assert (few, found) == (acts(10), None)
