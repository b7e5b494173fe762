"""Extended attributes beside an inode of EROFS: a header of 12 bytes, then entries filled up to four bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from agents.storage.wire.errors import ImageError

_HEADER_BYTES: Final = 12
_ENTRY: Final = struct.Struct("<BBH")
_MAX_BYTES: Final = _HEADER_BYTES + 4 * 65_534
_WHOLE_NAMES: Final = {b"system.posix_acl_access": 2, b"system.posix_acl_default": 3}
_PREFIXES: Final = {b"user.": 1, b"trusted.": 4, b"security.": 6}


def xattr_body(xattrs: Mapping[bytes, bytes]) -> bytes:
    """What lies between inode and data, sorted by name; empty without attributes."""
    if not xattrs:
        return b""
    body = bytes(_HEADER_BYTES) + b"".join(_entry(name, value) for name, value in sorted(xattrs.items()))
    if len(body) > _MAX_BYTES:
        raise ImageError(f"extended attributes of {len(body)} bytes on one file; EROFS takes {_MAX_BYTES}")
    return body


def _entry(name: bytes, value: bytes) -> bytes:
    index, suffix = _split(name)
    if len(suffix) > 255 or len(value) > 65_535:
        raise ImageError(f"extended attribute {name.decode('utf-8', 'backslashreplace')!r} is too long")
    entry = _ENTRY.pack(len(suffix), index, len(value)) + suffix + value
    return entry + bytes(-len(entry) % 4)


def _split(name: bytes) -> tuple[int, bytes]:
    if name in _WHOLE_NAMES:
        return _WHOLE_NAMES[name], b""
    prefix = name[: name.index(b".") + 1]
    return _PREFIXES[prefix], name[len(prefix) :]
