"""What volumes are made from: a recipe for each way of writing them."""

from __future__ import annotations

import hashlib

import pytest

from agents.storage.translate.modes import BLOCK, EROFS, OVERLAYFS, Mode

DIFF_IDS = ["sha256:" + "a" * 64, "sha256:" + "b" * 64]


@pytest.mark.parametrize(
    ("mode", "way"),
    [
        (EROFS, "erofs merged 1"),
        (EROFS.part(0), "erofs merged 1"),
        (EROFS.part(2), "erofs changes 1, from 2"),
        (OVERLAYFS, "erofs layers 1"),
        (BLOCK, "ext4 1"),
        (BLOCK.sized(3), "ext4 1, 3 GiB"),
        (EROFS.compressed(), "erofs merged 1, lz4"),
        (EROFS.compressed().part(0), "erofs merged 1, lz4"),
        (EROFS.compressed().part(2), "erofs changes 1, lz4, from 2"),
        (OVERLAYFS.compressed(), "erofs layers 1, lz4"),
    ],
)
def test_recipes(mode: Mode, way: str) -> None:
    """A change here makes what users have converted outdated."""
    assert mode.recipe(DIFF_IDS) == hashlib.sha256("\n".join((way, *DIFF_IDS)).encode()).hexdigest()
    assert mode.is_compressed == ("lz4" in way)


def test_a_compressed_mode_is_the_same_mode() -> None:
    for mode in (EROFS, OVERLAYFS):
        changed = mode.compressed()
        assert (changed.name, changed.role, changed.tree) == (mode.name, mode.role, mode.tree)
        assert (changed.is_divided, changed.most_layers) == (mode.is_divided, mode.most_layers)
