"""How records lie in a file of the journal: a header, then length, checksum, kind and body of each. Pure.

`scanning` finds them again, also in a file that is damaged.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

MAGIC = b"TurnoutJ"
VERSION = 1
HEADER = MAGIC + struct.pack("<I", VERSION)
_HEAD = struct.Struct("<IIB")
"""Bytes of the body; CRC-32 of length, kind and body; kind, never 0."""
_LENGTH_AND_KIND = struct.Struct("<IB")
HEAD_SIZE = _HEAD.size


class FormatError(Exception):
    """A file that this version cannot read; the text says which version wrote it, or that it is no journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One record as it lies in the file."""

    kind: int
    body: memoryview


def frame_head(kind: int, body: bytes) -> bytes:
    """What goes before `body` in the file."""
    return _HEAD.pack(len(body), _checksum(kind, body), kind)


def has_header(data: bytes) -> bool:
    """False for a file whose process was killed as it made it. Raises `FormatError`."""
    start = data[: len(HEADER)].rstrip(b"\0")
    if start == HEADER.rstrip(b"\0"):
        return len(data) >= len(HEADER)
    if HEADER.startswith(start) and not data[len(HEADER) :].strip(b"\0"):
        return False
    if not start.startswith(MAGIC):
        raise FormatError("it is no journal of a Turnout device")
    version = int.from_bytes(data[len(MAGIC) : len(HEADER)], "little")
    raise FormatError(f"its format is {version}, this version of Turnout reads {VERSION}")


def frame_at(data: memoryview, at: int, size: int | None = None) -> Frame | None:
    """None at the end, and where what follows is not a whole record. `size`: of its body, whatever it says itself."""
    if at + HEAD_SIZE > len(data):
        return None
    claimed, checksum, kind = _HEAD.unpack_from(data, at)
    start = at + HEAD_SIZE
    end = start + (claimed if size is None else size)
    if not kind or end > len(data):
        return None
    body = data[start:end]
    return Frame(kind=kind, body=body) if _checksum(kind, body) == checksum else None


def claimed_size(data: memoryview, at: int) -> int:
    """What the head there says of the length of its body, right or wrong."""
    return _HEAD.unpack_from(data, at)[0]


def _checksum(kind: int, body: bytes | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(_LENGTH_AND_KIND.pack(len(body), kind)))
