"""Slices of a ring map: first fit, and what is given back rests before it is given out again. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

_FREE, _USED = re.compile(b"f+"), re.compile(b"u+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Slots `offset` up to `offset + size`, of which the last `cycle` are a group's cycle of turns."""

    offset: int
    size: int
    cycle: int = 0


class Slices:
    """Places in an array of `size` slots.

    A packet may still be reading a slice that an entry has just left, so what is given back rests: until the batch
    ends (`seal`), and then until no packet can have seen what was before (`release`).
    """

    def __init__(self, size: int) -> None:
        self._free: list[tuple[int, int]] = [(0, size)]
        """(offset, size), sorted, never adjacent."""
        self._resting: list[Slice] = []
        self._sealed: list[Slice] = []

    def occupy(self, used: Iterable[Slice], kept: Iterable[Slice]) -> None:
        """Before any is taken: packets may be reading `used`. Of that `kept` stays in use, and the rest rests."""
        marks = bytearray(b"f" * sum(self._free[0]))
        for mark, slices in ((b"u", used), (b"k", kept)):
            for one in slices:
                marks[one.offset : one.offset + one.size] = mark * one.size
        self._free = [(run.start(), run.end() - run.start()) for run in _FREE.finditer(marks)]
        self._resting = [Slice(offset=run.start(), size=run.end() - run.start()) for run in _USED.finditer(marks)]

    def take(self, size: int) -> Slice | None:
        """None when no stretch is long enough."""
        for at, (offset, length) in enumerate(self._free):
            if length < size:
                continue
            if length == size:
                del self._free[at]
            else:
                self._free[at] = (offset + size, length - size)
            return Slice(offset=offset, size=size)
        return None

    def take_single(self, count: int) -> list[int]:
        """So many slices of one slot, as they would be taken one after the other: their places; fewer if there are."""
        found: list[int] = []
        while self._free and len(found) < count:
            offset, length = self._free[0]
            part = min(length, count - len(found))
            found += range(offset, offset + part)
            self._free[:1] = [(offset + part, length - part)] if part < length else []
        return found

    def give_back(self, used: Slice) -> None:
        self._resting.append(used)

    def keep(self, used: Slice) -> None:
        """What was given back since the last `seal` is in use after all."""
        self._resting.remove(used)

    def seal(self) -> None:
        self._sealed += self._resting
        self._resting = []

    def release(self) -> None:
        for used in self._sealed:
            self._release(used)
        self._sealed = []

    @property
    def free_slots(self) -> int:
        return sum(size for _, size in self._free)

    def _release(self, used: Slice) -> None:
        offset, size = used.offset, used.size
        at = bisect_left(self._free, (offset, 0))
        if at < len(self._free) and offset + size == self._free[at][0]:
            size += self._free.pop(at)[1]
        if at and sum(self._free[at - 1]) == offset:
            at -= 1
            before = self._free.pop(at)
            offset, size = before[0], before[1] + size
        self._free.insert(at, (offset, size))
