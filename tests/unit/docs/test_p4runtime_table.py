"""docs/p4runtime.md names tests that are there, and states that it explains."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "p4runtime.md").read_text()


def _rows(columns: str) -> list[list[str]]:
    """Of the tables with these columns."""
    found: list[list[str]] = []
    for table in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
        header, _, *rows = table.splitlines()
        if header.strip("| ").split(" | ") == columns.split(" | "):
            found += (row.strip("| ").split(" | ") for row in rows)
    return found


SECTIONS, STATES, CLIENTS = _rows("section | state | how"), _rows(""), _rows("p4runtime-shell | finsy")


def test_every_test_that_it_names_is_there() -> None:
    named = {path for row in (*SECTIONS, *CLIENTS) for path in re.findall(r"`((?:tests|T)/[^`:]+)", " ".join(row))}
    assert len(named) > 40
    assert [path for path in sorted(named) if not (ROOT / re.sub("^T/", "tests/peers/", path)).exists()] == []


def test_every_state_is_explained() -> None:
    explained = {row[0] for row in STATES}
    used = {row[1].rstrip(" |") for row in SECTIONS}
    assert len(SECTIONS) > 70
    assert used <= explained
