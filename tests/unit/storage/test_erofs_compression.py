"""Where a file is cut, and the index of a compressed one, as the kernel's header describes it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.storage.translate.contents import Packed
from agents.storage.translate.erofs_compression import (
    BLOCK,
    EXTENT_BYTES,
    INDEX_HEAD_BYTES,
    blocks_of,
    extents,
    index,
    index_bytes,
    is_worth_it,
)

PLAIN, HEAD, NOT_HEAD = 0, 1, 2
FIRST = 1 << 11


@given(size=st.integers(1, 1 << 24))
@example(size=EXTENT_BYTES * 3 // 2)
@example(size=EXTENT_BYTES * 3 // 2 + 1)
def test_extents_are_a_file_without_gaps(size: int) -> None:
    found = list(extents(size))
    assert [start for start, _ in found] == [position * EXTENT_BYTES for position in range(len(found))]
    assert sum(length for _, length in found) == size
    assert {length for _, length in found[:-1]} <= {EXTENT_BYTES}
    assert 0 < found[-1][1] <= EXTENT_BYTES * 3 // 2
    assert len(found) == 1 or found[-1][1] > EXTENT_BYTES // 2


def head(kind: int, place: int, block: int) -> bytes:
    return struct.pack("<HHI", kind, place, block)


def other(back: int, on: int) -> bytes:
    return struct.pack("<HHHH", NOT_HEAD, 0, back, on)


@pytest.mark.parametrize(
    ("size", "blocks", "entries"),
    [
        (2 * BLOCK, [1], [head(HEAD, 0, 100), other(FIRST | 1, 1)]),
        (BLOCK + 1, [1], [head(HEAD, 0, 100), head(PLAIN, 1, 0)]),
        (2 * BLOCK + 9, [2], [head(HEAD, 0, 100), other(FIRST | 2, 1), head(PLAIN, 9, 0)]),
        (3 * BLOCK + 9, [2], [head(HEAD, 0, 100), other(FIRST | 2, 2), other(2, 1), head(PLAIN, 9, 0)]),
        (
            EXTENT_BYTES + 5 * BLOCK,
            [8, 3],
            [
                *(head(PLAIN, 0, 100 + block) for block in range(8)),
                head(HEAD, 0, 108),
                other(FIRST | 3, 4),
                other(2, 3),
                other(3, 2),
                other(4, 1),
            ],
        ),
        (
            EXTENT_BYTES + 4 * BLOCK + 1,
            [1, 5],
            [
                head(HEAD, 0, 100),
                other(FIRST | 1, 7),
                *(other(position, 8 - position) for position in range(2, 8)),
                *(head(PLAIN, 0, 101 + block) for block in range(5)),
            ],
        ),
    ],
)
def test_the_index(size: int, blocks: list[int], entries: list[bytes]) -> None:
    found = index(size, Packed(0, tuple(blocks)), 100)
    assert found[:INDEX_HEAD_BYTES] == bytes([0, 0, 0, 0, 2, 0, 0, 0]) + bytes(8)
    assert [found[place : place + 8] for place in range(INDEX_HEAD_BYTES, len(found), 8)] == entries
    assert len(found) == index_bytes(size)
    assert len(entries) == blocks_of(size)


@pytest.mark.parametrize(
    ("size", "blocks", "is_kept"),
    [(4402, 1, False), (4403, 1, True), (2 * BLOCK, 2, False), (100 * BLOCK, 93, True), (100 * BLOCK, 94, False)],
)
def test_what_hardly_shrinks_is_stored_as_it_is(size: int, blocks: int, is_kept: bool) -> None:
    assert is_worth_it(size, blocks) is is_kept
