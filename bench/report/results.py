"""Where results go: a table on stdout, JSON and pictures under build/bench."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.report.machine import ROOT

FOLDER = ROOT / "build" / "bench"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest cell; the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(cells))
        for cells in (tuple(zip(row, widths, strict=True)) for row in (header, *rows))
    )


def save_json(name: str, content: dict[str, Any]) -> Path:
    """Write build/bench/NAME.json; returns its path."""
    path = picture_path(name).with_suffix(".json")
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def picture_path(name: str) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER / f"{name}.png"
