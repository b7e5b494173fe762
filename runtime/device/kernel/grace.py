"""Waiting until all packets that are in a program now have left it: a grace period.

A program for tc or XDP runs to its end on one CPU with softirqs off: once this thread has been scheduled on a CPU, no
packet that was there before is left. To visit every CPU takes tens of microseconds for each, where the kernel's own
grace period (RCU, as an update of a map of maps waits for it) takes 10 to 20 milliseconds. That is what remains where a
CPU lets nobody in: one outside of the process's cpuset, one that a real-time thread never leaves, and kernels in which
softirqs can be preempted (PREEMPT_RT).
"""

from __future__ import annotations

import ctypes as ct
import os
import platform
import threading
from collections.abc import Iterator
from pathlib import Path

from runtime.bpf.constants import MapType
from runtime.bpf.maps import Map, MapShape

PATIENCE_S = 0.05
"""How long a visit to all CPUs may take before the kernel's way is taken."""
ONLINE, REALTIME = Path("/sys/devices/system/cpu/online"), Path("/sys/kernel/realtime")
_FIRST = bytes(4)
_SYSCALL = ct.CDLL(None).syscall
_MEMBARRIER = {"x86_64": 324, "aarch64": 283}.get(platform.machine())
_GLOBAL_EXPEDITED = 1 << 1


class GracePeriods:
    """Two threads that ask at once wait one after the other. Close it, or its two maps stay until the process ends."""

    def __init__(self) -> None:
        pattern = MapShape(name="grace_inner", type=MapType.ARRAY, key_size=4, value_size=4, max_entries=1)
        self._inner = Map.create(pattern)
        outer = MapShape(
            name="grace", type=MapType.ARRAY_OF_MAPS, key_size=4, value_size=4, max_entries=1, inner_fd=self._inner.fd
        )
        self._outer = Map.create(outer)
        self._can_visit = not REALTIME.exists()
        self._visitor: _Visitor | None = None
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        self._outer.close()
        self._inner.close()

    def wait(self) -> None:
        """Returns when every packet that had begun before the call has left its program."""
        with self._one_at_a_time:
            if not self._visit_in_time():
                # User space may rely on it that no program uses a map that was in a map of maps before this call.
                self._outer.update_fd(_FIRST, self._inner.fd)

    def _visit_in_time(self) -> bool:
        if not self._can_visit or (self._visitor is not None and self._visitor.is_alive()):
            return False
        self._visitor = _Visitor()
        self._visitor.start()
        self._visitor.join(PATIENCE_S)
        return self._visitor.has_visited


class _Visitor(threading.Thread):
    """Runs on every CPU once."""

    def __init__(self) -> None:
        super().__init__(name="grace", daemon=True)
        self.has_visited = False

    def run(self) -> None:
        try:
            for cpu in _online_cpus():
                os.sched_setaffinity(0, (cpu,))
        except OSError:  # a CPU that is not for this process, or has just gone
            return
        self.has_visited = True


def _online_cpus() -> Iterator[int]:
    for part in ONLINE.read_text().strip().split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def order_writes() -> None:
    """What was written before, in the kernel too, is seen before what is written after (a full memory barrier)."""
    if _MEMBARRIER is None or _SYSCALL(_MEMBARRIER, _GLOBAL_EXPEDITED, 0, 0):
        os.sched_yield()  # a context switch is one, too
