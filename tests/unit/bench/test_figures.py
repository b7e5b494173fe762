"""How measured rounds become ratios with an interval, and ratios become speeds."""

from __future__ import annotations

import random

import pytest

from bench.lab.metrics import METRICS, Comparison, Metric, Setting, comparisons
from bench.lab.places import Way
from bench.report.figures import Interval, interval_of_ratio

KERNEL = Way(name="same node, kernel", client="a", server="b", address="10.9.2.2")
PIPELINE = Way(name="same node, pipeline", client="c", server="d", address="10.1.0.11", kernel="same node, kernel")


def metric(name: str) -> Metric:
    return next(one for one in METRICS if one.name == name)


def test_interval_of_many_rounds_is_taken_from_their_ranks() -> None:
    assert interval_of_ratio([*range(100, 200)], [100] * 100) == Interval(low=1.4, median=1.495, high=1.6)


def test_interval_of_few_rounds_is_all_that_was_measured() -> None:
    assert interval_of_ratio([3, 1, 2], [1, 1, 1]) == Interval(low=1, median=2, high=3)


def test_ratios_are_those_of_the_same_round() -> None:
    assert interval_of_ratio([10, 1000], [5, 500]) == Interval(low=2, median=2, high=2)


def test_rounds_that_have_no_partner_are_refused() -> None:
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is shorter than argument 1"):
        interval_of_ratio([1, 2], [1])


@pytest.mark.parametrize("rounds", [20, 61])
def test_interval_holds_the_true_ratio_in_about_95_of_100_measurements(rounds: int) -> None:
    draw = random.Random(1)
    held = 0
    for _ in range(400):
        values = [draw.lognormvariate(0, 0.3) for _ in range(rounds)]
        interval = interval_of_ratio(values, [1.0] * rounds)
        held += interval.low <= 1 <= interval.high
    assert 0.93 < held / 400 <= 1


def test_speed_is_above_1_for_what_is_better_whatever_the_unit() -> None:
    requests = Setting(metric=metric("requests, one connection"), offloads=True)
    latency = Setting(metric=metric("request, p50"), offloads=True)
    found = {
        requests: {KERNEL: [100.0, 100.0], PIPELINE: [110.0, 110.0]},
        latency: {KERNEL: [11.0, 11.0], PIPELINE: [10.0, 10.0]},
    }
    speed = Interval(low=1.1, median=1.1, high=1.1)
    assert list(comparisons(found)) == [
        Comparison(setting=requests, way=PIPELINE, base=KERNEL.name, speed=speed),
        Comparison(setting=latency, way=PIPELINE, base=KERNEL.name, speed=speed),
    ]
