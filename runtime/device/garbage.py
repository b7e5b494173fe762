"""Python's collector of cycles, so that it does not hold up a device that has a million entries.

Left alone it looks at everything there is again and again: for a second, while nobody is served. But what controllers
write is in no cycle and is freed without it; cycles are what gRPC leaves of each RPC. So what has lived through one
look is never looked at again (`gc.freeze`), and each look is at what came since the last one. What was alive then and
is in a cycle later stays: some kilobytes of the RPCs that were under way, each time that some 80,000 objects came.
"""

from __future__ import annotations

import gc

_YOUNG, _MIDDLE, _NEVER = 2_000, 10, 1_000_000
LOOK_AFTER = 4
"""Times that `_YOUNG * _MIDDLE` new objects came: a look at those takes some 20 ms."""


def postpone() -> None:
    """Before the journal is read: what comes of it is in no cycle."""
    gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)


def begin() -> None:
    """Once, when the device is what its journal says."""
    postpone()
    gc.freeze()


def look() -> None:
    """Called once a second, and between the slices of long work."""
    if gc.get_count()[2] >= LOOK_AFTER:
        gc.collect()
        gc.freeze()
