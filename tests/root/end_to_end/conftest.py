"""One lab for all tests of this folder, with both settings of its offloads."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.root.end_to_end.shop import Shop, shop_policies, standing


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with standing(Shop(name=f"e{os.getpid()}", folder=folder, policies=shop_policies(folder))) as lab:
        yield lab


@pytest.fixture(scope="module", params=["offloads", "no-offloads"])
def offloads(request: pytest.FixtureRequest, shop: Shop) -> Iterator[bool]:
    """Checksum and segmentation offloads on, then off. Put back to on."""
    wanted = request.param == "offloads"
    changed = shop.up(offloads=wanted)
    assert changed.returncode == 0, changed.stderr
    yield wanted
    if not wanted:
        assert shop.up().returncode == 0


@pytest.fixture
def restored(shop: Shop) -> Iterator[Shop]:
    """The lab for a test that changes policies or kills devices; afterwards it is whole again."""
    yield shop
    assert shop.up().returncode == 0
    shop.applied()
