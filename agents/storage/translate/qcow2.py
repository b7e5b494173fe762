"""A clone as a file of qcow2: a disk that reads as another one until it is written to.

Only the empty clone is written here: a header, a table of clusters without any, and the counts of what these take. All
that comes later is QEMU's. The format: docs/interop/qcow2.txt of QEMU, version 3.
"""

from __future__ import annotations

import struct
from typing import Final

from agents.storage.wire.errors import ImageError

CLUSTER_BITS: Final = 16
_CLUSTER: Final = 1 << CLUSTER_BITS
_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_HEADER_BYTES: Final = 104
_MAGIC: Final = b"QFI\xfb"
_BACKING_FORMAT: Final = 0xE279_2ACA
_BYTES_A_TABLE: Final = _CLUSTER * (_CLUSTER // 8)
"""What one table of the second level maps."""
_REFCOUNT_ORDER: Final = 4
_MAX_NAME: Final = 1023


def empty_clone(size: int, backing: bytes, backing_format: bytes) -> bytes:
    """A clone with `size` bytes of the disk that is the file `backing`, `raw` or `qcow2`."""
    if len(backing) > _MAX_NAME:
        raise ImageError(f"{backing.decode(errors='replace')}: a path of {len(backing)} bytes; qcow2 takes {_MAX_NAME}")
    entries = -(-size // _BYTES_A_TABLE)
    table_clusters = -(-entries * 8 // _CLUSTER)
    extension = struct.pack(">II", _BACKING_FORMAT, len(backing_format)) + backing_format.ljust(8, b"\0")
    extension += struct.pack(">II", 0, 0)
    header = _HEADER.pack(
        _MAGIC, 3, _HEADER_BYTES + len(extension), len(backing), CLUSTER_BITS, size, 0, entries, 3 * _CLUSTER,
        _CLUSTER, 1, 0, 0, 0, 0, 0, _REFCOUNT_ORDER, _HEADER_BYTES,
    )  # fmt: skip
    used = 3 + table_clusters
    parts = (
        header + extension + backing,
        struct.pack(">Q", 2 * _CLUSTER),
        struct.pack(f">{used}H", *[1] * used),
        bytes(table_clusters * _CLUSTER),
    )
    return b"".join(part.ljust(_CLUSTER, b"\0") for part in parts)


def virtual_size(header: bytes) -> int | None:
    """Of a disk whose file begins with these bytes; None where that is no qcow2."""
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        return None
    return int(_HEADER.unpack_from(header)[5])
