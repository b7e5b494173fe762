"""Traces: what the storage daemon's log becomes, what is read ahead of it, and what is refused as none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.storage.translate.qcow2 import copied_bytes, empty_copy, most_copy_bytes
from agents.storage.wire.errors import ImageError
from agents.storage.wire.traces import (
    MOST_EXTENTS,
    MOST_FILE_BYTES,
    Trace,
    first_bytes,
    log_to_extents,
    parse_trace,
    trace_to_json,
)

KIB = 1024
VOLUME, SIZE = f"sha256:{'a' * 64}", 100 * KIB
TRACE = Trace(volume=VOLUME, size_bytes=SIZE, extents=((64 * KIB, 16 * KIB), (0, 32 * KIB)))


def test_a_log_becomes_extents_in_the_order_of_the_reads() -> None:
    log = b"".join(
        b"blk_co_preadv blk 0x55ec bs 0x55ed offset %d bytes %d flags 0x0\n" % read
        for read in ((65_536, 4096), (0, 16_384), (16_384, 1), (66_000, 512), (99 * KIB, 4096))
    )
    assert log_to_extents(b"something else\n" + log, SIZE) == (
        (64 * KIB, 16 * KIB),
        (0, 32 * KIB),
        (96 * KIB, 4 * KIB),
    )


def test_what_comes_first_is_kept() -> None:
    assert first_bytes(TRACE.extents, 0) == ()
    assert first_bytes(TRACE.extents, 20 * KIB) == ((64 * KIB, 16 * KIB), (0, 4 * KIB))
    assert first_bytes(TRACE.extents, SIZE) == TRACE.extents


def test_a_trace_is_what_was_written() -> None:
    assert parse_trace(trace_to_json(TRACE), VOLUME, SIZE, "x") == TRACE
    assert TRACE.read_bytes == 48 * KIB


def _with(**fields: Any) -> bytes:
    return json.dumps(json.loads(trace_to_json(TRACE)) | fields).encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (trace_to_json(TRACE)[:-9], "x is no trace, or not all of one: "),
        (b"", "x is no trace, or not all of one: "),
        (b"[" * 100_000, "x is no trace, or not all of one: "),
        (b"[]", "x is no trace of version 1"),
        (_with(version=2), "x is no trace of version 1"),
        (_with(volume=f"sha256:{'b' * 64}"), "x is of another volume"),
        (_with(sizeBytes=4096), "x is of another volume"),
        (_with(extents=None), "x has extents that are none of its volume"),
        (_with(extents=[[0]]), "x has extents that are none of its volume"),
        (_with(extents=[[0, True]]), "x has extents that are none of its volume"),
        (_with(extents=[[0, 0]]), "x has extents that are none of its volume"),
        (_with(extents=[[-1, 5]]), "x has extents that are none of its volume"),
        (_with(extents=[[SIZE - 1, 2]]), "x has extents that are none of its volume"),
        (_with(extents=[[5, 5], [0, 6]]), "x has extents that overlap"),
        (_with(extents=[[0, 1]] * (MOST_EXTENTS + 1)), f"x has {MOST_EXTENTS + 1} extents; a trace has 100000 at most"),
        (b" " * (MOST_FILE_BYTES + 1), f"x has {MOST_FILE_BYTES + 1} bytes; a trace has {MOST_FILE_BYTES} at most"),
    ],
)
def test_what_is_no_trace_is_refused(data: bytes, expected: str) -> None:
    with pytest.raises(ImageError) as refused:
        parse_trace(data, VOLUME, SIZE, "x")
    assert str(refused.value).startswith(expected)


def test_the_list_of_a_copy() -> None:
    """Empty, it has nothing; what QEMU puts into it is looked at by tests/images/test_copies.py."""
    content = empty_copy(SIZE)
    assert copied_bytes(content) == 0
    assert len(content) <= most_copy_bytes(SIZE)
    assert copied_bytes(b"no list") == 0
