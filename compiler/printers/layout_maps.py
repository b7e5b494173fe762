"""BPF maps as a layout has them, and how tables lie in them twice. Pure.

Every map that packets read and a Write changes holds everything twice, on two *sides*, 0 and 1. A packet reads one
side, and the device writes the other (`runtime.device.kernel.sides`). The side is a part of the key: a byte of a
hash's or trie's, and the half of an array. Keys are encoded for side 0; `MapLayout.on_side` leads to the other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from compiler.printers.layout_struct import natural

COUNTER = natural("counter", (("packets", 64), ("bytes", 64)))
U32 = natural("index", (("index", 32),))
SIDES = 2
SIDE = "side"
SIDE_BITS = 8
_INDEX = struct.Struct("<I")


class MapKind(Enum):
    """Types of BPF maps, named as in `BPF_MAP_TYPE_*`."""

    HASH = "hash"
    ARRAY = "array"
    LPM_TRIE = "lpm_trie"
    PERCPU_ARRAY = "percpu_array"


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayout:
    """One BPF map. Sizes in bytes; of a per-CPU map, one CPU's value.

    `max_entries` are those of both sides where there are two; `side_at` is where the side's byte is in a key.
    """

    name: str
    kind: MapKind
    key_size: int
    value_size: int
    max_entries: int
    no_prealloc: bool = False
    mmapable: bool = False
    """The device reads or writes it as shared memory."""
    may_be_inner: bool = False
    """It may be one of an array of maps, with others of other sizes (BPF_F_INNER_MAP, Linux 5.10)."""
    side_at: int | None = None

    def on_side(self, key: bytes, side: int) -> bytes:
        """The key on a side of an entry whose key on side 0 is `key`."""
        if self.side_at is not None:
            return key[: self.side_at] + bytes((side,)) + key[self.side_at + 1 :]
        return _INDEX.pack(_INDEX.unpack(key)[0] + side * self.max_entries // SIDES)

    def all_on_side(self, keys: Sequence[bytes], side: int) -> bytearray:
        """`on_side` of many keys, one behind the other."""
        joined = bytearray().join(keys)
        if side and self.side_at is not None:
            joined[self.side_at :: self.key_size] = bytes((side,)) * len(keys)
        elif side:
            half, every = self.max_entries // SIDES, f"<{len(keys)}I"
            joined[:] = struct.pack(every, *(index + half for index in struct.unpack(every, joined)))
        return joined

    def off_side(self, key: bytes) -> tuple[bytes, int]:
        """The opposite of `on_side`: the key on side 0, and the side."""
        if self.side_at is not None:
            return self.on_side(key, 0), key[self.side_at]
        side, index = divmod(_INDEX.unpack(key)[0], self.max_entries // SIDES)
        return _INDEX.pack(index), side


def counter_map(name: str, size: int) -> MapLayout:
    """A map of packet and byte counts."""
    return MapLayout(name=name, kind=MapKind.PERCPU_ARRAY, key_size=4, value_size=COUNTER.size, max_entries=size)


def sided_array(name: str, value_size: int, size: int = 1, *, may_be_inner: bool = False) -> MapLayout:
    """An array of so many values a side; those of side 1 come behind those of side 0."""
    return MapLayout(
        name=name,
        kind=MapKind.ARRAY,
        key_size=4,
        value_size=value_size,
        max_entries=SIDES * size,
        may_be_inner=may_be_inner,
    )
