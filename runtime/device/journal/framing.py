"""How records lie in a file of the journal: a header, then length, checksum, kind and body of each. Pure.

A process that is killed while it appends leaves a record cut short, or zeros where the file was made longer ahead: that
is a torn tail, and what was acknowledged lies before it. Bytes that do not fit and have more behind them are damage.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import Enum

MAGIC = b"TurnoutJ"
VERSION = 1
HEADER = MAGIC + struct.pack("<I", VERSION)
_HEAD = struct.Struct("<IIB")
"""Bytes of the body; CRC-32 of length, kind and body; kind, never 0."""
_LENGTH_AND_KIND = struct.Struct("<IB")
HEAD_SIZE = _HEAD.size


class FormatError(Exception):
    """A file that this version cannot read; the text says which version wrote it, or that it is no journal."""


class Tail(Enum):
    """How a file ends."""

    WHOLE = "whole"
    TORN = "torn"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One record as it lies in the file."""

    kind: int
    body: memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The records of a file up to the first that does not fit, and where that is."""

    frames: tuple[Frame, ...]
    end: int
    tail: Tail


def frame_head(kind: int, body: bytes) -> bytes:
    """What goes before `body` in the file."""
    return _HEAD.pack(len(body), _checksum(kind, body), kind)


def scan(data: bytes) -> Scan:
    """All whole records of a file, which hold on to `data`. Raises `FormatError`."""
    frames: list[Frame] = []
    at = len(HEADER)
    if _has_header(data):
        view = memoryview(data)
        while (frame := _frame_at(view, at)) is not None:
            frames.append(frame)
            at += HEAD_SIZE + len(frame.body)
    return Scan(frames=tuple(frames), end=at, tail=_tail(data, at))


def _has_header(data: bytes) -> bool:
    """False for a file whose process was killed as it made it."""
    start = data[: len(HEADER)].rstrip(b"\0")
    if start == HEADER.rstrip(b"\0"):
        return len(data) >= len(HEADER)
    if HEADER.startswith(start):
        return False
    if not start.startswith(MAGIC):
        raise FormatError("it is no journal of a Turnout device")
    version = int.from_bytes(data[len(MAGIC) : len(HEADER)], "little")
    raise FormatError(f"its format is {version}, this version of Turnout reads {VERSION}")


def _frame_at(data: memoryview, at: int) -> Frame | None:
    """None at the end, and where what follows is not a whole record."""
    if at + HEAD_SIZE > len(data):
        return None
    size, checksum, kind = _HEAD.unpack_from(data, at)
    start = at + HEAD_SIZE
    if not kind or start + size > len(data):
        return None
    body = data[start : start + size]
    return Frame(kind=kind, body=body) if _checksum(kind, body) == checksum else None


def _tail(data: bytes, at: int) -> Tail:
    """What lies behind the last whole record. One record cut short, and zeros, are what a kill leaves."""
    written = len(data.rstrip(b"\0"))
    if written <= at:
        return Tail.WHOLE
    if at + HEAD_SIZE > written:
        return Tail.TORN
    claimed = at + HEAD_SIZE + _HEAD.unpack_from(data, at)[0]
    return Tail.TORN if claimed >= written else Tail.DAMAGED


def _checksum(kind: int, body: bytes | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(_LENGTH_AND_KIND.pack(len(body), kind)))
