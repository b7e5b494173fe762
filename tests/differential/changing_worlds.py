"""Searches in which calls come from outside while policies change: what is common to them.

A world is what the policies of one moment say, as the generators of `runtime.verification` make it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

from compiler.policy.policyset import PolicySet
from runtime.verification.cluster import Levels
from runtime.verification.comparison import Compared, Comparison
from runtime.verification.fabric import Fabric, Journey
from runtime.verification.outsiders import DEVICES
from runtime.verification.telling import check_complaint

World = TypeVar("World")
Call = TypeVar("Call")
_PASSING_MS = (0, 0, 1, 70_000)


def play_changes(
    levels: Levels,
    data: st.DataObject,
    *,
    worlds: st.SearchStrategy[list[World]],
    calls: st.SearchStrategy[Call],
    policies_of: Callable[[World], PolicySet],
    meet: Callable[[Fabric, World, Call, bool], None],
) -> Compared:
    """One after the other `meet` sends calls and says what is wrong; behind some, time passes or policies change.

    Its last argument is whether those who get a packet tell its sender that it is too big.
    """
    states = data.draw(worlds, label="policies")
    steps = data.draw(_steps(calls), label="steps")
    present = states[0]
    fabric = Fabric({name: Comparison(levels[name]) for name in DEVICES}, policies_of(present))
    for call, tells, passing_ms, which in steps:
        meet(fabric, present, call, tells)
        for comparison in fabric.comparisons.values():
            comparison.wait(passing_ms)
        if which < len(states):
            present = states[which]
            fabric.adopt(policies_of(present))
            for name in DEVICES:
                fabric.write(name)
    fabric.compare_state()
    return Compared.sum(comparison.compared for comparison in fabric.comparisons.values())


def answer_back(
    fabric: Fabric,
    journey: Journey,
    sent: bytes,
    port: int,
    answer: bytes,
    check: Callable[[Journey], None],
    *,
    tells: bool,
) -> None:
    """Who got a call answers on a port of its device; `check` sees where that went."""
    back = fabric.send(journey.last.device, port, answer)
    if tells:
        check_complaint(fabric, journey, sent)
    if back is not None:
        check(back)
        if tells:
            check_complaint(fabric, back, answer)


def some_of(worlds: st.SearchStrategy[World]) -> st.SearchStrategy[list[World]]:
    return st.lists(worlds, min_size=1, max_size=3)


def _steps(calls: st.SearchStrategy[Call]) -> st.SearchStrategy[list[tuple[Call, bool, int, int]]]:
    """What is sent, whether it is told of as too big; then so many ms pass, and the policies are those of this number,
    if there are.
    """
    step = st.tuples(calls, st.booleans(), st.sampled_from(_PASSING_MS), st.integers(0, 7))
    return st.lists(step, min_size=1, max_size=30)
