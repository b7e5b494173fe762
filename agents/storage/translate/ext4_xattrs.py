"""Extended attributes of an ext4 inode: behind it when they are small, else in one block of their own.

The format: fs/ext4/xattr.h and fs/ext4/acl.h of Linux. POSIX access lists lie there in another form than getxattr(2)
gives.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agents.storage.wire.errors import ImageError

_MAGIC: Final = struct.pack("<I", 0xEA02_0000)
_ENTRY: Final = struct.Struct("<BBHIII")
_BLOCK: Final = 4096
_BLOCK_HEADER: Final = 32
_INLINE_BYTES: Final = 92
"""Behind an inode of 256 bytes with all its fields, less the magic number."""
_END: Final = 4
_WHOLE_NAMES: Final = {b"system.posix_acl_access": 2, b"system.posix_acl_default": 3}
_PREFIXES: Final = {b"user.": 1, b"trusted.": 4, b"security.": 6}
_ACL_WITH_ID: Final = (0x02, 0x08)
"""ACL_USER and ACL_GROUP: the only entries that name somebody."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """`inline` lies behind the inode; `block` is empty when everything has room there."""

    inline: bytes = b""
    block: bytes = b""


@dataclass(frozen=True, slots=True)
class _Attribute:
    index: int
    name: bytes
    value: bytes

    @property
    def size(self) -> int:
        return _ENTRY.size + _padded(len(self.name)) + _padded(len(self.value))


def attributes(xattrs: Mapping[bytes, bytes]) -> Attributes:
    if not xattrs:
        return Attributes()
    found = sorted(
        (_attribute(name, value) for name, value in xattrs.items()),
        key=lambda one: (one.index, len(one.name), one.name),
    )
    size = sum(one.size for one in found) + _END
    if size <= _INLINE_BYTES:
        return Attributes(inline=_MAGIC + _area(found, _INLINE_BYTES, 0, hashed=False))
    if size > _BLOCK - _BLOCK_HEADER:
        raise ImageError(
            f"extended attributes of {size} bytes on one file; ext4 takes {_BLOCK - _BLOCK_HEADER} (mode block)"
        )
    hashes = 0
    for one in found:
        hashes = (hashes << 16 ^ hashes >> 16 ^ _hash(one)) & 0xFFFF_FFFF
    header = _MAGIC + struct.pack("<III", 1, 1, hashes) + bytes(_BLOCK_HEADER - 16)
    return Attributes(block=header + _area(found, _BLOCK - _BLOCK_HEADER, _BLOCK_HEADER, hashed=True))


def _area(found: list[_Attribute], size: int, start: int, *, hashed: bool) -> bytes:
    """Entries from the front, values from the back. Offsets of values count from `start` before the area."""
    area = bytearray(size)
    front, back = 0, size
    for one in found:
        back -= _padded(len(one.value))
        area[back : back + len(one.value)] = one.value
        place = start + back if one.value else 0
        _ENTRY.pack_into(area, front, len(one.name), one.index, place, 0, len(one.value), _hash(one) if hashed else 0)
        front += _ENTRY.size
        area[front : front + len(one.name)] = one.name
        front += _padded(len(one.name))
    return bytes(area)


def _attribute(name: bytes, value: bytes) -> _Attribute:
    if name in _WHOLE_NAMES:
        return _Attribute(_WHOLE_NAMES[name], b"", _access_list(value))
    prefix = name[: name.index(b".") + 1]
    return _Attribute(_PREFIXES[prefix], name[len(prefix) :], value)


def _access_list(value: bytes) -> bytes:
    """Version 2 of getxattr(2), entries of 8 bytes, to version 1 on the disk: only those with an owner have 8."""
    entries: list[bytes] = [struct.pack("<I", 1)]
    for tag, permissions, owner in struct.iter_unpack("<HHI", value[4:]):
        entries.append(struct.pack("<HH", tag, permissions))
        if tag in _ACL_WITH_ID:
            entries.append(struct.pack("<I", owner))
    return b"".join(entries)


def _hash(one: _Attribute) -> int:
    found = 0
    for byte in one.name:
        found = (found << 5 ^ found >> 27 ^ byte) & 0xFFFF_FFFF
    for (word,) in struct.iter_unpack("<I", one.value.ljust(_padded(len(one.value)), b"\0")):
        found = (found << 16 ^ found >> 16 ^ word) & 0xFFFF_FFFF
    return found


def _padded(length: int) -> int:
    return -(-length // 4) * 4
