"""Builders and removers that are killed before any one of their steps: `down` and `up` still make it good."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from runtime.lab.building import Outcome
from runtime.lab.status import status
from tests.root.lab.conftest import Lab

pytestmark = [pytest.mark.root, pytest.mark.slow]

STEPS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.rename", "os.mkdir", "os.remove", "os.rmdir"})
"""The audit events (PEP 578) of everything that changes the machine, except sysctls."""


def killed_before(step: int, work: Callable[[], Any]) -> bool:
    """Do `work` in a process that kills itself before its `step`th change; False when it had fewer and finished."""
    pid = os.fork()
    if pid == 0:
        left = [step]

        def watch(event: str, _: tuple[Any, ...]) -> None:
            if event in STEPS:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        result = 1
        try:
            sys.addaudithook(watch)
            work()
            result = 0
        finally:
            os._exit(result)
    _, result = os.waitpid(pid, 0)
    assert result in (0, signal.SIGKILL), f"the work failed by itself: {result}"
    return result == signal.SIGKILL


def test_killed_while_building_then_removed(lab: Lab) -> None:
    step = 0
    while killed_before(step, lab.up):
        lab.down()
        assert lab.left() == [], f"left after a kill before step {step}"
        step += 1
    assert step > 20


def test_killed_while_building_then_built(lab: Lab) -> None:
    step = 0
    while killed_before(step, lab.up):
        assert lab.up() in (Outcome.BUILT, Outcome.REBUILT, Outcome.REPAIRED), step
        assert status(lab.name, lab.run).is_whole
        lab.down()
        step += 3
    assert step > 20


def test_killed_while_removing(lab: Lab) -> None:
    step = 0
    lab.up()
    while killed_before(step, lab.down):
        lab.down()
        assert lab.left() == [], f"left after a kill before step {step}"
        lab.up()
        step += 1
    assert step > 5
    assert lab.left() == []
