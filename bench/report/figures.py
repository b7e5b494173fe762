"""A measured figure with its spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_Z_95 = 1.96
"""Standard deviations on either side of a normal distribution's middle that hold 95 % of it."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A median, and where it lies in 95 of 100 such measurements."""

    low: float
    median: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low


def interval_of_ratio(values: Sequence[float], base: Sequence[float]) -> Interval:
    """The median of the rounds' ratios.

    Its interval is taken from their ranks (the sign test's), which asks nothing of how they are distributed. Below six
    rounds it is all that was measured.
    """
    ratios = sorted(value / of for value, of in zip(values, base, strict=True))
    reach = _Z_95 * math.sqrt(len(ratios)) / 2
    first = max(0, math.floor(len(ratios) / 2 - reach))
    last = min(len(ratios) - 1, math.ceil(len(ratios) / 2 + reach))
    return Interval(low=ratios[first], median=statistics.median(ratios), high=ratios[last])
