"""Where a file's blocks lie, as ext4's tree of extents: four entries in the inode, then blocks of 340."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_MAGIC: Final = 0xF30A
_HEADER: Final = struct.Struct("<HHHHI")
_ENTRY_BYTES: Final = 12
_IN_INODE: Final = 4
_IN_BLOCK: Final = (4096 - _HEADER.size) // _ENTRY_BYTES


@dataclass(frozen=True, slots=True)
class Extent:
    """`count` blocks, 32,768 at most: `logical` is the first one's number in the file, `physical` on the disk."""

    logical: int
    physical: int
    count: int


@dataclass(frozen=True, slots=True)
class ExtentTree:
    """`root` are the 60 bytes in the inode; `blocks` the others, each with its place."""

    root: bytes
    blocks: tuple[tuple[int, bytes], ...]


def extent_tree(extents: Sequence[Extent], place: Callable[[], int]) -> ExtentTree:
    """`extents` in ascending order; `place` gives a block for each node that has no room in the inode."""
    entries = [(extent.logical, _leaf(extent)) for extent in extents]
    blocks: list[tuple[int, bytes]] = []
    depth = 0
    while len(entries) > _IN_INODE:
        above: list[tuple[int, bytes]] = []
        for start in range(0, len(entries), _IN_BLOCK):
            part = entries[start : start + _IN_BLOCK]
            block = place()
            blocks.append((block, _node(part, _IN_BLOCK, depth).ljust(4096, b"\0")))
            above.append((part[0][0], _index(part[0][0], block)))
        entries = above
        depth += 1
    return ExtentTree(_node(entries, _IN_INODE, depth).ljust(60, b"\0"), tuple(blocks))


def _node(entries: Sequence[tuple[int, bytes]], most: int, depth: int) -> bytes:
    return _HEADER.pack(_MAGIC, len(entries), most, depth, 0) + b"".join(entry for _, entry in entries)


def _leaf(extent: Extent) -> bytes:
    return struct.pack("<IHHI", extent.logical, extent.count, extent.physical >> 32, extent.physical & 0xFFFF_FFFF)


def _index(logical: int, block: int) -> bytes:
    return struct.pack("<IIHH", logical, block & 0xFFFF_FFFF, block >> 32, 0)
