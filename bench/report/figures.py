"""A measured figure with its spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of the rounds of one measurement, in the measurement's unit."""

    min: float
    median: float
    max: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(min=min(values), median=statistics.median(values), max=max(values), rounds=len(values))


def ratio(values: Sequence[float], base: Sequence[float]) -> Spread:
    """What each round's value is to the same round's base: what slows the machine down for a while hits both."""
    return Spread.of([value / of for value, of in zip(values, base, strict=True)])
