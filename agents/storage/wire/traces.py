"""What a start read of a volume: extents in the order in which it read them, kept beside the volume.

A trace is a hint. It decides what is fetched first, never what is in a file; one that cannot be used is left aside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeGuard, cast

from agents.storage.wire.errors import ImageError

MOST_EXTENTS: Final = 100_000
"""Of a trace: some megabytes of text, and more than a start of a gigabyte's reads gives."""
MOST_FILE_BYTES: Final = 4 << 20
_VERSION: Final = 1
_LOGGED: Final = re.compile(rb"^blk_co_preadv .* offset (\d+) bytes (\d+) ", re.MULTILINE)
_GRAIN: Final = 1 << 14
"""What reads are rounded to: what the kernel reads at once, and a cluster of a local copy."""

Extents = tuple[tuple[int, int], ...]
"""Offset and length of each, in bytes; none overlaps another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    volume: str
    size_bytes: int
    extents: Extents

    @property
    def read_bytes(self) -> int:
        return sum(length for _, length in self.extents)


def log_to_extents(log: bytes, size_bytes: int) -> Extents:
    """From the log of reads that a storage daemon keeps (trace event blk_co_preadv of QEMU)."""
    return ordered(((int(one[1]), int(one[2])) for one in _LOGGED.finditer(log)), size_bytes)


def ordered(reads: Iterable[tuple[int, int]], size_bytes: int) -> Extents:
    """Offset and length of reads, as extents: rounded outwards, each byte once, where it was read first. What follows
    directly is one with what it follows."""
    seen: set[int] = set()
    extents: list[tuple[int, int]] = []
    for offset, length in reads:
        for grain in range(offset // _GRAIN, -(-min(offset + length, size_bytes) // _GRAIN)):
            if grain in seen:
                continue
            seen.add(grain)
            start, end = grain * _GRAIN, min((grain + 1) * _GRAIN, size_bytes)
            if extents and sum(extents[-1]) == start:
                start = extents.pop()[0]
            extents.append((start, end - start))
    return tuple(extents)


def first_bytes(extents: Extents, most: int) -> Extents:
    """Those that come first, up to so many bytes."""
    kept: list[tuple[int, int]] = []
    for offset, length in extents:
        taken = min(length, most)
        if taken <= 0:
            break
        kept.append((offset, taken))
        most -= taken
    return tuple(kept)


def trace_to_json(trace: Trace) -> bytes:
    plain = {"version": _VERSION, "volume": trace.volume, "sizeBytes": trace.size_bytes, "extents": trace.extents}
    return json.dumps(plain, separators=(",", ":")).encode() + b"\n"


def parse_trace(data: bytes, volume: str, size_bytes: int, what: str) -> Trace:
    """Raises ImageError, which `what` begins, unless it is a whole trace of this very volume."""
    if len(data) > MOST_FILE_BYTES:
        raise ImageError(f"{what} has {len(data)} bytes; a trace has {MOST_FILE_BYTES} at most")
    try:
        found: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{what} is no trace, or not all of one: {error}") from None
    fields = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if fields.get("version") != _VERSION:
        raise ImageError(f"{what} is no trace of version {_VERSION}")
    if (fields.get("volume"), fields.get("sizeBytes")) != (volume, size_bytes):
        raise ImageError(f"{what} is of another volume")
    return Trace(volume=volume, size_bytes=size_bytes, extents=parse_extents(fields.get("extents"), size_bytes, what))


def parse_extents(found: object, size_bytes: int, what: str) -> Extents:
    """Raises ImageError unless it is a list of extents inside of the volume, of which none overlaps another."""
    items = cast("list[object]", found) if isinstance(found, list) else [None]
    if len(items) > MOST_EXTENTS:
        raise ImageError(f"{what} has {len(items)} extents; a trace has {MOST_EXTENTS} at most")
    pairs = [one for one in items if _is_pair(one)]
    extents = tuple((one[0], one[1]) for one in pairs)
    if len(pairs) != len(items) or not all(_is_inside(one, size_bytes) for one in extents):
        raise ImageError(f"{what} has extents that are none of its volume")
    if any(offset + length > after for (offset, length), (after, _) in pairwise(sorted(extents))):
        raise ImageError(f"{what} has extents that overlap")
    return extents


def _is_pair(one: object) -> TypeGuard[Sequence[int]]:
    items = cast("list[object]", one) if isinstance(one, list) else []
    return len(items) == 2 and all(type(item) is int for item in items)


def _is_inside(extent: tuple[int, int], size_bytes: int) -> bool:
    offset, length = extent
    return 0 <= offset < size_bytes and 0 < length <= size_bytes - offset
