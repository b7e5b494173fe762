"""docs/images.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "images.md").read_text()
COVERED = TEXT.partition("## What is covered")[2]


def test_every_test_that_it_names_is_there() -> None:
    """Those of tests/images by their names alone."""
    named = set(re.findall(r"`((?:tests/[a-z/]+/)?test_[a-z0-9_]+\.py)`", TEXT))
    assert len(named) > 15
    paths = {name: ROOT / (name if "/" in name else f"tests/images/{name}") for name in named}
    assert sorted(name for name, path in paths.items() if not path.exists()) == []


def test_every_test_of_images_is_named() -> None:
    there = {path.name for path in (ROOT / "tests" / "images").glob("test_*.py")}
    assert sorted(there - set(re.findall(r"test_[a-z0-9_]+\.py", COVERED))) == []
