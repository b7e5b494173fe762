"""The slots of a selector's ring, written as memory that packets' programs share.

Told slot by slot, in batches too, the kernel takes 0.2 µs for each, and a ring has 251 of them and more. Only a window
of the map is ever mapped: what is mapped counts as memory of this process, and rings are most of what a device's maps
take. Who leads packets to slots sees to it that they come after these writes (`grace.order_writes`).
"""

from __future__ import annotations

import errno
import mmap
from array import array
from collections.abc import Sequence

from runtime.bpf.constants import MapFlag
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.maps import Map, round_up

WINDOW = 1 << 20
"""Bytes, a multiple of every page size."""
STRIDE = 8
"""Bytes from one slot of four bytes to the next: the kernel rounds up (`Map.memory`)."""


def strided(values: Sequence[int]) -> bytes:
    """Values of 32 bits as they lie in the map's memory."""
    slots = array("I", bytes(STRIDE * len(values)))
    slots[::2] = array("I", values)
    return slots.tobytes()


class RingSlots:
    """Of one map, which stays the caller's; close this before it, or the map stays as long as the window."""

    def __init__(self, held: Map) -> None:
        self._held = held
        self._size = round_up(held.details.max_entries * STRIDE, mmap.PAGESIZE)
        self._is_shared = bool(held.details.flags & MapFlag.MMAPABLE)
        """Not that of a program compiled before rings were."""
        self._window: mmap.mmap | None = None
        self._at = 0

    def close(self) -> None:
        if self._window is not None:
            self._window.close()
            self._window = None

    def fill(self, first: int, slots: bytes) -> None:
        """Write slots that no packet reads, as `strided` makes them. Raises `BpfError`."""
        if not self._is_shared:
            self.overwrite(first, slots)
            return
        raw, at = memoryview(slots), first * STRIDE
        while raw:
            window, start = self._window_at(at)
            room = len(window) - start
            window[start : start + len(raw)] = raw[:room]
            raw, at = raw[room:], at + room

    def overwrite(self, first: int, slots: bytes) -> None:
        """Write slots that packets may be reading: each of them is the old one or the new one. Raises `BpfError`."""
        values = array("I", slots)[::2]
        self._held.update_batch(array("I", range(first, first + len(values))).tobytes(), values.tobytes())

    def _window_at(self, at: int) -> tuple[mmap.mmap, int]:
        """What is mapped around a byte, and where in it that is."""
        start = at % WINDOW
        if self._window is None or self._at != at - start:
            self.close()
            self._at = at - start
            self._window = self._mapped(self._at)
        return self._window, start

    def _mapped(self, start: int) -> mmap.mmap:
        try:
            return mmap.mmap(self._held.fd, min(WINDOW, self._size - start), offset=start)
        except OSError as problem:
            words = f"share memory of map {self._held.details.name}"
            raise KernelRefusal(problem.errno or errno.EIO, words) from problem
