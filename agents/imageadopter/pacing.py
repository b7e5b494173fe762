"""When what is tried again: nodes of a cluster must not all come at once. Pure, but for chance."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from typing import Final

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 60.0
Chance = Callable[[float, float], float]


@dataclass(slots=True)
class _Try:
    what: Hashable
    next_s: float
    failures: int = 0
    problem: str = ""


class Tries:
    """By key. The first comes within `jitter_s`; behind each failure twice as long a wait as behind the one before, a
    quarter more or less. What is to be done anew begins anew."""

    def __init__(self, jitter_s: float, chance: Chance = random.uniform) -> None:
        self._jitter_s, self._chance, self._tries = jitter_s, chance, dict[str, _Try]()

    def is_due(self, key: str, what: Hashable, now_s: float) -> bool:
        there = self._tries.get(key)
        if there is None or there.what != what:
            there = self._tries[key] = _Try(what, now_s + self._chance(0, self._jitter_s))
        return now_s >= there.next_s

    def failed(self, key: str, problem: str, now_s: float) -> float:
        """How long it waits."""
        there = self._tries[key]
        wait_s = min(FIRST_WAIT_S * 2.0**there.failures, LONGEST_WAIT_S) * self._chance(0.75, 1.25)
        there.failures, there.problem, there.next_s = min(there.failures + 1, 16), problem, now_s + wait_s
        return wait_s

    @property
    def has_untried(self) -> bool:
        return any(not one.failures for one in self._tries.values())

    def problem(self, key: str) -> str:
        """What the last try came to."""
        there = self._tries.get(key)
        return "" if there is None else there.problem

    def done(self, key: str) -> None:
        self._tries.pop(key, None)

    def keep(self, keys: Collection[str]) -> None:
        self._tries = {key: one for key, one in self._tries.items() if key in keys}

    def next_s(self) -> float:
        """When the next one is due; infinite for none."""
        return min((one.next_s for one in self._tries.values()), default=float("inf"))
