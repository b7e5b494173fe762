"""Where a mounted volume has its files: what FIEMAP says of each (Documentation/filesystems/fiemap.rst of Linux), and
statx(2) of those that are compressed, since EROFS sets no flag there.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agents.storage.translate.filereads import Mapped

_FIEMAP: Final = 0xC020_660B
_REQUEST: Final = struct.Struct("=QQIIII")
"""struct fiemap: start, length, flags, how many are told, how many there is room for, reserved."""
_EXTENT: Final = struct.Struct("=QQQ16xI12x")
"""struct fiemap_extent: place in the file, in the volume, length, flags."""
_AT_ONCE: Final = 256
_ALL: Final = (1 << 64) - 1
_LAST, _UNKNOWN = 0x1, 0x2
_STATX: Final = struct.Struct("=8xQ240x")
"""struct statx: attributes."""
_AT_EMPTY_PATH, _COMPRESSED = 0x1000, 0x4
"""STATX_ATTR_COMPRESSED."""
_LIBRARY: Final = ctypes.CDLL(None, use_errno=True)


def mapped_files(root: Path) -> Iterator[Mapped]:
    """Of every file below a mounted volume's root; of several names that it has, by one. Names are as they are."""
    seen: set[int] = set()
    top = os.fsencode(root)
    pending = [top]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False) and entry.inode() not in seen:
                    seen.add(entry.inode())
                    yield from _mapped(entry.path, entry.path.removeprefix(top + b"/"))


def _mapped(path: bytes, name: bytes) -> Iterator[Mapped]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        is_compressed = _is_compressed(descriptor)
        for offset, place, length, flags in _extents(descriptor):
            if not flags & _UNKNOWN:
                yield Mapped(name, offset, place, length, is_compressed)
    finally:
        os.close(descriptor)


def _is_compressed(descriptor: int) -> bool:
    found = ctypes.create_string_buffer(_STATX.size)
    if _LIBRARY.statx(descriptor, b"", _AT_EMPTY_PATH, 0, found):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    (attributes,) = _STATX.unpack(found)
    return bool(attributes & _COMPRESSED)


def _extents(descriptor: int) -> Iterator[tuple[int, int, int, int]]:
    start, flags = 0, 0
    while not flags & _LAST:
        room = bytearray(_REQUEST.pack(start, _ALL - start, 0, 0, _AT_ONCE, 0) + bytes(_AT_ONCE * _EXTENT.size))
        fcntl.ioctl(descriptor, _FIEMAP, room)
        count = _REQUEST.unpack_from(room)[3]
        if not count:
            return
        for number in range(count):
            offset, place, length, flags = _EXTENT.unpack_from(room, _REQUEST.size + number * _EXTENT.size)
            yield offset, place, length, flags
            start = offset + length
