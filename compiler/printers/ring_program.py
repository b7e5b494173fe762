"""What a device exchanges with the program that fills rings (ebpf/include/turnout/rings.h). Pure.

The ring is that of `compiler.ir.maglev.build_ring`, slot by slot.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

PROGRAM: Final = "fill_ring"
SEATS: Final = "ring_seats"
"""The map of members: as shared memory, one behind the other."""
SPACE: Final = "ring_space"
"""The map of the ring: as shared memory a bit a slot that is not free, then slots of 8 bytes: the place of a member."""
TAKEN_BYTES: Final = 1 << 14
"""Of bits, before the slots."""
MAX_SEATS: Final = 4096
LOOKS: Final = 1 << 15
"""At a slot in one run, at most."""
_SEAT = struct.Struct("=IIII")
_FILLING = struct.Struct("=IIIII")


def pack_seats(seats: Iterable[tuple[int, int, int, int]]) -> bytes:
    """Place, first slot of the permutation, step (both below the ring's size) and weight of each member, in order."""
    return b"".join(_SEAT.pack(*seat) for seat in seats)


def context_of(size: int, seats: int) -> bytes:
    """Of the first run, for so many slots and members. The next one takes what the run before has left."""
    return _FILLING.pack(size, seats, 0, 0, size)


def slots_left(context: bytes) -> int:
    """How many slots a run has left free."""
    return _FILLING.unpack(context)[-1]
