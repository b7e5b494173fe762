"""An image cannot take more memory than it may: nodes and bytes of a tree are counted over all layers."""

from __future__ import annotations

import pytest

from agents.storage.translate.applying import Budget, apply_layer
from agents.storage.translate.tree import Node
from agents.storage.wire.errors import TarError
from agents.storage.wire.tar import entries
from tests.images.archives import Tar


def _applied(tar: Tar, budget: Budget) -> Node:
    data = tar.finished()
    return apply_layer(entries(lambda offset, length: data[offset : offset + length]), budget=budget)


def test_folders_on_the_way_count() -> None:
    budget = Budget(nodes=5)
    _applied(Tar().add("a/b/c"), budget)
    with pytest.raises(TarError) as refused:
        _applied(Tar().add("d/e/f"), budget)
    assert str(refused.value) == "entry 'd/e/f': the image has more than 5 files and folders"


@pytest.mark.parametrize(
    "tar",
    [
        Tar().add("a" * 90).add("b" * 90),
        Tar().add("a", pax={"SCHILY.xattr.user.a": "x" * 100}),
        Tar().add("a", b"2", link="x" * 100),
        Tar().add("a", data=b"1", pax={"GNU.sparse.map": "0,1", "GNU.sparse.numblocks": "1", "GNU.sparse.size": "9"}),
    ],
    ids=["names", "attributes", "links", "extents"],
)
def test_bytes_count(tar: Tar) -> None:
    with pytest.raises(TarError, match=r"entry '[ab]+': the image has more than 100 bytes of names and attributes"):
        _applied(tar, Budget(size=100))
