"""Who listens, and what processes take, as the kernel tells it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from bench.containers import processes
from bench.containers.processes import cpu_s, listened, memory_mb


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a namespace of its own, which only root may make."""

    def inside(_: str, work: Callable[[], Any]) -> Any:
        return work()

    monkeypatch.setattr(processes, "inside", inside)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_ports_are_told_when_they_are_listened_at(family: int, host: str) -> None:
    with socket.socket(family) as first, socket.socket(family) as second:
        for one in (first, second):
            one.bind((host, 0))
        ports = [one.getsockname()[1] for one in (first, second)]
        with listened("", ports) as events:
            first.listen()
            assert events[ports[0]].wait(10)
            assert not events[ports[1]].is_set()
            second.listen()
            assert events[ports[1]].wait(10)


def test_nobody_needs_to_listen() -> None:
    with listened("", [1]) as events:
        assert isinstance(events[1], Event)


def test_what_processes_take() -> None:
    before, until = cpu_s([os.getpid()]), time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert cpu_s([os.getpid()]) >= before + 0.05
    assert memory_mb([os.getpid()]) > 5
    assert cpu_s([1 << 30]) == 0
