"""What the processes of a node take: CPU time, memory; and when they listen."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Final

from runtime.lab.netns import inside

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LISTS: Final = (Path("/proc/thread-self/net/tcp"), Path("/proc/thread-self/net/tcp6"))
_LISTENING: Final = "0A"
"""TCP_LISTEN (include/net/tcp_states.h)."""
_LOOK_S: Final = 0.005


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time of these processes, with children of theirs that have ended."""
    return sum(sum(map(int, text.rpartition(")")[2].split()[11:15])) for text in _texts(pids, "stat")) / _TICKS


def memory_mb(pids: Iterable[int]) -> float:
    """What these processes hold: pages that several have mapped are divided among them (PSS), so each counts once. Of
    files what is mapped."""
    rows = (line.split() for text in _texts(pids, "smaps_rollup") for line in text.splitlines())
    return sum(int(row[1]) for row in rows if row[0] == "Pss:") / 1024


def _texts(pids: Iterable[int], name: str) -> Iterator[str]:
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
            yield Path(f"/proc/{pid}/{name}").read_text()


@contextmanager
def listened(namespace: str, ports: Sequence[int]) -> Generator[Mapping[int, Event]]:
    """For each port what is set when somebody there listens at it. One thread looks for all of them: fifty that try to
    connect take a whole CPU from those that are to answer."""
    events = {port: Event() for port in ports}
    ended = Event()

    def look() -> None:
        pending = set(ports)
        while pending and not ended.wait(_LOOK_S):
            there = pending & set(_listening())
            pending -= there
            for port in there:
                events[port].set()

    with ThreadPoolExecutor(1) as thread:
        looking = thread.submit(inside, namespace, look)
        try:
            yield events
        finally:
            ended.set()
            looking.result()


def _listening() -> Iterator[int]:
    """In the namespace that the thread is in."""
    for place in _LISTS:
        for row in place.read_text().splitlines()[1:]:
            words = row.split(maxsplit=4)
            if words[3] == _LISTENING:
                yield int(words[1].rpartition(":")[2], 16)
