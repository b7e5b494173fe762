"""A containerd for the session, its folder short enough for a socket's name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.images.containerd import Containerd, containerd


@pytest.fixture(scope="session")
def peer() -> Generator[Containerd]:
    if shutil.which("containerd") is None:
        pytest.skip("containerd is not installed; ./setup installs it")
    with tempfile.TemporaryDirectory(prefix="ctrd-") as folder, containerd(Path(folder)) as running:
        yield running
