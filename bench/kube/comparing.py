"""Turnout and kube-proxy beside each other and beside direct traffic, from turns of the same rounds."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.forwarding.turns import FLOWS, Forwarding
from bench.kube.ways import KERNEL, PLACES, PROXIES, SERVICE, TURNOUT
from bench.lab.metrics import METRICS, Metric, per_second
from bench.lab.places import Way
from bench.lab.programs import Outcome
from bench.report.figures import Interval, interval_of_ratio

MODES = ("requests", "connects", "bursts", "round_trips")
"""Of ask.c."""
LEAST_ROUNDS = 10
TURN_MS = 30
BARE_TURNS = 10
STEADY = 0.02


class Turns(Protocol):
    """What makes the traffic of some modes."""

    def turn(self, mode: str, way: Way, milliseconds: int) -> Outcome: ...


def _cpu_ns(outcome: Outcome) -> float:
    return outcome.cpu_ns / outcome.count


def _p50_us(outcome: Outcome) -> float:
    return outcome.p50 / 1000


def _forwarded(mode: str, flows: int) -> tuple[Metric, Metric]:
    of = f"{flows:,} flow{'s' if flows > 1 else ''}"
    return (
        Metric(name=f"forwarded, {of}", unit="packets/s", mode=mode, of=per_second),
        Metric(name=f"CPU a forwarded packet, {of}", unit="ns", mode=mode, of=_cpu_ns, is_smaller_better=True),
    )


CHOSEN = (
    *(metric for metric in METRICS if metric.mode in MODES),
    Metric(name="connection, p50", unit="us", mode="connects", of=_p50_us, is_smaller_better=True),
    *(metric for mode, flows in FLOWS.items() for metric in _forwarded(mode, flows)),
)
PAIRS = (
    (SERVICE, TURNOUT),
    (SERVICE, KERNEL),
    *((proxy, KERNEL) for proxy in PROXIES.values()),
    *((SERVICE, proxy) for proxy in PROXIES.values()),
)
"""What is compared with what."""
Traffic = Mapping[Metric, Mapping[Way, list[float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How fast `way` is relative to `base`: above 1 it is better, whatever the metric's unit."""

    metric: Metric
    place: str
    way: str
    base: str
    speed: Interval


def measure(ways: Sequence[Way], turns: Mapping[str, Turns], budget_s: float) -> Traffic:
    """Turns of all ways in these modes, in an order drawn anew, until the ratios are known or time is up."""
    found: dict[Metric, dict[Way, list[float]]] = {metric: {way: [] for way in ways} for metric in CHOSEN}
    order, end, rounds = random.Random(0), time.monotonic() + budget_s, 0
    while rounds < LEAST_ROUNDS or (time.monotonic() < end and not _is_settled(found)):
        for mode, making in turns.items():
            for way in order.sample(ways, len(ways)):
                outcome = making.turn(mode, way, TURN_MS)
                for metric, figures in found.items():
                    if metric.mode == mode:
                        figures[way].append(metric.of(outcome))
        rounds += 1
    return found


def measure_bare(ways: Sequence[Way], making: Forwarding) -> list[float]:
    """Nanoseconds of a forwarded packet that no node forwards, of several turns."""
    direct, mode = next(way for way in ways if way.name.endswith(KERNEL)), next(iter(FLOWS))
    return [_cpu_ns(making.bare(mode, direct, TURN_MS)) for _ in range(BARE_TURNS)]


def ratios(found: Traffic) -> Iterator[Ratio]:
    """All pairs of all places, from the same rounds."""
    for metric, figures in found.items():
        by_name = {way.name: values for way, values in figures.items()}
        for place in PLACES:
            for way, base in PAIRS:
                values, other = by_name[f"{place}: {way}"], by_name[f"{place}: {base}"]
                over, under = (other, values) if metric.is_smaller_better else (values, other)
                yield Ratio(metric=metric, place=place, way=way, base=base, speed=interval_of_ratio(over, under))


def _is_settled(found: Traffic) -> bool:
    return all(one.speed.width < STEADY * one.speed.median for one in ratios(found) if one.metric.is_steady)
