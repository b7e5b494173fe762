"""How an ext4 file system is divided: groups of 32,768 blocks of 4 KiB, and what lies in front of each group's data.

Group 0 begins with the superblock and the descriptors of all groups; there are no copies of these (sparse_super2). Each
group has a bitmap of its blocks, one of its inodes, and its part of the inode table. Groups that hold nothing are
described as not initialised, and what a clone reads of them is zero. The format: Documentation/filesystems/ext4 and
fs/ext4/ext4.h of Linux.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

BLOCK: Final = 4096
GROUP_BLOCKS: Final = 8 * BLOCK
GROUPS_A_GIB: Final = (1 << 30) // (GROUP_BLOCKS * BLOCK)
INODE_BYTES: Final = 256
FIRST_INODE: Final = 11
JOURNAL_INODE: Final = 8
DESCRIPTOR_BYTES: Final = 64

_COMPATIBLE: Final = 0x4 | 0x8 | 0x20 | 0x200
"""has_journal, ext_attr, dir_index, sparse_super2"""
_INCOMPATIBLE: Final = 0x2 | 0x40 | 0x80
"""filetype, extent, 64bit"""
_READ_ONLY_COMPATIBLE: Final = 0x2 | 0x8 | 0x10 | 0x20 | 0x40
"""large_file, huge_file, uninit_bg, dir_nlink, extra_isize"""
_NO_INODES, _NO_BLOCKS, _ZEROED = 1, 2, 4
_ERRORS_READ_ONLY: Final = 2
_HALF_MD4, _SIGNED_HASH = 1, 1
_ACL_AND_USER_XATTRS: Final = 0x4 | 0x8
_NEVER_CHECKED: Final = -1
_DESCRIPTOR: Final = struct.Struct("<IIIHHHHIHHH")
_DESCRIPTOR_END: Final = struct.Struct("<IIIHHHHIHHI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    groups: int
    inodes_a_group: int

    @property
    def blocks(self) -> int:
        return self.groups * GROUP_BLOCKS

    @property
    def table_blocks(self) -> int:
        return self.inodes_a_group * INODE_BYTES // BLOCK

    @property
    def descriptor_blocks(self) -> int:
        return -(-self.groups * DESCRIPTOR_BYTES // BLOCK)

    def bitmaps(self, group: int) -> int:
        """The block with the group's bitmap of blocks; that of inodes follows, then the table."""
        return group * GROUP_BLOCKS + (1 + self.descriptor_blocks if group == 0 else 0)

    def data(self, group: int) -> int:
        """The group's first block behind all that."""
        return self.bitmaps(group) + 2 + self.table_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupUse:
    """`blocks` of data from the group's first one on, `inodes` from its first one on."""

    blocks: int = 0
    inodes: int = 0
    directories: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.blocks or self.inodes)


def superblock(geometry: Geometry, uuid: bytes, uses: Iterable[GroupUse]) -> bytes:
    """The first block of the disk, 1 KiB of boot sector included. `uses` are those of groups that hold something."""
    used_blocks = used_inodes = 0
    for use in uses:
        used_blocks += use.blocks
        used_inodes += use.inodes
    overhead = geometry.groups * (2 + geometry.table_blocks) + 1 + geometry.descriptor_blocks
    free = geometry.blocks - overhead - used_blocks
    inodes = geometry.groups * geometry.inodes_a_group
    block = bytearray(BLOCK)
    for offset, layout, *values in _fields(geometry, uuid, free, inodes, inodes - used_inodes):
        struct.pack_into(f"<{layout}", block, 1024 + offset, *values)
    return bytes(block)


def _fields(geometry: Geometry, uuid: bytes, free: int, inodes: int, free_inodes: int) -> list[tuple[Any, ...]]:
    """Offset, layout and values of what is not zero."""
    blocks = geometry.blocks
    return [
        (0x00, "IIIII", inodes, blocks & 0xFFFF_FFFF, 0, free & 0xFFFF_FFFF, free_inodes),
        (0x18, "IIIII", 2, 2, GROUP_BLOCKS, GROUP_BLOCKS, geometry.inodes_a_group),
        (0x36, "hHHH", _NEVER_CHECKED, 0xEF53, 1, _ERRORS_READ_ONLY),
        (0x4C, "I", 1),
        (0x54, "IH", FIRST_INODE, INODE_BYTES),
        (0x5C, "III16s", _COMPATIBLE, _INCOMPATIBLE, _READ_ONLY_COMPATIBLE, uuid),
        (0xE0, "I", JOURNAL_INODE),
        (0xEC, "16sBBHI", uuid, _HALF_MD4, 0, DESCRIPTOR_BYTES, _ACL_AND_USER_XATTRS),
        (0x150, "III", blocks >> 32, 0, free >> 32),
        (0x15C, "HHI", 32, 32, _SIGNED_HASH),
    ]


def descriptors(geometry: Geometry, uuid: bytes, uses: Sequence[GroupUse]) -> bytes:
    """One of each group; `uses` of the first ones, the others hold nothing."""
    seed = _crc16(0xFFFF, uuid)
    nothing = GroupUse()
    found = [_descriptor(geometry, seed, n, uses[n] if n < len(uses) else nothing) for n in range(geometry.groups)]
    return b"".join(found).ljust(geometry.descriptor_blocks * BLOCK, b"\0")


def _descriptor(geometry: Geometry, seed: int, group: int, use: GroupUse) -> bytes:
    bitmaps = geometry.bitmaps(group)
    flags = _ZEROED | (_NO_BLOCKS if use.is_empty else 0) | (0 if use.inodes else _NO_INODES)
    free = (group + 1) * GROUP_BLOCKS - geometry.data(group) - use.blocks
    free_inodes = geometry.inodes_a_group - use.inodes
    places = (bitmaps, bitmaps + 1, bitmaps + 2)
    front = _DESCRIPTOR.pack(
        *(place & 0xFFFF_FFFF for place in places), free, free_inodes, use.directories, flags, 0, 0, 0, free_inodes
    )
    back = _DESCRIPTOR_END.pack(*(place >> 32 for place in places), 0, 0, 0, 0, 0, 0, 0, 0)
    checksum = _crc16(_crc16(_crc16(seed, struct.pack("<I", group)), front), back)
    return front + struct.pack("<H", checksum) + back


def bitmaps(geometry: Geometry, group: int, use: GroupUse) -> bytes:
    """Of blocks and of inodes; inodes that there are not count as used."""
    front = geometry.data(group) - group * GROUP_BLOCKS
    return _ones(0, front + use.blocks) + _ones(geometry.inodes_a_group, use.inodes)


def _ones(real: int, count: int) -> bytes:
    """A block whose first `count` bits are set, and those from `real` on, unless that is 0."""
    bits = (1 << count) - 1
    if real:
        bits |= (1 << 8 * BLOCK) - (1 << real)
    return bits.to_bytes(BLOCK, "little")


def _crc16_table() -> tuple[int, ...]:
    table: list[int] = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE: Final = _crc16_table()


def _crc16(value: int, data: bytes) -> int:
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value
