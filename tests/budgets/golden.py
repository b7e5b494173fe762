"""The budget files under tests/golden/budgets: one of Debian 12's kernel, one for all newer kernels."""

from __future__ import annotations

from tests.budgets.table import Budget, differences, from_text, to_text, too_much
from tests.goldens import GOLDEN, held

GOLDENS = GOLDEN / "budgets"


def hold(found: Budget) -> None:
    """Compare with the golden, or write it."""
    path = GOLDENS / ("debian-12.txt" if found.kernel.startswith("6.1 ") else "newer.txt")
    assert differences(from_text(held(path, to_text(found))), found) == [], "TURNOUT_REFRESH=1 writes the goldens anew"
    assert too_much(found) == []
