"""Parts of files that a start has read: found from extents and from where a volume has its files."""

from __future__ import annotations

import base64
import json
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.storage.translate.filereads import Mapped, file_reads
from agents.storage.wire.errors import ImageError
from agents.storage.wire.traces import (
    MOST_FILE_BYTES,
    Extents,
    FileRead,
    Trace,
    ordered,
    packed_files,
    parse_trace,
    trace_to_json,
    unpacked_files,
)

KIB = 1024
SIZE = 64 * 16 * KIB
VOLUME = f"sha256:{'a' * 64}"
EXTENTS: Extents = ((64 * KIB, 16 * KIB), (0, 32 * KIB))


def test_in_the_order_of_the_extents() -> None:
    files = [
        Mapped(b"usr/a", 0, 4 * KIB, 8 * KIB, False),
        Mapped(b"usr/b", 4096, 28 * KIB, 40 * KIB, False),
        Mapped(b"usr/b", 0, 120 * KIB, 4 * KIB, False),
        Mapped(b"nobody", 0, 200 * KIB, 4 * KIB, False),
    ]
    assert file_reads(EXTENTS, files) == (
        FileRead(0, b"usr/b", 40 * KIB, 4 * KIB),
        FileRead(1, b"usr/a", 0, 8 * KIB),
        FileRead(1, b"usr/b", 4 * KIB, 4 * KIB),
    )


def test_what_follows_in_its_file_is_one() -> None:
    files = [Mapped(b"a", 8192, 8192, 4096, False), Mapped(b"a", 4096, 4096, 4096, False)]
    assert file_reads(EXTENTS, files) == (FileRead(1, b"a", 4096, 8192),)


def test_what_is_compressed_is_read_as_a_whole_where_it_begins() -> None:
    files = [Mapped(b"a", 0, 28 * KIB, 32 * KIB, True), Mapped(b"a", 32 * KIB, 48 * KIB, 32 * KIB, True)]
    assert file_reads(EXTENTS, files) == (FileRead(1, b"a", 0, 32 * KIB),)


def _extents(reads: list[tuple[int, int]]) -> Extents:
    return ordered(reads, SIZE)


extents = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 200_000)), max_size=12).map(_extents)


@st.composite
def layouts(draw: st.DrawFn) -> list[Mapped]:
    """Blocks of a volume dealt out to files, whole runs of blocks each."""
    cuts = sorted(draw(st.sets(st.integers(1, SIZE // 4096 - 1), max_size=20)))
    names = st.sampled_from([b"a", b"b", b"c/d", b"e\xff", None])
    used: dict[bytes, int] = {}
    found: list[Mapped] = []
    for start, end in pairwise((0, *cuts, SIZE // 4096)):
        name = draw(names)
        if name is not None:
            length = (end - start) * 4096
            found.append(Mapped(name, used.get(name, 0), start * 4096, length, False))
            used[name] = used.get(name, 0) + length
    return draw(st.permutations(found))


@given(extents, layouts())
def test_each_byte_that_was_read_and_no_other(extents: Extents, files: list[Mapped]) -> None:
    reads = file_reads(extents, files)
    found = {(read.path, at) for read in reads for at in range(read.offset, read.offset + read.length, 4096)}
    was_read = {at for start, length in extents for at in range(start, start + length, 4096)}
    expected = {
        (one.path, one.offset + at) for one in files for at in range(0, one.length, 4096) if one.place + at in was_read
    }
    assert found == expected
    assert sum(read.length for read in reads) == 4096 * len(expected)
    places = {(one.path, one.offset + at): one.place + at for one in files for at in range(0, one.length, 4096)}
    for read in reads:
        start, length = extents[read.extent]
        assert start <= places[read.path, read.offset] < start + length
    assert [read.extent for read in reads] == sorted(read.extent for read in reads)
    trace = Trace(volume=VOLUME, size_bytes=SIZE, extents=extents, files=reads)
    assert parse_trace(trace_to_json(trace), VOLUME, SIZE, "x") == trace


def test_traces_of_versions_before_have_none() -> None:
    fields = json.loads(trace_to_json(Trace(volume=VOLUME, size_bytes=SIZE, extents=EXTENTS)))
    del fields["files"]
    assert parse_trace(json.dumps(fields).encode(), VOLUME, SIZE, "x").files == ()


@pytest.mark.parametrize(
    ("paths", "reads", "expected"),
    [
        (None, [], "x has no list of up to 100000 files"),
        (["a"], {}, "x has no list of up to 100000 files"),
        (["a"], [[0, 0, 0, 1]] * 100_001, "x has no list of up to 100000 files"),
        *(
            (paths, reads, "x has files that are none of its volume")
            for paths, reads in [
                (["a"], [[0, 1, 0, 1]]),
                (["a"], [[2, 0, 0, 1]]),
                (["a"], [[0, 0, -1, 1]]),
                (["a"], [[0, 0, 0, 0]]),
                (["a"], [[0, 0, 0, True]]),
                (["a"], [[0, 0, 1 << 62, 1]]),
                (["a"], [[0, 0, 0]]),
                (["a"], [None]),
                (["a"], [[1, 0, 0, 1], [0, 0, 0, 1]]),
                ([""], []),
                (["/etc/shadow"], []),
                (["a/../../etc"], []),
                (["a//b"], []),
                (["./a"], []),
                (["a\0"], []),
                (["\ud800"], []),
                ([1], []),
                (["a" * 4096], []),
            ]
        ),
    ],
)
def test_what_is_no_list_of_files_is_refused(paths: object, reads: object, expected: str) -> None:
    fields = json.loads(trace_to_json(Trace(volume=VOLUME, size_bytes=SIZE, extents=EXTENTS)))
    fields["files"] = {"paths": paths, "reads": reads}
    with pytest.raises(ImageError) as refused:
        parse_trace(json.dumps(fields).encode(), VOLUME, SIZE, "x")
    assert str(refused.value) == expected


@given(extents, layouts())
def test_packed_they_are_the_same(extents: Extents, files: list[Mapped]) -> None:
    reads = file_reads(extents, files)
    assert unpacked_files(packed_files(reads), extents, "x") == reads


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("?", "x has files that cannot be unpacked"),
        (base64.b64encode(b"{}").decode(), "x has files that cannot be unpacked"),
        (_packed(b"{"), "x has files that cannot be unpacked"),
        (_packed(b"null"), "x has files that cannot be unpacked"),
        (_packed(b"[" * 200_000), "x has files that cannot be unpacked"),
        (_packed(b" " * (MOST_FILE_BYTES + 1)), "x has files that cannot be unpacked"),
        (_packed(b"{}")[:-8], "x has files that cannot be unpacked"),
        (_packed(b"{}"), "x has no list of up to 100000 files"),
        (_packed(b'{"paths": [".."], "reads": []}'), "x has files that are none of its volume"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ImageError) as refused:
        unpacked_files(text, EXTENTS, "x")
    assert str(refused.value) == expected
