"""Sparse files as GNU tar writes them, in each of its formats: bytes and holes are those of the file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agents.storage.wire.tar import entries

PARTS = 60
SIZE = 10_000_000


@pytest.mark.parametrize(
    "options",
    [["--format=gnu"], *(["--format=pax", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0"))],
    ids=lambda options: " ".join(options),
)
def test_sparse_files(options: list[str], tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        for part in range(PARTS):
            stream.seek(part * 100_000 + 37)
            stream.write(b"data%d" % part)
        stream.truncate(SIZE)
    archive = tmp_path / "archive.tar"
    subprocess.run(["tar", *options, "-S", "-cf", archive, "-C", tmp_path, "sparse"], check=True)
    data = archive.read_bytes()
    (entry,) = entries(lambda offset, length: data[offset : offset + length])
    content = bytearray(entry.size)
    for extent in entry.extents:
        content[extent.start : extent.start + extent.length] = data[extent.offset : extent.offset + extent.length]
    assert entry.name == b"sparse"
    assert bytes(content) == (tmp_path / "sparse").read_bytes()
    assert sum(extent.length for extent in entry.extents) < SIZE // 10
