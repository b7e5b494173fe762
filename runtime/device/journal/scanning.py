"""Finds the records of a file of the journal, and says what else is in it. Pure.

A process that is killed while it appends leaves a record cut short, or zeros where the file was made longer ahead: that
is a torn tail, and what was acknowledged lies before it. Bytes that do not fit and are no such tail are damage, which
costs what is in it and nothing behind: there the search for records goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from runtime.device.journal.framing import HEAD_SIZE, HEADER, Frame, claimed_size, frame_at, has_header

SEARCHED_BYTES = 1 << 28
"""So much is looked through behind damage for a record whose checksum fits: a quarter of a second."""
_MAYBE_HEAD = re.compile(rb"(?=...[\x00-\x03]....[\x01-\x1f])", re.DOTALL)
"""Less than 64 MiB long, and of a kind that may be."""
_LENGTH_BITS = 32


class Tail(Enum):
    """How a file ends."""

    WHOLE = "whole"
    TORN = "torn"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes from `start` to `end` that were records. Empty: the next one's length was wrong, and is put right."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Torn:
    """From there on the last record is cut short: nobody was told of it."""

    start: int


Part: TypeAlias = Frame | Damage | Torn


def parts(data: bytes) -> Iterator[Part]:
    """What a file has, in its order; records hold on to `data`. Raises `FormatError`."""
    if not has_header(data):
        if data.strip(b"\0"):
            yield Torn(0)
        return
    view, at, written = memoryview(data), len(HEADER), len(data.rstrip(b"\0"))
    while True:
        while (frame := frame_at(view, at)) is not None:
            yield frame
            at += HEAD_SIZE + len(frame.body)
        if at >= written:
            return
        frame = _with_length_put_right(view, at)
        if frame is not None:
            yield Damage(at, at)
            yield frame
            at += HEAD_SIZE + len(frame.body)
            continue
        if _is_cut_short(view, at, written):
            yield Torn(at)
            return
        behind = _behind(view, at, written)
        yield Damage(at, behind)
        at = behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The records of a file, where the last one ends, and what lies between and behind them."""

    frames: tuple[Frame, ...]
    end: int
    tail: Tail
    damage: tuple[Damage, ...]


def scan(data: bytes) -> Scan:
    """All at once. Raises `FormatError`."""
    frames: list[Frame] = []
    damage: list[Damage] = []
    end, tail = len(HEADER), Tail.WHOLE
    for part in parts(data):
        match part:
            case Frame():
                end = (damage[-1].end if tail is Tail.DAMAGED else end) + HEAD_SIZE + len(part.body)
                frames.append(part)
                tail = Tail.WHOLE
            case Damage():
                damage.append(part)
                tail = Tail.DAMAGED
            case Torn():
                tail = Tail.TORN
    return Scan(frames=tuple(frames), end=end, tail=tail, damage=tuple(damage))


def _with_length_put_right(data: memoryview, at: int) -> Frame | None:
    """The record there, if one bit of its length is wrong and nothing else: its checksum counts the length in."""
    if at + HEAD_SIZE > len(data):
        return None
    claimed = claimed_size(data, at)
    tried = (frame_at(data, at, claimed ^ 1 << bit) for bit in range(_LENGTH_BITS))
    return next((frame for frame in tried if frame is not None), None)


def _is_cut_short(data: memoryview, at: int, written: int) -> bool:
    """Whether a kill can have left this: what is there of a record ends before it does."""
    if at + HEAD_SIZE > written:
        return True
    return _MAYBE_HEAD.match(data, at) is not None and at + HEAD_SIZE + claimed_size(data, at) > written


def _behind(data: memoryview, at: int, written: int) -> int:
    """Where the next record is, `written` if there is none: first where the damaged one says that it ends."""
    claimed = at + HEAD_SIZE + claimed_size(data, at)
    if claimed == written or frame_at(data, claimed) is not None:
        return claimed
    left = SEARCHED_BYTES
    for found in _MAYBE_HEAD.finditer(data, at + 1, written):
        start = found.start()
        if start + HEAD_SIZE + claimed_size(data, start) > len(data):
            continue
        left -= claimed_size(data, start)
        if left < 0:
            break
        if frame_at(data, start) is not None:
            return start
    return written
