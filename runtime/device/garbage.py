"""Python's collector of cycles, so that it does not hold up a device that has a million entries.

Left alone it looks at everything there is again and again: for a second, while nobody is served. But what controllers
write is in no cycle and is freed without it; cycles are what gRPC leaves of each RPC. So each object is looked at once,
with all that came since the last look, and what lives through that is never looked at again (`gc.freeze`). What was
alive then and is in a cycle later stays: some kilobytes of the RPCs that were under way, each time that there are
`MANY` objects more than before. A pipeline that has gone is in no cycle either: one of turnout's would be megabytes,
and a controller may set one again and again. For what is in one all the same, all is looked at once more after a change
of pipelines, unless there is so much that nobody would be served meanwhile.
"""

from __future__ import annotations

import ctypes
import gc

MANY = 40_000
"""Objects that came and have not gone: a look at those takes some 4 ms."""
MANY_AT_WORK = 2 * MANY
"""The same while there is something to do; less waits until that is done."""
MOST = 500_000
"""Objects that are looked at all at once: a fifth of a second."""
PATIENCE = 30
"""Looks for which what a change of pipelines left waits at most, while others are being served."""
_UNSEEN, _MIDDLE, _NEVER = 5 * MANY, 10, 1_000_000
"""Python looks by itself only where nobody calls `look`."""


def postpone() -> None:
    """Before the journal is read: what comes of it is in no cycle."""
    gc.set_threshold(_UNSEEN, _MIDDLE, _NEVER)


def begin() -> None:
    """Once, when the device is what its journal says."""
    postpone()
    gc.freeze()
    _give_back()


def _give_back() -> None:
    """What was needed to start, to the kernel; where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Remains:
    """Whether a change of pipelines may have left something."""

    def __init__(self) -> None:
        self._waits = 0
        """Looks until all is looked at; 0: nothing is expected."""

    def expect(self) -> None:
        self._waits = PATIENCE

    def clear(self, *, is_quiet: bool) -> None:
        """While nothing is being changed: look at all, once for all changes since the last time.

        Not right behind a write, whose writer may be about to send more.
        """
        if not self._waits:
            return
        self._waits -= 1
        if not is_quiet and self._waits:
            return
        self._waits = 0
        if gc.get_freeze_count() <= MOST:
            gc.unfreeze()
            gc.collect()
            gc.freeze()


def look(many: int = MANY) -> None:
    """Called once a second, and between the slices of long work."""
    if gc.get_count()[0] >= many:
        gc.collect(0)
        gc.freeze()
