"""How long a run of `bench.images` will take, roughly: what the same cases took before, else what its parts take."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bench.containers.contents import Content
from bench.containers.node import STARGZ, TURNOUT
from bench.containers.plan import WARM, Plan
from bench.containers.starting import Case, Start, Way

_START_S, _CONTAINER_S = 4.0, 0.2
"""What is there before and gone afterwards: of a start, and of each of its containers. Seen on two CPUs."""
_UNPACKED_MB_S: Final = 25.0
"""Of compressed layers."""
_LAZY_MB: Final = 250.0
"""What comes over the link by the end, at most, where an image is not pulled whole."""
_MADE_S, _MADE_MB_S = 25.0, 20.0
"""Before all starts, of each image: pushed, converted, traced."""
Before = Callable[[Case], Sequence[Start]]


def expected_s(plan: Plan, before: Before, *, is_prepared: bool = False) -> float:
    """Of all that is left to do; `before` is what there is already of a case. `is_prepared`: images are converted."""
    starts = sum(
        max(0, plan.rounds - len(before(case))) * start_s(content, way, case, before(case))
        for rate in plan.rates
        for content, way, case in plan.cases(rate)
    )
    return starts + (0 if is_prepared else sum(_preparing_s(one, plan.snapshotters) for one in plan.contents))


def start_s(content: Content, way: Way, case: Case, before: Sequence[Start]) -> float:
    if before:
        return statistics.median(start.took_s for start in before)
    is_whole = way.snapshotter not in (TURNOUT, STARGZ)
    megabytes = content.megabytes if is_whole else min(content.megabytes, _LAZY_MB)
    pulled = 8 * megabytes / case.rate_mbit + (megabytes / _UNPACKED_MB_S if is_whole else 0)
    worked = case.count * (_CONTAINER_S + content.cpu_s / (os.cpu_count() or 1))
    return _START_S + pulled + worked * (2 if case.caches == WARM else 1)


def _preparing_s(content: Content, snapshotters: Iterable[str]) -> float:
    """Converting for us, and optimizing for stargz, which takes somewhat longer."""
    kinds = set(snapshotters)
    made = _MADE_S + content.megabytes / _MADE_MB_S
    return content.megabytes / 100 + made * ((TURNOUT in kinds) + 2 * (STARGZ in kinds))


def told(seconds: float) -> str:
    """As one says it: `about 40 s`, `about 12 min`, `about 3 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"about {max(10, round(seconds, -1)):.0f} s"
    if minutes < 100:
        return f"about {minutes} min"
    return f"about {minutes // 60} h {minutes % 60 // 10 * 10} min"
