"""docs/p4runtime.md names tests that are there, and states that it explains."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROWS = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs" / "p4runtime.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| |", "| section"))
]


def test_every_test_that_it_names_is_there() -> None:
    named = {path for row in ROWS for path in re.findall(r"`(tests/[^`]+)`", row[-1])}
    assert len(named) > 20
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_state_is_explained() -> None:
    explained = {row[0] for row in ROWS if len(row) == 2}
    used = {row[1].rstrip(" |") for row in ROWS if len(row) == 3 or row[-1].rstrip(" |") == "text"}
    assert used <= explained
