"""Disks as e2fsck sees them: clean, whatever is on them; and what has no room there is refused in words."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.storage.io.trees import LayerFiles
from agents.storage.translate import ext4, tree
from agents.storage.translate.contents import FileBytes
from agents.storage.translate.overlaying import overlaid
from agents.storage.translate.tree import Node, new_directory
from agents.storage.wire.errors import ImageError
from agents.storage.wire.tar import Extent
from tests.images.nasty import IMAGES

UUID = bytes(range(16))
_GIB = 1 << 30


def _written(image: ext4.Image, path: Path, files: LayerFiles) -> None:
    with path.open("wb") as out:
        for piece in image.pieces():
            for data in files.read(piece) if isinstance(piece, FileBytes) else (piece,):
                out.write(data)
        assert out.tell() == image.size
        out.truncate(image.virtual_size)


def _check(path: Path) -> None:
    program = shutil.which("e2fsck", path="/usr/sbin:/sbin:/usr/bin")
    if program is None:
        pytest.skip("e2fsck is not installed; e2fsprogs has it")
    done = subprocess.run([program, "-fn", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", IMAGES)
def test_a_disk_is_clean(name: str, tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(9)]
    layers = IMAGES[name]()
    for path, layer in zip(paths, layers, strict=False):
        path.write_bytes(layer)
    with LayerFiles(paths[: len(layers)]) as files:
        root = overlaid(files.trees([str(number) for number in range(len(layers))]))
        _written(ext4.plan(root, UUID, 1), tmp_path / "disk", files)
    _check(tmp_path / "disk")


def _many_files() -> Node:
    """More than one group has inodes for, half of them in one directory."""
    root, flat = new_directory(), new_directory()
    assert root.children is not None
    assert flat.children is not None
    root.children[b"flat"] = flat
    for number in range(10_000):
        flat.children[b"file with a longer name %d" % number] = Node(tree.REGULAR | 0o644)
    for number in range(100):
        inner = new_directory()
        assert inner.children is not None
        inner.children.update(
            {b"%d" % index: Node(tree.SYMLINK | 0o777, target=b"t" * index) for index in range(1, 80)}
        )
        root.children[b"folder %d" % number] = inner
    return root


def _long_file() -> Node:
    """One that goes through several groups."""
    return _one(Node(tree.REGULAR | 0o644, size=500 << 20, extents=(Extent(0, 0, 500 << 20),)))


def _scattered_file() -> Node:
    """One with so many pieces that its tree has two levels below the inode."""
    extents = tuple(Extent(number * 8192 + 5, 0, 10) for number in range(2000))
    return _one(Node(tree.REGULAR | 0o644, size=2000 * 8192, extents=extents))


def _many_links() -> Node:
    root, node = new_directory(), Node(tree.REGULAR | 0o644)
    root.children = {b"%d" % number: node for number in range(65_000)}
    return root


def _one(node: Node) -> Node:
    root = new_directory()
    root.children = {b"file": node}
    return root


@pytest.mark.parametrize("make", [_many_files, _long_file, _scattered_file, _many_links])
def test_a_large_disk_is_clean(make: Callable[[], Node], tmp_path: Path) -> None:
    (tmp_path / "layer").touch()
    with LayerFiles([]) as files:
        image = ext4.plan(make(), UUID, 2)
        with (tmp_path / "disk").open("wb") as out:
            for piece in image.pieces():
                if isinstance(piece, FileBytes):
                    out.seek(piece.length, 1)
                else:
                    out.write(piece)
            assert out.tell() == image.size
            out.truncate(image.virtual_size)
        assert image.virtual_size == 2 * _GIB
        del files
    _check(tmp_path / "disk")


def test_without_a_size_there_is_room_to_write() -> None:
    assert ext4.plan(new_directory(), UUID).virtual_size == 11 * _GIB
    assert ext4.plan(_long_file(), UUID).virtual_size == 11 * _GIB
    large = _one(Node(tree.REGULAR, size=3 * _GIB, extents=(Extent(0, 0, 3 * _GIB),)))
    assert ext4.plan(large, UUID).virtual_size == 14 * _GIB


@pytest.mark.parametrize("gib", [16_384, 65_536])
def test_the_largest_disks(gib: int, tmp_path: Path) -> None:
    image = ext4.plan(new_directory(), UUID, gib)
    assert image.virtual_size == gib * _GIB
    assert image.size < 64 << 20


def _wide() -> Node:
    return _one(Node(tree.REGULAR, xattrs={b"user.a": b"x" * 4090}))


def _linked() -> Node:
    root, node = new_directory(), Node(tree.REGULAR)
    root.children = {b"%d" % number: node for number in range(65_001)}
    return root


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: _one(Node(tree.REGULAR, size=2 * _GIB, extents=(Extent(0, 0, 2 * _GIB),))),
            "the image's files have no room on a disk of 1 GiB (virtualSizeByGB)",
        ),
        (
            lambda: _one(Node(tree.REGULAR, size=(1 << 44) + 1)),
            "a file of 17592186044417 bytes; ext4 ends at 17592186040320 (mode block)",
        ),
        (_wide, "extended attributes of 4116 bytes on one file; ext4 takes 4064 (mode block)"),
        (_linked, "a file with 65001 names; ext4 takes 65000 (mode block)"),
    ],
)
def test_what_has_no_room_is_refused(make: Callable[[], Node], message: str) -> None:
    with pytest.raises(ImageError) as refused:
        ext4.plan(make(), UUID, 1)
    assert str(refused.value) == message
