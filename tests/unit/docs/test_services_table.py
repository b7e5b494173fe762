"""docs/services.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "services.md").read_text()
SHORT = {"P/": "tests/unit/pipeline/", "E/": "tests/root/end_to_end/", "X/": "tests/unit/entries/"}


def _written_out(path: str) -> str:
    for short, folder in SHORT.items():
        if path.startswith(short):
            return folder + path.removeprefix(short)
    return path


def test_every_test_that_it_names_is_there() -> None:
    named = {_written_out(path) for path in re.findall(r"`((?:tests|P|E|X)/[^`:]+\.py)", TEXT)}
    assert len(named) > 5
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_short_form_is_the_documents() -> None:
    assert {
        short: folder for short, folder in SHORT.items() if f"`{short}` " in TEXT and f"`{folder}`" in TEXT
    } == SHORT
