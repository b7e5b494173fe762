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


def test_every_function_that_it_names_is_there() -> None:
    """`file::function`, and `function` alone behind such a file."""
    missing: list[str] = []
    for cell in (cell for row in (*SECTIONS, *CLIENTS) for cell in row):
        text = ""
        for path, name in re.findall(r"`(?:((?:tests|T)/[^`:]+\.py)(?:::)?)?(test_[a-z0-9_]+)?`", cell):
            text = (ROOT / re.sub("^T/", "tests/peers/", path)).read_text() if path else text
            if name and not re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE):
                missing.append(f"{path}::{name}")
    assert missing == []


def test_all_that_is_done_has_a_test() -> None:
    """Or `fuzz`, which compares all of it with the specification's model."""
    without = [
        row[0]
        for row in SECTIONS
        if row[1] in ("done", "differs", "choice") and not re.search(r"`tests/|\bfuzz\b|as above", row[2])
    ]
    assert without == []


def test_what_is_not_done_says_why() -> None:
    assert [row[0] for row in SECTIONS if row[1] in ("no", "differs", "choice") and len(row[2].split()) < 3] == []


def test_every_state_is_explained() -> None:
    explained = {row[0] for row in STATES}
    used = {row[1].rstrip(" |") for row in SECTIONS}
    assert len(SECTIONS) > 70
    assert used <= explained
