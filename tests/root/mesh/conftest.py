"""A lab of examples/mesh.yaml, with a real Envoy for each proxy."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import yaml

from tests.root.end_to_end.shop import DEVICES, ROOT, Policies, Shop, find, standing


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("mesh")
    policies: Policies = list(yaml.safe_load_all((ROOT / "examples/mesh.yaml").read_text()))
    for name in DEVICES:
        find(policies, "Device", name)["spec"]["address"] = f"unix:{folder}/{name}.sock"
    with standing(Shop(name=f"m{os.getpid()}", folder=folder, policies=policies)) as lab:
        yield lab
