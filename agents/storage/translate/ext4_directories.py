"""Blocks of a directory in ext4: entries one behind the other, the last one of a block reaching to its end."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from agents.storage.translate import tree

_BLOCK: Final = 4096
_ENTRY: Final = struct.Struct("<IHBB")


def directory_bytes(names: Iterable[tuple[bytes, int, int]]) -> bytes:
    """`names` with the number of the inode and its kind, `.` and `..` first."""
    blocks = bytearray()
    last = used = 0
    for name, number, kind in names:
        needed = -(-(_ENTRY.size + len(name)) // 4) * 4
        if not blocks or used + needed > _BLOCK:
            _close(blocks, last)
            last = len(blocks)
            blocks += bytes(_BLOCK)
            used = 0
        else:
            last = len(blocks) - _BLOCK + used
        _ENTRY.pack_into(blocks, last, number, needed, len(name), tree.FILE_TYPES[kind])
        blocks[last + _ENTRY.size : last + _ENTRY.size + len(name)] = name
        used += needed
    _close(blocks, last)
    return bytes(blocks)


def _close(blocks: bytearray, last: int) -> None:
    """Let the entry at `last`, the last one so far, reach to the end."""
    if blocks:
        struct.pack_into("<H", blocks, last + 4, len(blocks) - last)
