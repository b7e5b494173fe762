"""When the rest of a volume is fetched, and how much at once: it gives way to what containers read and compute.

All of it comes over one connection, in which answers lie one behind the other: a read waits for as long as it takes to
send what was asked for before it. So little is asked for at once, the least while containers read and shortly after;
of the time that they read, a small share is taken, so that the copy gets whole whatever they do. The same holds while
there is no CPU left: what is fetched goes through the daemon's hands and to the disk, and a container that computes
reads little meanwhile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEAST_BYTES, MOST_BYTES = 1 << 16, 1 << 19
QUIET_S: Final = 0.25
"""So long nothing has been read, and nothing waits to be, when more than the share is taken."""
SHARE: Final = 20
"""One in so many parts of the time is taken while containers read."""
SLOW_S: Final = 0.1
"""What takes longer is asked for in smaller parts from then on: the link is slow, or others use it."""
_LOOK_S: Final = 0.02
_LOADAVG: Final = Path("/proc/loadavg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Of block devices: how many there have been, and how many wait for their answer."""

    done: int
    waiting: int


def are_cpus_wanted() -> bool:
    """Whether more than run at the moment would (proc_loadavg(5), the runnable ones), the asking thread left aside."""
    runnable, _, _ = _LOADAVG.read_text().split()[3].partition("/")
    return int(runnable) - 1 >= (os.cpu_count() or 1)


class Pace:
    """Of one filling. `wait` waits so many seconds, or less when it is wanted no more; `wanted` says whether others
    take all CPUs."""

    def __init__(
        self,
        reads: Callable[[], Reads],
        wait: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
        wanted: Callable[[], bool] = are_cpus_wanted,
    ) -> None:
        self._reads, self._wait, self._clock, self._wanted = reads, wait, clock, wanted
        self._seen: Reads | None = None
        self._read_at = self._asked_at = clock()
        self._due = self._read_at + QUIET_S
        self._bytes = LEAST_BYTES

    def next_bytes(self, is_wanted: Callable[[], bool]) -> int:
        """How much to ask for now, when it is time for that, or nobody wants it any more."""
        while is_wanted() and not self._is_time():
            self._wait(_LOOK_S)
        self._asked_at = self._clock()
        return self._bytes

    def answered(self) -> None:
        """What was asked for is there."""
        now = self._clock()
        took_s = now - self._asked_at
        self._due = now + took_s * (SHARE - 1)
        if self._is_busy():
            self._bytes = LEAST_BYTES
        elif took_s > SLOW_S:
            self._bytes = max(LEAST_BYTES, self._bytes // 2)
        else:
            self._bytes = min(MOST_BYTES, self._bytes * 2)

    def _is_time(self) -> bool:
        return not self._is_busy() or self._clock() >= self._due

    def _is_busy(self) -> bool:
        """Containers read, or compute on all CPUs, or did shortly before."""
        reads, now = self._reads(), self._clock()
        if reads != self._seen or reads.waiting or self._wanted():
            self._seen, self._read_at, self._bytes = reads, now, LEAST_BYTES
        return now - self._read_at < QUIET_S
