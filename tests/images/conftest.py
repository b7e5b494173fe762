"""A containerd for the session, its folder short enough for a socket's name."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.images.containerd import Containerd, containerd
from tests.images.versions import DEBIAN


@pytest.fixture(scope="session")
def peer() -> Generator[Containerd]:
    with tempfile.TemporaryDirectory(prefix="ctrd-") as folder, containerd(Path(folder), DEBIAN) as running:
        yield running
