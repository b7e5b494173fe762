"""One lab of examples/storage.yaml for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import yaml

from tests.root.end_to_end.shop import DEVICES, ROOT, Policies, Shop, find, standing


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("storage")
    policies: Policies = list(yaml.safe_load_all((ROOT / "examples/storage.yaml").read_text()))
    for name in DEVICES:
        find(policies, "Device", name)["spec"]["address"] = f"unix:{folder}/{name}.sock"
    with standing(Shop(name=f"s{os.getpid()}", folder=folder, policies=policies)) as lab:
        yield lab


@pytest.fixture
def restored(storage: Shop) -> Iterator[Shop]:
    """The lab for a test that changes policies; afterwards they are those of the example."""
    yield storage
    storage.applied()
