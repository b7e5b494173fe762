"""What turns of traffic have shown, for people; and whether there were enough of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.lab.metrics import Comparison, Samples, Setting, comparisons
from bench.lab.places import Way
from bench.report.figures import Interval, Spread

STEADY = 0.02
"""Rounds end when the ratios of all that is steady are known this closely (95 %)."""


def is_settled(found: Samples) -> bool:
    return all(one.speed.width < STEADY for one in comparisons(found) if one.setting.metric.is_steady)


def told(found: Samples, compared: Sequence[Comparison]) -> Iterator[tuple[Setting, Way, tuple[str, ...]]]:
    """Least, median, most and unit of each way, and its speed against direct traffic and against the kernel's."""
    speeds = {(one.setting, one.way, one.base): one.speed for one in compared}
    for setting, figures in found.items():
        for way, values in figures.items():
            spread = Spread.of(values)
            cells = (f"{value:,.{_digits(value)}f}" for value in (spread.min, spread.median, spread.max))
            against = (_interval(speeds.get((setting, way, base))) for base in (way.direct, way.kernel))
            yield setting, way, (*cells, setting.metric.unit, *against)


def _interval(speed: Interval | None) -> str:
    return "" if speed is None else f"{speed.median:.3f} ({speed.low:.3f} to {speed.high:.3f})"


def _digits(value: float) -> int:
    return 2 if value < 10 else 1 if value < 1000 else 0
