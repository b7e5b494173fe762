"""What a map with two sides holds against what it should hold: what a device finds that takes over pinned maps. Pure.

What should be there comes in pieces, in the order in which an empty device would be filled, so that of a million
entries only those stay in memory that differ.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from compiler.printers.layout_maps import SIDES, MapKind, MapLayout

Changes = dict[bytes, bytes | None]
"""By the key on side 0: the value, None for no entry."""
Buffers = tuple[bytes, bytes]
"""All keys of a map, and all values, each behind the other."""


def entries_on(layout: MapLayout, buffers: Buffers, side: int) -> Iterator[tuple[bytes, bytes]]:
    """What one side holds, by keys of side 0. Slots of arrays that are all zero are no entries."""
    keys, values = buffers
    size, step = layout.key_size, layout.value_size
    if layout.side_at is not None:
        at_zero = bytearray(keys)
        at_zero[layout.side_at :: size] = bytes(len(keys) // size)
        found = zip(
            keys[layout.side_at :: size],
            struct.iter_unpack(f"{size}s", at_zero),
            struct.iter_unpack(f"{step}s", values),
            strict=True,
        )
        yield from ((key, value) for on, (key,), (value,) in found if on == side)
        return
    half, empty = layout.max_entries // SIDES, bytes(step)
    start = side * half * step
    for index in range(half):
        value = values[start + index * step : start + (index + 1) * step]
        if value != empty:
            yield struct.pack("<I", index), value


@dataclass(slots=True)
class Comparison:
    """Of one map, which was found as `read` on the side that packets read.

    `apart` is where the other side is not the same: what it has there.
    """

    layout: MapLayout
    read: Mapping[bytes, bytes]
    apart: Changes
    changes: Changes = field(default_factory=dict[bytes, bytes | None])
    """What `take` has found to be otherwise."""
    met: set[bytes] = field(default_factory=set[bytes])

    def take(self, wanted: Changes) -> None:
        """Of these keys, what is to be there; of a key that comes again the last one counts."""
        is_array, empty = self.layout.kind is MapKind.ARRAY, bytes(self.layout.value_size)
        for key, value in wanted.items():
            given = None if is_array and value == empty else value
            self.met.add(key)
            if self.read.get(key) == given:
                self.changes.pop(key, None)
            else:
                self.changes[key] = given

    def differing(self) -> set[bytes]:
        """The keys where something else was found than what was taken until now."""
        return self.changes.keys() | (self.read.keys() - self.met)

    def finish(self) -> tuple[Changes, Changes]:
        """Changes that make each side hold what was taken and nothing else: the one that packets read, the other."""
        self.changes |= dict.fromkeys(sorted(self.read.keys() - self.met))
        other: Changes = {}
        for key in (*self.changes, *(key for key in self.apart if key not in self.changes)):
            wanted = self.changes[key] if key in self.changes else self.read.get(key)
            there = self.apart[key] if key in self.apart else self.read.get(key)
            if there != wanted:
                other[key] = wanted
        return self.changes, other


def comparison(layout: MapLayout, buffers: Buffers, read_side: int) -> Comparison:
    """With nothing taken yet."""
    read = dict(entries_on(layout, buffers, read_side))
    apart: Changes = {}
    same = 0
    for key, value in entries_on(layout, buffers, 1 - read_side):
        if read.get(key) == value:
            same += 1
        else:
            apart[key] = value
    if same < len(read):
        there = {key for key, _ in entries_on(layout, buffers, 1 - read_side)}
        apart |= dict.fromkeys(read.keys() - there)
    return Comparison(layout, read, apart)
