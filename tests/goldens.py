"""Texts that are kept in tests/golden, for people to see what a change changes: TURNOUT_REFRESH=1 writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def is_refreshing() -> bool:
    """Whether goldens are to be written; never in CI."""
    asked = os.environ.get("TURNOUT_REFRESH") == "1"
    assert not (asked and "CI" in os.environ), "golden files are refreshed by people, not by CI"
    return asked


def held(path: Path, text: str) -> str:
    """What the golden has, once it is written if it is to be."""
    if is_refreshing():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return path.read_text()
