"""Real traffic through the pipeline, beside the same traffic without it: throughput, requests, packets, latency, CPU.

A lab of two nodes is built and its policies applied; next to it are the same two nodes with the kernel alone, which
routes and has a VXLAN of its own. In each round every way has a short turn, in an order drawn anew, and ratios are
taken within rounds. Rounds go on until the ratios stand still, or time is up. Nothing here passes or fails on time.
Needs root and a C compiler:

    sudo .venv/bin/python -m bench.traffic [--quick]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence

from bench.lab.metrics import METRICS, MODES, Comparison, Samples, Setting, comparisons
from bench.lab.pictures import draw
from bench.lab.places import Places, Way, places
from bench.lab.programs import Programs, TrafficError, programs
from bench.lab.telling import is_settled, told
from bench.report.figures import Spread
from bench.report.machine import machine, one_line
from bench.report.results import save_json, table

NAME = "traffic"
TURN_MS = 30
ROUNDS_A_BLOCK = 5
"""Offloads change twice a block, so that those with and without lie close together."""
LEAST_ROUNDS = 20
BUDGET_S, QUICK_BUDGET_S = 240.0, 30.0
HEADER = ("measurement", "offloads", "way", "min", "median", "max", "unit", "speed of pipeline", "speed of kernel")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, in under a minute")
    budget = QUICK_BUDGET_S if parser.parse_args().quick else BUDGET_S
    about = machine()
    try:
        with places() as where, programs(where.servers, where.clients) as clients:
            found = measure(where, clients, budget)
    except TrafficError as problem:
        raise SystemExit(f"bench.traffic: {problem}") from problem
    compared = tuple(comparisons(found))
    print(f"{one_line(about)}\n\n{table(HEADER, [*_rows(found, compared)])}\n")
    content = {"machine": about, "turn_ms": TURN_MS, "metrics": [*_record(found)], "compared": [*_ratios(compared)]}
    print(save_json(NAME, content), *draw(found, compared, NAME), sep="\n")


def measure(where: Places, clients: Programs, budget_s: float) -> Samples:
    """All metrics of all ways."""
    found: dict[Setting, dict[Way, list[float]]] = {
        Setting(metric=metric, offloads=on): {way: [] for way in where.ways}
        for on in (True, False)
        for metric in METRICS
    }
    order, end, rounds = random.Random(0), time.monotonic() + budget_s, 0
    while time.monotonic() < end and not (rounds >= LEAST_ROUNDS and is_settled(found)):
        for on in (True, False):
            where.set_offloads(on=on)
            for _ in range(ROUNDS_A_BLOCK):
                _round(found, clients, order, offloads=on, ways=where.ways)
        rounds += ROUNDS_A_BLOCK
    return found


def _round(
    found: dict[Setting, dict[Way, list[float]]],
    clients: Programs,
    order: random.Random,
    *,
    offloads: bool,
    ways: Sequence[Way],
) -> None:
    for mode in MODES:
        metrics = [metric for metric in METRICS if metric.mode == mode]
        for way in order.sample(ways, len(ways)):
            outcome = clients.turn(mode, way, TURN_MS)
            for metric in metrics:
                found[Setting(metric=metric, offloads=offloads)][way].append(metric.of(outcome))


def _rows(found: Samples, compared: Sequence[Comparison]) -> Iterator[tuple[str, ...]]:
    for setting, way, cells in told(found, compared):
        yield setting.metric.name, "on" if setting.offloads else "off", way.name, *cells


def _record(found: Samples) -> Iterator[dict[str, object]]:
    for setting, figures in found.items():
        for way, values in figures.items():
            yield {
                "metric": setting.metric.name,
                "unit": setting.metric.unit,
                "offloads": setting.offloads,
                "way": way.name,
                "median": Spread.of(values).median,
                "rounds": values,
            }


def _ratios(compared: Sequence[Comparison]) -> Iterator[dict[str, object]]:
    for one in compared:
        yield {
            "metric": one.setting.metric.name,
            "offloads": one.setting.offloads,
            "way": one.way.name,
            "compared_with": one.base,
            "speed": one.speed.median,
            "from": one.speed.low,
            "to": one.speed.high,
        }


if __name__ == "__main__":
    main()
