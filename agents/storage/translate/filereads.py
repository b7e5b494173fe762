"""Which parts of files a start has read, from what it read of the volume and where the volume has files."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agents.storage.wire.traces import Extents, FileRead, FileReads


class Mapped(NamedTuple):
    """`length` bytes of a file from `offset` on, and where the volume has them: at `place`, as they are or, `encoded`,
    compressed to fewer."""

    path: bytes
    offset: int
    place: int
    length: int
    encoded: bool


class Places:
    """Of a trace's extents."""

    def __init__(self, extents: Extents) -> None:
        self._sorted = sorted((start, start + length, number) for number, (start, length) in enumerate(extents))
        self._starts = [start for start, _, _ in self._sorted]
        self._ends = [end for _, end, _ in self._sorted]

    def reads(self, one: Mapped) -> Iterator[tuple[int, FileRead]]:
        """The parts of it that are in extents, and where they begin in the volume. What is compressed is read as a
        whole."""
        end = one.place + (1 if one.encoded else one.length)
        for index in range(bisect_right(self._ends, one.place), bisect_left(self._starts, end)):
            start, stop, number = self._sorted[index]
            if one.encoded:
                yield one.place, FileRead(number, one.path, one.offset, one.length)
            else:
                first, last = max(start, one.place), min(stop, end)
                yield first, FileRead(number, one.path, one.offset + first - one.place, last - first)


def file_reads(extents: Extents, files: Iterable[Mapped]) -> FileReads:
    """In the order of the extents, and in each as the volume has them. What follows directly in its file is one with
    what it follows."""
    places = Places(extents)
    found = sorted((read.extent, place, read) for one in files for place, read in places.reads(one))
    reads: list[FileRead] = []
    for _, _, read in found:
        if reads and _follows(reads[-1], read):
            reads[-1] = reads[-1]._replace(length=reads[-1].length + read.length)
        else:
            reads.append(read)
    return tuple(reads)


def _follows(before: FileRead, read: FileRead) -> bool:
    is_next = before.offset + before.length == read.offset
    return is_next and (before.extent, before.path) == (read.extent, read.path)
