"""Blocks of a directory in EROFS: entries of 12 bytes, then the names, in each block; names in ascending order."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.storage.translate import tree

_BLOCK: Final = 4096
_ENTRY: Final = struct.Struct("<QHBx")


@dataclass(frozen=True, slots=True)
class DirectoryBlocks:
    """Names and kinds, block by block. `size` counts the last block only as far as it is used."""

    blocks: tuple[tuple[tuple[bytes, int], ...], ...]
    size: int

    def content(self, numbers: Mapping[bytes, int], start: int, length: int) -> bytes:
        """Bytes from `start`, where a block begins, on; `numbers` are the inodes' by name."""
        first, last = start // _BLOCK, -(-(start + length) // _BLOCK)
        whole = b"".join(_block(entries, numbers).ljust(_BLOCK, b"\0") for entries in self.blocks[first:last])
        return whole[:length]


def directory_blocks(names: Sequence[tuple[bytes, int]]) -> DirectoryBlocks:
    """`names` with their kinds, `.` and `..` among them, in ascending order."""
    blocks: list[tuple[tuple[bytes, int], ...]] = []
    block: list[tuple[bytes, int]] = []
    used = 0
    for name, kind in names:
        needed = _ENTRY.size + len(name)
        if used + needed > _BLOCK:
            blocks.append(tuple(block))
            block, used = [], 0
        block.append((name, kind))
        used += needed
    blocks.append(tuple(block))
    return DirectoryBlocks(tuple(blocks), (len(blocks) - 1) * _BLOCK + used)


def _block(entries: Sequence[tuple[bytes, int]], numbers: Mapping[bytes, int]) -> bytes:
    offset = _ENTRY.size * len(entries)
    heads: list[bytes] = []
    for name, kind in entries:
        heads.append(_ENTRY.pack(numbers[name], offset, tree.FILE_TYPES[kind]))
        offset += len(name)
    return b"".join((*heads, *(name for name, _ in entries)))
