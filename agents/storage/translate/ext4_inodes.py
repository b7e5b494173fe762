"""An inode of ext4 as its 256 bytes."""

from __future__ import annotations

import struct
from typing import Final

from agents.storage.translate.tree import Node

EXTENTS: Final = 0x80000
_INODE: Final = struct.Struct("<HHIIIIIHHIII60sIIII HHHHHH HHIIIIII")
_MAX_LINKS: Final = 65_000
_SECTORS_A_BLOCK: Final = 8
_EXTRA_BYTES: Final = 32


def inode_bytes(
    node: Node,
    *,
    links: int,
    size: int,
    flags: int,
    places: bytes,
    blocks: int,
    attribute_block: int,
    attributes: bytes,
) -> bytes:
    """`places` are the 60 bytes that say where the data is; `blocks` all that the file takes; `attributes` lie behind.
    All times are the time of the last change. A directory with too many links to count has 1 (dir_nlink)."""
    seconds, nanoseconds = divmod(node.mtime_ns, 1_000_000_000)
    low = seconds & 0xFFFF_FFFF
    epoch = (seconds - (low - (1 << 32) if low >> 31 else low)) >> 32
    extra = nanoseconds << 2 | epoch
    sectors = blocks * _SECTORS_A_BLOCK
    packed = _INODE.pack(
        node.mode, node.uid & 0xFFFF, size & 0xFFFF_FFFF, low, low, low, 0, node.gid & 0xFFFF,
        1 if links > _MAX_LINKS else links, sectors & 0xFFFF_FFFF, flags, 0, places.ljust(60, b"\0"),
        0, attribute_block & 0xFFFF_FFFF, size >> 32, 0,
        sectors >> 32, attribute_block >> 32, node.uid >> 16, node.gid >> 16, 0, 0,
        _EXTRA_BYTES, 0, extra, extra, extra, low, extra, 0,
    )  # fmt: skip
    return (packed + bytes(4) + attributes).ljust(256, b"\0")
