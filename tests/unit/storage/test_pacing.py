"""The pace at which the rest of a volume is fetched, by a clock that stands still unless it is waited."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from agents.storage.io.pacing import LEAST_BYTES, MOST_BYTES, QUIET_S, SHARE, SLOW_S, Pace, Reads, are_cpus_wanted


class Node:
    """Containers that read, and a link that takes `seconds` for each answer."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds, self.done, self.waiting, self.reads_always = 0.0, seconds, 0, 0, False
        self.are_cpus_wanted = False
        self.pace = Pace(self._reads, self._wait, lambda: self.now, lambda: self.are_cpus_wanted)

    def _reads(self) -> Reads:
        self.done += self.reads_always
        return Reads(done=self.done, waiting=self.waiting)

    def _wait(self, seconds: float) -> None:
        self.now += seconds

    def fetched(self) -> tuple[int, float]:
        """How much came next, and how long it was waited before it was asked for."""
        begun = self.now
        count = self.pace.next_bytes(lambda: True)
        waited = self.now - begun
        self.now += self.seconds
        self.pace.answered()
        return count, waited


def test_more_and_more_is_fetched_while_nothing_is_read() -> None:
    node = Node(0.01)
    first = node.fetched()
    assert first[0] == LEAST_BYTES
    assert first[1] >= QUIET_S
    assert [node.fetched() for _ in range(5)] == [(LEAST_BYTES << n, 0) for n in (1, 2, 3)] + [(MOST_BYTES, 0)] * 2


def test_after_a_read_it_is_waited_and_begins_small() -> None:
    node = Node(0.01)
    for _ in range(6):
        node.fetched()
    node.done += 1
    count, waited = node.fetched()
    assert count == LEAST_BYTES
    assert 0.01 * (SHARE - 1) <= waited <= QUIET_S


def test_a_read_that_waits_for_its_answer_is_one() -> None:
    node = Node(1)
    node.waiting = 1
    node.fetched()
    count, waited = node.fetched()
    assert (count, waited >= SHARE - 1) == (LEAST_BYTES, True)


def test_a_small_share_is_taken_from_those_who_always_read() -> None:
    node = Node(0.05)
    node.reads_always = True
    node.fetched()
    found = [node.fetched() for _ in range(20)]
    assert {count for count, _ in found} == {LEAST_BYTES}
    assert abs(sum(waited for _, waited in found) / (20 * node.seconds) - (SHARE - 1)) < 1


def test_as_little_is_taken_from_those_who_compute() -> None:
    node = Node(0.05)
    for _ in range(6):
        node.fetched()
    node.are_cpus_wanted = True
    assert [node.fetched() for _ in range(3)] == [(LEAST_BYTES, pytest.approx(0.05 * (SHARE - 1), abs=0.05))] * 3
    node.are_cpus_wanted = False
    node.fetched()
    assert node.fetched() == (LEAST_BYTES << 1, 0)


def test_programs_that_run_on_all_cpus_are_seen() -> None:
    spin = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as undo:
        for _ in range((os.cpu_count() or 1) + 1):
            process = undo.enter_context(subprocess.Popen(spin))
            undo.callback(process.kill)
        deadline = time.monotonic() + 30
        while not are_cpus_wanted():
            assert time.monotonic() < deadline


def test_less_is_asked_for_where_answers_are_slow() -> None:
    node = Node(0.01)
    for _ in range(6):
        node.fetched()
    node.seconds = SLOW_S * 2
    assert [node.fetched()[0] for _ in range(5)] == [MOST_BYTES >> n for n in (0, 1, 2, 3, 3)]


def test_who_is_wanted_no_more_waits_for_nothing() -> None:
    node = Node(0.01)
    node.pace.next_bytes(lambda: False)
    assert node.now == 0
