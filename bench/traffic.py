"""Real traffic through the pipeline, beside the same traffic without it: throughput, requests, packets, latency.

A lab of two nodes is built and its policies applied; next to it are a plain veth and a namespace that forwards. In each
round every variant has its turn, in an order drawn anew, and ratios are taken within rounds: a service against the same
workload called by its own address. Nothing here passes or fails on time. Needs root, iperf3 and a C compiler:

    sudo .venv/bin/python -m bench.traffic [--quick]
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence

from bench.lab.pictures import draw
from bench.lab.places import Places, Variant, base_of, places
from bench.lab.programs import METRICS, Metric, Programs, TrafficError, programs
from bench.report.figures import Spread, ratio
from bench.report.machine import machine, one_line
from bench.report.results import save_json, table

NAME = "traffic"
ROUNDS, SECONDS = 10, 0.3
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.2
HEADER = ("measurement", "way", "min", "median", "max", "unit", "of direct", "min", "max")
Samples = Mapping[Metric, Mapping[Variant, list[float]]]
"""One figure a round."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, in about a minute")
    is_quick = parser.parse_args().quick
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if is_quick else (ROUNDS, SECONDS)
    about = machine()
    try:
        with places() as where, programs(where.servers) as clients:
            found = measure(where, clients, rounds, seconds)
    except TrafficError as problem:
        raise SystemExit(f"bench.traffic: {problem}") from problem
    print(f"{one_line(about)}\n\n{table(HEADER, _rows(found))}\n")
    content = {"machine": about, "rounds": rounds, "seconds": seconds, "metrics": _record(found)}
    print(f"{save_json(NAME, content)}\n{draw(found, NAME)}")


def measure(where: Places, clients: Programs, rounds: int, seconds: float) -> Samples:
    """All metrics of all variants. Offloads change twice a round, so those with and without lie close together."""
    found: dict[Metric, dict[Variant, list[float]]] = {m: {v: [] for v in where.variants} for m in METRICS}
    order = random.Random(0)
    for _ in range(rounds):
        for on in (True, False):
            where.set_offloads(on=on)
            for metric in (one for one in METRICS if one.offloads is on):
                for variant in order.sample(where.variants, len(where.variants)):
                    found[metric][variant].append(metric.measure(clients, variant, seconds))
    where.set_offloads(on=True)
    return found


def _rows(found: Samples) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for metric, figures in found.items():
        for variant, values in figures.items():
            spread, base = Spread.of(values), base_of(variant, figures)
            cells = (f"{value:,.{_digits(value)}f}" for value in (spread.min, spread.median, spread.max))
            rows.append((metric.name, variant.name, *cells, metric.unit, *_against(values, base)))
    return rows


def _against(values: Sequence[float], base: Sequence[float] | None) -> tuple[str, str, str]:
    if base is None:
        return "", "", ""
    spread = ratio(values, base)
    return f"{spread.median:.3f}", f"{spread.min:.2f}", f"{spread.max:.2f}"


def _digits(value: float) -> int:
    return 2 if value < 10 else 1 if value < 1000 else 0


def _record(found: Samples) -> list[dict[str, object]]:
    return [
        {
            "metric": metric.name,
            "unit": metric.unit,
            "way": variant.name,
            "compared_with": variant.base,
            "median": Spread.of(values).median,
            "rounds": values,
        }
        for metric, figures in found.items()
        for variant, values in figures.items()
    ]


if __name__ == "__main__":
    main()
