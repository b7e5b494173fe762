"""What a start read of a volume: extents in the order in which it read them, and which parts of files these are; kept
beside the volume.

A trace is a hint. It decides what is fetched first and brought into memory, never what is in a file; one that cannot be
used is left aside.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeGuard, cast

from agents.storage.wire.errors import ImageError

MOST_EXTENTS: Final = 100_000
"""Of a trace: some megabytes of text, and more than a start of a gigabyte's reads gives."""
MOST_FILES: Final = 100_000
"""Parts of files."""
MOST_FILE_BYTES: Final = 16 << 20
_VERSION: Final = 1
_LOGGED: Final = re.compile(rb"^blk_co_preadv .* offset (\d+) bytes (\d+) ", re.MULTILINE)
_MOST_PATH: Final = 4096
_GRAIN: Final = 1 << 14
"""What reads are rounded to: what the kernel reads at once, and a cluster of a local copy."""

Extents = tuple[tuple[int, int], ...]
"""Offset and length of each, in bytes; none overlaps another."""


class FileRead(NamedTuple):
    """A part of a file that was read: `length` bytes from `offset` on, of the file `path` below the volume's root. They
    lie in the trace's extent of this number, or, compressed, begin there."""

    extent: int
    path: bytes
    offset: int
    length: int


FileReads = tuple[FileRead, ...]
"""In the order of their extents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    volume: str
    size_bytes: int
    extents: Extents
    files: FileReads = ()
    """Nothing in traces of versions before."""

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
    plain: dict[str, Any] = {
        "version": _VERSION,
        "volume": trace.volume,
        "sizeBytes": trace.size_bytes,
        "extents": trace.extents,
        "files": plain_files(trace.files),
    }
    return json.dumps(plain, separators=(",", ":")).encode() + b"\n"


def plain_files(files: FileReads) -> dict[str, Any]:
    """For JSON: each path once, and parts of files that have it by its number. A byte that is no UTF-8 is a surrogate,
    as Python has it in names of files (PEP 383)."""
    numbers: dict[bytes, int] = {}
    reads = [(one.extent, numbers.setdefault(one.path, len(numbers)), one.offset, one.length) for one in files]
    return {"paths": [path.decode(errors="surrogateescape") for path in numbers], "reads": reads}


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
    extents = parse_extents(fields.get("extents"), size_bytes, what)
    files = parse_files(fields.get("files"), extents, what)
    return Trace(volume=volume, size_bytes=size_bytes, extents=extents, files=files)


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


def packed_files(files: FileReads) -> str:
    """For a catalog, which nodes fetch as a whole: a fifth of the bytes (zlib, base64)."""
    plain = json.dumps(plain_files(files), separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(plain)).decode()


def unpacked_files(text: str, extents: Extents, what: str) -> FileReads:
    """Raises ImageError as `parse_files` does, and for what is not packed so, or would be too large."""
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(base64.b64decode(text, validate=True), MOST_FILE_BYTES)
        found: object = json.loads(data) if unpacking.eof else None
    except (ValueError, RecursionError, zlib.error):
        found = None
    if found is None:
        raise ImageError(f"{what} has files that cannot be unpacked")
    return parse_files(found, extents, what)


def parse_files(found: object, extents: Extents, what: str) -> FileReads:
    """Raises ImageError unless these are parts of files below the volume's root. None is no such part, as in traces of
    versions before."""
    fields = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    texts, rows = (_listed(fields.get(name)) for name in ("paths", "reads"))
    if found is None:
        return ()
    if texts is None or rows is None or len(rows) > MOST_FILES or len(texts) > MOST_FILES:
        raise ImageError(f"{what} has no list of up to {MOST_FILES} files")
    paths = [_path(text) for text in texts]
    reads = [row for row in rows if _is_read(row, len(extents), len(paths))]
    if len(reads) != len(rows) or any(one[0] > after[0] for one, after in pairwise(reads)) or None in paths:
        raise ImageError(f"{what} has files that are none of its volume")
    return tuple(FileRead(extent, cast("bytes", paths[path]), at, length) for extent, path, at, length in reads)


def _listed(found: object) -> list[object] | None:
    return cast("list[object]", found) if isinstance(found, list) else None


def _path(text: object) -> bytes | None:
    """None where it leads out of the volume, or is none."""
    if not isinstance(text, str):
        return None
    try:
        path = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return None
    parts = path.split(b"/")
    is_below = b"\0" not in path and not {b"", b".", b".."} & set(parts)
    return path if is_below and len(path) < _MOST_PATH else None


def _is_read(row: object, extents: int, paths: int) -> TypeGuard[Sequence[int]]:
    items = _listed(row) or []
    if len(items) != 4 or not all(type(item) is int and 0 <= item < 1 << 62 for item in items):
        return False
    extent, path, _, length = cast("list[int]", items)
    return extent < extents and path < paths and length > 0


def _is_pair(one: object) -> TypeGuard[Sequence[int]]:
    items = cast("list[object]", one) if isinstance(one, list) else []
    return len(items) == 2 and all(type(item) is int for item in items)


def _is_inside(extent: tuple[int, int], size_bytes: int) -> bool:
    offset, length = extent
    return 0 <= offset < size_bytes and 0 < length <= size_bytes - offset
