"""The budget files under tests/golden/budgets: one of Debian 12's kernel, one for all newer kernels."""

from __future__ import annotations

import os
from pathlib import Path

from tests.budgets.table import Budget, differences, from_text, to_text, too_much

GOLDENS = Path(__file__).resolve().parents[1] / "golden" / "budgets"


def is_refreshing() -> bool:
    """Whether goldens are to be written; never in CI."""
    asked = os.environ.get("TURNOUT_REFRESH") == "1"
    assert not (asked and "CI" in os.environ), "golden files are refreshed by people, not by CI"
    return asked


def hold(found: Budget) -> None:
    """Compare with the golden, or write it."""
    path = GOLDENS / ("debian-12.txt" if found.kernel.startswith("6.1 ") else "newer.txt")
    if is_refreshing():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_text(found))
    assert differences(from_text(path.read_text()), found) == [], "TURNOUT_REFRESH=1 writes the goldens anew"
    assert too_much(found) == []
