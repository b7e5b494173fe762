"""Records that programs leave in a BPF_MAP_TYPE_RINGBUF, taken out in their order, a bounded number at a time."""

from __future__ import annotations

import ctypes as ct
from typing import Any

from runtime.bpf.library import check, check_pointer, libbpf
from runtime.bpf.maps import Map

_HEAR = ct.CFUNCTYPE(ct.c_int, ct.c_void_p, ct.c_void_p, ct.c_size_t)
_ENOUGH = -1
"""What the callback answers to be called no more; the record it got counts as taken."""


class RingReader:
    """The one reader of a ring. `fd` is readable while there are records."""

    def __init__(self, ring: Map) -> None:
        """The map stays the caller's. Raises `KernelRefusal` if it is no ring."""
        self.fd = ring.fd
        self._taken: list[bytes] = []
        self._most = 0
        self._callback = _HEAR(self._hear)  # kept alive: libbpf holds the bare address
        pointer: Any = libbpf().ring_buffer__new(ring.fd, ct.cast(self._callback, ct.c_void_p), None, None)
        self._ring = check_pointer(pointer, f"read the ring {ring.details.name}")

    def take(self, most: int) -> list[bytes]:
        """Records, `most` at most. Raises `KernelRefusal`."""
        self._taken, self._most = [], most
        result: int = libbpf().ring_buffer__consume(self._ring)
        if result != _ENOUGH:
            check(result, "read a ring")
        return self._taken

    def close(self) -> None:
        """Twice is fine."""
        if self._ring:
            libbpf().ring_buffer__free(self._ring)
            self._ring = 0

    def _hear(self, context: int | None, data: int, size: int) -> int:
        del context
        self._taken.append(ct.string_at(data, size))
        return _ENOUGH if len(self._taken) >= self._most else 0
