"""A thread that goes to every CPU when it is asked to, and says when it was everywhere.

It stays for as long as packets are waited for: to begin a thread for each visit, and to open the list of CPUs each
time, takes as long as the visit itself. Called by `runtime.device.kernel.grace`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

ONLINE = Path("/sys/devices/system/cpu/online")
_MOST_BYTES = 4096


class Visitor:
    """One caller at a time. What cannot get to a CPU is left hanging there: then no visit is tried until it could."""

    def __init__(self, online: Path = ONLINE) -> None:
        """Raises OSError."""
        self._online = os.open(online, os.O_RDONLY | os.O_CLOEXEC)
        self._asked: SimpleQueue[bool] = SimpleQueue()
        self._answers: SimpleQueue[bool] = SimpleQueue()
        self._is_hanging = False
        self._thread = threading.Thread(target=self._go, name="grace", daemon=True)
        self._thread.start()

    def visit(self, patience_s: float) -> bool:
        """Whether it was on every CPU, after the call began and within that time."""
        if self._is_hanging and not self._has_come_back():
            return False
        self._asked.put(True)
        try:
            return self._answers.get(timeout=patience_s)
        except Empty:
            self._is_hanging = True
            return False

    def close(self) -> None:
        """It ends, at once unless it hangs."""
        self._asked.put(False)

    def _has_come_back(self) -> bool:
        """From a visit that nobody waits for any more."""
        try:
            self._answers.get_nowait()
        except Empty:
            return False
        self._is_hanging = False
        return True

    def _go(self) -> None:
        last = -1
        while self._asked.get():
            cpus = list(online_cpus(os.pread(self._online, _MOST_BYTES, 0).decode()))
            try:
                for cpu in sorted(cpus, key=lambda cpu: cpu != last):  # where it is already, it need not go
                    os.sched_setaffinity(0, (cpu,))
                    last = cpu
            except OSError:  # a CPU that is not for this process, or has just gone
                self._answers.put(False)
            else:
                self._answers.put(True)
        os.close(self._online)


def online_cpus(ranges: str) -> Iterator[int]:
    """Of a list such as `0-3,8`."""
    for part in ranges.strip().split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
