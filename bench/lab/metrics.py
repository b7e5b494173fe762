"""What is measured of traffic: modes of ask.c, and the figures that each turn gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bench.lab.places import Way, figures_of
from bench.lab.programs import Outcome
from bench.report.figures import Interval, interval_of_ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    name: str
    unit: str
    mode: str
    """Of ask.c."""
    of: Callable[[Outcome], float]
    is_smaller_better: bool = False
    is_steady: bool = True
    """A few rounds say what it is. Not so the slowest requests: they tell of the machine as well."""


def per_second(outcome: Outcome) -> float:
    return outcome.per_second


def _p50_us(outcome: Outcome) -> float:
    return outcome.p50 / 1000


def _p99_us(outcome: Outcome) -> float:
    return outcome.p99 / 1000


def _gbps(outcome: Outcome) -> float:
    return outcome.per_second * 8 / 1e9


def _cpu_us(outcome: Outcome) -> float:
    return outcome.cpu_ns / outcome.count / 1000


def _cpu_of_kb_ns(outcome: Outcome) -> float:
    return outcome.cpu_ns / outcome.count * 1000


METRICS = (
    Metric(name="TCP, one stream", unit="Gbit/s", mode="stream", of=_gbps),
    Metric(name="requests, one connection", unit="1/s", mode="requests", of=per_second),
    Metric(name="requests, a connection each", unit="1/s", mode="connects", of=per_second),
    Metric(name="UDP, 64 bytes", unit="packets/s", mode="bursts", of=per_second),
    Metric(name="CPU a KB of the stream", unit="ns", mode="stream", of=_cpu_of_kb_ns, is_smaller_better=True),
    Metric(name="CPU a request", unit="us", mode="requests", of=_cpu_us, is_smaller_better=True),
    Metric(name="CPU a connection", unit="us", mode="connects", of=_cpu_us, is_smaller_better=True),
    Metric(name="CPU a packet, UDP", unit="us", mode="bursts", of=_cpu_us, is_smaller_better=True),
    Metric(name="request, p50", unit="us", mode="requests", of=_p50_us, is_smaller_better=True),
    Metric(name="request, p99", unit="us", mode="requests", of=_p99_us, is_smaller_better=True, is_steady=False),
    Metric(name="UDP round trip, p50", unit="us", mode="round_trips", of=_p50_us, is_smaller_better=True),
    Metric(
        name="UDP round trip, p99", unit="us", mode="round_trips", of=_p99_us, is_smaller_better=True, is_steady=False
    ),
)
MODES = tuple(dict.fromkeys(metric.mode for metric in METRICS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A metric, with offloads or without."""

    metric: Metric
    offloads: bool


Samples = Mapping[Setting, Mapping[Way, list[float]]]
"""One figure a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How fast a way is relative to another: above 1 it is better, whatever the metric's unit."""

    setting: Setting
    way: Way
    base: str
    speed: Interval


def comparisons(found: Samples) -> Iterator[Comparison]:
    """Each way against those that it names, from the same rounds."""
    for setting, figures in found.items():
        for way, values in figures.items():
            for base in (way.direct, way.kernel):
                other = figures_of(base, figures)
                if other is None:
                    continue
                over, under = (other, values) if setting.metric.is_smaller_better else (values, other)
                yield Comparison(setting=setting, way=way, base=base, speed=interval_of_ratio(over, under))
