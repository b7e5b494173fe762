"""A visit to every CPU: what counts as one, and what happens where a CPU lets nobody in."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from runtime.device.kernel.visiting import Visitor, online_cpus

PATIENCE_S = 60.0
NO_CPU = "8191"


@pytest.fixture
def online(tmp_path: Path) -> Path:
    """The CPUs of this process, in the kernel's form."""
    path = tmp_path / "online"
    path.write_text(",".join(map(str, sorted(os.sched_getaffinity(0)))) + "\n")
    return path


@pytest.fixture
def visitor(online: Path) -> Iterator[Visitor]:
    made = Visitor(online)
    yield made
    made.close()


@pytest.mark.parametrize(("ranges", "cpus"), [("0\n", [0]), ("0-3\n", [0, 1, 2, 3]), ("0-1,4,6-7\n", [0, 1, 4, 6, 7])])
def test_lists_of_cpus(ranges: str, cpus: list[int]) -> None:
    assert list(online_cpus(ranges)) == cpus


def test_every_cpu_each_time(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    visited: list[int] = []
    move = os.sched_setaffinity

    def seen(of: int, cpus: Collection[int]) -> None:
        visited.extend(cpus)
        move(of, cpus)

    monkeypatch.setattr(os, "sched_setaffinity", seen)
    mine = sorted(os.sched_getaffinity(0))
    for _ in range(3):
        visited.clear()
        assert visitor.visit(PATIENCE_S)
        assert sorted(visited) == mine
    assert sorted(os.sched_getaffinity(0)) == mine  # the caller goes nowhere


def test_the_list_is_read_each_time(visitor: Visitor, online: Path) -> None:
    whole = online.read_text()
    online.write_text(f"{NO_CPU}\n")
    assert not visitor.visit(PATIENCE_S)
    online.write_text(whole)
    assert visitor.visit(PATIENCE_S)


def test_a_cpu_that_lets_nobody_in(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    is_free, tries, move = threading.Event(), threading.Semaphore(0), os.sched_setaffinity

    def held_up(of: int, cpus: Collection[int]) -> None:
        tries.release()
        is_free.wait()
        move(of, cpus)

    monkeypatch.setattr(os, "sched_setaffinity", held_up)
    assert not visitor.visit(0.001)
    assert tries.acquire(timeout=PATIENCE_S)
    assert not visitor.visit(PATIENCE_S)  # nobody waits for it: it is still there
    assert not tries.acquire(blocking=False)
    is_free.set()
    while not visitor.visit(PATIENCE_S):
        pass
