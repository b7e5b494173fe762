"""Redirects to a proxy: connections and latency through the same Envoy by three means, and what masks of rules cost.

The means are Turnout, iptables REDIRECT and nftables TPROXY, all on one node; in each round every way has a short turn,
in an order drawn anew, and ratios are taken within rounds. Client, server and Envoys share one CPU. Nothing here passes
or fails on time. Needs root, a BPF compiler, a C compiler, iptables and nft:

    sudo .venv/bin/python -m bench.redirects [--quick]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Mapping, Sequence

from bench.lab.metrics import METRICS, Comparison, Metric, Samples, Setting, comparisons
from bench.lab.places import Way
from bench.lab.programs import Outcome, Programs, TrafficError, programs
from bench.lab.telling import is_settled, told
from bench.mesh import masks
from bench.mesh.pictures import draw
from bench.mesh.ways import ways
from bench.report.figures import Spread
from bench.report.machine import machine, one_line
from bench.report.results import save_json, table

NAME = "redirects"
TURN_MS = 30
LEAST_ROUNDS = 20
BUDGET_S, QUICK_BUDGET_S = 120.0, 20.0
QUICK_MASK_ROUNDS = 9
MODES = ("connects", "requests")


def _p50_us(outcome: Outcome) -> float:
    return outcome.p50 / 1000


CHOSEN = (
    *(metric for metric in METRICS if metric.mode in MODES),
    Metric(name="connection, p50", unit="us", mode="connects", of=_p50_us, is_smaller_better=True),
)
HEADER = ("measurement", "way", "min", "median", "max", "unit", "speed of REDIRECT", "speed of TPROXY")
MASK_HEADER = ("masks (ns a packet)", "packet", "min", "median", "max")
KINDS = {masks.FIRST: "opens a connection that is not concerned", masks.KNOWN: "of a known connection to a service"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, in under a minute")
    is_quick = parser.parse_args().quick
    about = machine()
    costs = masks.measured(QUICK_MASK_ROUNDS if is_quick else masks.ROUNDS)
    try:
        with ways() as found_ways, programs(*_ends(found_ways)) as clients:
            found = measure(found_ways, clients, QUICK_BUDGET_S if is_quick else BUDGET_S)
    except TrafficError as problem:
        raise SystemExit(f"bench.redirects: {problem}") from problem
    compared = tuple(comparisons(found))
    print(
        f"{one_line(about)}\n\n{table(HEADER, [*_rows(found, compared)])}\n\n"
        f"{table(MASK_HEADER, [*_mask_rows(costs)])}\n"
    )
    content = {"machine": about, "turn_ms": TURN_MS, "metrics": [*_record(found)], "masks": [*_mask_record(costs)]}
    print(save_json(NAME, content), draw(found, costs, CHOSEN, NAME), sep="\n")


def _ends(found: Sequence[Way]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The namespaces of servers and of clients."""
    return tuple(dict.fromkeys(way.server for way in found)), tuple(dict.fromkeys(way.client for way in found))


def measure(found_ways: Sequence[Way], clients: Programs, budget_s: float) -> Samples:
    """All metrics of all ways."""
    found: dict[Setting, dict[Way, list[float]]] = {
        Setting(metric=metric, offloads=True): {way: [] for way in found_ways} for metric in CHOSEN
    }
    order, end, rounds = random.Random(0), time.monotonic() + budget_s, 0
    while time.monotonic() < end and not (rounds >= LEAST_ROUNDS and is_settled(found)):
        for mode in MODES:
            for way in order.sample(found_ways, len(found_ways)):
                outcome = clients.turn(mode, way, TURN_MS)
                for setting, figures in found.items():
                    if setting.metric.mode == mode:
                        figures[way].append(setting.metric.of(outcome))
        rounds += 1
    return found


def _rows(found: Samples, compared: Sequence[Comparison]) -> Iterator[tuple[str, ...]]:
    for setting, way, cells in told(found, compared):
        yield setting.metric.name, way.name, *cells


def _mask_rows(costs: masks.Costs) -> Iterator[tuple[str, ...]]:
    for (count, kind), values in costs.items():
        spread = Spread.of(values)
        yield str(count), KINDS[kind], *(f"{ns:.0f}" for ns in (spread.min, spread.median, spread.max))


def _record(found: Samples) -> Iterator[Mapping[str, object]]:
    for setting, figures in found.items():
        for way, values in figures.items():
            yield {"metric": setting.metric.name, "unit": setting.metric.unit, "way": way.name, "rounds": values}


def _mask_record(costs: masks.Costs) -> Iterator[Mapping[str, object]]:
    for (count, kind), values in costs.items():
        yield {"masks": count, "packet": KINDS[kind], "rounds_ns": values}


if __name__ == "__main__":
    main()
