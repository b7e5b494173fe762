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
from pathlib import Path

from runtime.bpf.constants import MapType
from runtime.bpf.maps import Map, MapShape
from runtime.device.kernel.visiting import Visitor

PATIENCE_S = 0.05
"""How long a visit to all CPUs may take before the kernel's way is taken."""
REALTIME = Path("/sys/kernel/realtime")
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
        self._visitor = None if REALTIME.exists() else Visitor()
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        if self._visitor is not None:
            self._visitor.close()
        self._outer.close()
        self._inner.close()

    def wait(self) -> None:
        """Returns when every packet that had begun before the call has left its program."""
        with self._one_at_a_time:
            if self._visitor is None or not self._visitor.visit(PATIENCE_S):
                # User space may rely on it that no program uses a map that was in a map of maps before this call.
                self._outer.update_fd(_FIRST, self._inner.fd)


def order_writes() -> None:
    """What was written before, in the kernel too, is seen before what is written after (a full memory barrier)."""
    if _MEMBARRIER is None or _SYSCALL(_MEMBARRIER, _GLOBAL_EXPEDITED, 0, 0):
        os.sched_yield()  # a context switch is one, too
