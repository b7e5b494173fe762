"""How EROFS keeps a file compressed with LZ4: where it is cut, and the index by which the kernel finds its pieces.

A file is cut into extents, each compressed by itself into whole blocks (a physical cluster), with zeros before the
compressed bytes; one that does not shrink by a block is stored as it is. The index has eight bytes for each block of
the file (a logical cluster): Linux, fs/erofs/erofs_fs.h, z_erofs_map_header and z_erofs_lcluster_index, not the compact
form. Linux 5.13 and newer read it (big physical clusters).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from agents.storage.translate.contents import Packed

BLOCK: Final = 4096
EXTENT_BYTES: Final = 32 << 10
"""A read of one byte costs all blocks of its extent, so larger ones, which shrink further, bring more than is read."""
FEATURES: Final = 0x1 | 0x2
"""LZ4_0PADDING, and COMPR_CFGS which is BIG_PCLUSTER as well."""
ALGORITHMS: Final = 1 << 0
"""Bitmap in the superblock: LZ4 alone."""
FEATURES_OFFSET: Final = 1024 + 80
"""Of `feature_incompat` in a volume: 32 bits."""
INDEX_HEAD_BYTES: Final = 16
_INDEX_ENTRY_BYTES: Final = 8
_MAX_DISTANCE: Final = 65_535
_MOST_EXTENT_BYTES: Final = EXTENT_BYTES * 3 // 2
_WORTH: Final = 16
"""A file that shrinks by less than this part of it is left alone: plain ones are read without a detour."""
_ADVISE_BIG_CLUSTERS: Final = 0x2
_BLOCK_COUNT_FLAG: Final = 1 << 11
_PLAIN, _HEAD, _NOT_HEAD = 0, 1, 2
_HEADER: Final = struct.Struct("<IHBB8x")
_HEAD_ENTRY: Final = struct.Struct("<HHI")
_OTHER_ENTRY: Final = struct.Struct("<HHHH")

CONFIGURATION: Final = struct.pack("<HHH10x", 14, _MAX_DISTANCE, _MOST_EXTENT_BYTES // BLOCK)
"""Behind the superblock: its length, then z_erofs_lz4_cfgs."""


def extents(size: int) -> Iterator[tuple[int, int]]:
    """Start and length of each extent of a file. A remainder of less than half an extent belongs to the last one."""
    count = max(1, (size + EXTENT_BYTES // 2 - 1) // EXTENT_BYTES)
    for index in range(count - 1):
        yield index * EXTENT_BYTES, EXTENT_BYTES
    last = (count - 1) * EXTENT_BYTES
    yield last, size - last


def blocks_of(length: int) -> int:
    return -(-length // BLOCK)


def index_bytes(size: int) -> int:
    return INDEX_HEAD_BYTES + _INDEX_ENTRY_BYTES * blocks_of(size)


def is_worth_it(size: int, blocks: int) -> bool:
    """Whether a file is kept compressed, if its data then takes so many blocks."""
    return blocks * BLOCK + index_bytes(size) <= size - size // _WORTH


def index(size: int, packed: Packed, block: int) -> bytes:
    """What lies behind the inode of a compressed file whose data begins with that block."""
    entries = [_HEADER.pack(0, _ADVISE_BIG_CLUSTERS, 0, 0)]
    for (_, length), blocks in zip(extents(size), packed.blocks, strict=True):
        entries += _entries(length, blocks, block)
        block += blocks
    return b"".join(entries)


def _entries(length: int, blocks: int, block: int) -> Iterator[bytes]:
    """One for each block of an extent, which is of one block or more."""
    count = blocks_of(length)
    if blocks == count:
        yield from (_HEAD_ENTRY.pack(_PLAIN, 0, block + position) for position in range(count))
        return
    # What ends within a block ends with an entry that says where, as if something else began there.
    whole = length // BLOCK
    yield _HEAD_ENTRY.pack(_HEAD, 0, block)
    for position in range(1, whole):
        back = blocks | _BLOCK_COUNT_FLAG if position == 1 else position
        yield _OTHER_ENTRY.pack(_NOT_HEAD, 0, back, whole - position)
    if whole < count:
        yield _HEAD_ENTRY.pack(_PLAIN, length % BLOCK, 0)
