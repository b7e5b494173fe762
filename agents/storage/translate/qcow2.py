"""A clone as a file of qcow2: a disk that reads as another one until it is written to. And the list of what a copy has.

Only what is empty is written here: a header, a table of clusters without any, and the counts of what these take. All
that comes later is QEMU's. The format: docs/interop/qcow2.txt of QEMU, version 3.
"""

from __future__ import annotations

import struct
from typing import Final

from agents.storage.wire.errors import ImageError

CLUSTER_BITS: Final = 16
COPY_CLUSTER_BITS: Final = 14
"""Of a copy: as much as the kernel reads at once (see remotevolumes), so that no read brings more than it asked for."""
_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_HEADER_BYTES: Final = 104
_MAGIC: Final = b"QFI\xfb"
_BACKING_FORMAT: Final = 0xE279_2ACA
_DATA_FILE: Final = 1 << 2
"""Incompatible feature: the clusters lie in another file. QEMU 7.2 puts each where it is in the disk."""
_OFFSET, _COPIED, _ZERO = 0x00FF_FFFF_FFFF_FE00, 1 << 63, 1
"""Of entries of tables: where what they name is, that it is theirs alone, that it reads as zeros."""
_REFCOUNT_ORDER: Final = 4
_MAX_NAME: Final = 1023


def empty_clone(size: int, backing: bytes, backing_format: bytes) -> bytes:
    """A clone with `size` bytes of the disk that is the file `backing`, `raw` or `qcow2`."""
    if len(backing) > _MAX_NAME:
        raise ImageError(f"{backing.decode(errors='replace')}: a path of {len(backing)} bytes; qcow2 takes {_MAX_NAME}")
    extension = struct.pack(">II", _BACKING_FORMAT, len(backing_format)) + backing_format.ljust(8, b"\0")
    return _empty(size, CLUSTER_BITS, 0, extension + struct.pack(">II", 0, 0), backing)


def empty_copy(size: int) -> bytes:
    """What says which clusters of `size` bytes are in a file beside it: none yet. Whoever opens it names that file, and
    what all other clusters are read from."""
    return _empty(size, COPY_CLUSTER_BITS, _DATA_FILE, struct.pack(">II", 0, 0), b"")


def most_copy_bytes(size: int) -> int:
    """What such a file has at most, when all clusters are there: tables of both levels, counts, and some to spare."""
    cluster = 1 << COPY_CLUSTER_BITS
    tables = -(-size // (cluster * (cluster // 8)))
    return cluster * (16 + tables + -(-tables * 8 // cluster) + -(-tables // (cluster // 2)))


def _empty(size: int, cluster_bits: int, incompatible: int, extension: bytes, backing: bytes) -> bytes:
    cluster = 1 << cluster_bits
    entries = -(-size // (cluster * (cluster // 8)))
    table_clusters = -(-entries * 8 // cluster)
    header = _HEADER.pack(
        _MAGIC, 3, _HEADER_BYTES + len(extension) if backing else 0, len(backing), cluster_bits, size, 0, entries,
        3 * cluster, cluster, 1, 0, 0, incompatible, 0, 0, _REFCOUNT_ORDER, _HEADER_BYTES,
    )  # fmt: skip
    used = 3 + table_clusters
    parts = (
        header + extension + backing,
        struct.pack(">Q", 2 * cluster),
        struct.pack(f">{used}H", *[1] * used),
        bytes(table_clusters * cluster),
    )
    return b"".join(part.ljust(cluster, b"\0") for part in parts)


def virtual_size(header: bytes) -> int | None:
    """Of a disk whose file begins with these bytes; None where that is no qcow2."""
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        return None
    return int(_HEADER.unpack_from(header)[5])


def copied_bytes(content: bytes) -> int:
    """How much of a copy is there, as far as QEMU has written it down: from the tables of its list, 0 for what is none.
    Read while it is written, so a table may be missing."""
    if len(content) < _HEADER.size or not content.startswith(_MAGIC):
        return 0
    bits, size, entries, table = (int(_HEADER.unpack_from(content)[field]) for field in (4, 5, 7, 8))
    cluster = 1 << bits
    copied = 0
    for offset in _numbers(content, table, entries):
        below = _numbers(content, offset & _OFFSET, cluster // 8) if offset & _OFFSET else ()
        copied += sum(1 for entry in below if entry & (_COPIED | _ZERO)) * cluster
    return min(copied, size)


def _numbers(content: bytes, start: int, count: int) -> tuple[int, ...]:
    end = start + count * 8
    return struct.unpack(f">{count}Q", content[start:end]) if end <= len(content) else ()
