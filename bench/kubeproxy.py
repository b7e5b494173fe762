"""Turnout beside kube-proxy in both of its modes: calls to a service, packets a node forwards to it, and programming.

etcd, kube-apiserver and kube-proxy are the real ones (tests/peers/build). Clients, servers, nodes and the Services are
the same for all; in each round every way has a short turn, in an order drawn anew, and ratios are taken within rounds.
Nothing here passes or fails on time. Needs root, Go (or time to install it), a C compiler, iptables and nft:

    sudo .venv/bin/python -m bench.kubeproxy [--quick] [--services N,N,...]
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.forwarding.turns import FLOWS, forwarding
from bench.kube.cluster import Cluster, cluster, kube_program
from bench.kube.comparing import MODES, PAIRS, Traffic, measure, measure_bare, ratios
from bench.kube.pictures import draw_programming, draw_traffic
from bench.kube.programming import CHANGES, Size, programmed, services_of
from bench.kube.proxying import Mode, node_of
from bench.kube.ways import LAB, NAMES, NODE, PLACES, ways
from bench.lab.kernelway import KernelWay, kernel_way
from bench.lab.programs import TrafficError, programs
from bench.report.figures import Spread
from bench.report.machine import machine, one_line
from bench.report.results import save_json, table

NAME = "kubeproxy"
SIZES, QUICK_SIZES = (10, 1_000, 5_000, 10_000), (10,)
QUICK_CHANGES = 10
BUDGET_S, QUICK_BUDGET_S = 90.0, 40.0
"""Of traffic, at the first and at the last size."""
TRAFFIC_HEADER = ("medians", "unit", "services", "place", *NAMES)
RATIO_HEADER = ("speed, more is better", "services", "place", *(f"{way} / {base}" for way, base in PAIRS))
PROGRAM_HEADER = ("services", "by", "all, s", "one more: median", "99 %", "changed: median", "99 %", "times", "MB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    sizes: Sequence[Size]
    traffic: Mapping[int, Traffic]
    """By the number of services."""
    bare_ns: Sequence[float]
    """What a forwarded packet takes without a node: it is made, comes in, is counted and dropped."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="ten services, two or three minutes")
    parser.add_argument("--services", type=_numbers, help="how many, such as 10,1000; traffic with the first and last")
    given = parser.parse_args()
    sizes = given.services or (QUICK_SIZES if given.quick else SIZES)
    about = machine()
    try:
        changes, budget_s = (QUICK_CHANGES, QUICK_BUDGET_S) if given.quick else (CHANGES, BUDGET_S)
        found = measured(kube_program(), sizes, changes, budget_s)
    except TrafficError as problem:
        raise SystemExit(f"bench.kubeproxy: {problem}") from problem
    about["load at the end"] = " ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"{one_line(about)}; at the end {about['load at the end']}\n\n{shown(found)}\n")
    print(save_json(NAME, {"machine": about, **_record(found)}), draw_programming(found.sizes, NAME), sep="\n")
    for services, traffic in found.traffic.items():
        print(draw_traffic(traffic, services, NAME))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(word) for word in text.split(",")}))


def measured(program: Path, sizes: Sequence[int], changes: int, budget_s: float) -> Found:
    """All of it, in namespaces that are gone afterwards. Raises `TrafficError`."""
    found, traffic, bare_ns = list[Size](), dict[int, Traffic](), list[float]()
    with ExitStack() as undo:
        folder = Path(undo.enter_context(TemporaryDirectory(prefix="turnout-bench-")))
        control = undo.enter_context(cluster(program, LAB, folder))
        plain = undo.enter_context(kernel_way(LAB))
        nodes = {mode: undo.enter_context(kernel_way(f"{LAB}-{mode}")) for mode in Mode}
        for mode, node in nodes.items():
            control.plug(node_of(mode), node.namespace(NODE))
        spaces = {mode: node.namespace(NODE) for mode, node in nodes.items()}
        there = 0
        for size in sizes:
            services = services_of(size, changes)
            control.add_all(services[there:])
            there = len(services)
            found.append(programmed(control, spaces, size, changes))
            if size in (sizes[0], sizes[-1]):
                traffic[size], bare = _traffic(control, plain, nodes, size, changes, budget_s)
                bare_ns += bare
    return Found(sizes=found, traffic=traffic, bare_ns=bare_ns)


def _traffic(
    control: Cluster, plain: KernelWay, nodes: Mapping[Mode, KernelWay], size: int, changes: int, budget_s: float
) -> tuple[Traffic, list[float]]:
    with ways(control, plain, nodes, services_of(size, changes)) as (lanes, proxies):
        found = [lane.way for lane in lanes]
        servers, clients = (
            [*dict.fromkeys(names)] for names in zip(*((w.server, w.client) for w in found), strict=True)
        )
        with programs(servers, clients) as asking, forwarding(lanes) as making:
            turns = {**dict.fromkeys(MODES, asking), **dict.fromkeys(FLOWS, making)}
            traffic, bare_ns = measure(found, turns, budget_s), measure_bare(found, making)
        for proxy in proxies:
            if not proxy.connections():
                raise TrafficError(f"kube-proxy ({proxy.mode}) has translated no connection")
    return traffic, bare_ns


def shown(found: Found) -> str:
    tables = (
        table(TRAFFIC_HEADER, [row for size, traffic in found.traffic.items() for row in _traffic_rows(size, traffic)]),
        table(RATIO_HEADER, [row for size, traffic in found.traffic.items() for row in _ratio_rows(size, traffic)]),
        table(PROGRAM_HEADER, [row for size in found.sizes for row in _program_rows(size)]),
    )
    bare = Spread.of(found.bare_ns)
    without = f"a forwarded packet without a node between: {bare.median:.0f} ns (from {bare.min:.0f} to {bare.max:.0f})"
    return "\n\n".join((*tables, without))


def _traffic_rows(size: int, traffic: Traffic) -> Iterator[tuple[str, ...]]:
    for metric, figures in traffic.items():
        medians = {way.name: _number(Spread.of(values).median) for way, values in figures.items()}
        for place in PLACES:
            yield metric.name, metric.unit, f"{size:,}", place, *(medians[f"{place}: {name}"] for name in NAMES)


def _ratio_rows(size: int, traffic: Traffic) -> Iterator[tuple[str, ...]]:
    """Pairs come in the order of `PAIRS`."""
    compared = iter(ratios(traffic))
    while pairs := list(islice(compared, len(PAIRS))):
        cells = (f"{one.speed.median:.2f} ({one.speed.low:.2f} to {one.speed.high:.2f})" for one in pairs)
        yield pairs[0].metric.name, f"{size:,}", pairs[0].place, *cells


def _program_rows(size: Size) -> Iterator[tuple[str, ...]]:
    count, whole, written = f"{size.services:,}", size.applied, size.written
    for mode, one in size.proxies.items():
        times = f"{len(one.more_s)}, {len(one.changed_s)}"
        waits = (*_waits(one.more_s), *_waits(one.changed_s))
        yield count, f"kube-proxy, {mode}", f"{one.cold_s:.2f}", *waits, times, f"{one.memory_mb:.0f}"
    yield count, "turnout device, pipeline loaded", f"{whole.start_s + whole.pipeline_s:.2f}", *[""] * 6
    memory = f"{whole.memory_mb:.0f} + {whole.maps_mb:.0f}"
    yield (
        count,
        "turnout apply",
        f"{whole.whole_s:.2f}",
        "",
        "",
        *_waits(whole.again_s),
        str(len(whole.again_s)),
        memory,
    )
    times = f"{len(written.more_s)}, {len(written.changed_s)}"
    waits = (*_waits(written.more_s), *_waits(written.changed_s))
    yield count, "Turnout, a client's writes", f"{written.written_s:.2f}", *waits, times, ""


def _waits(values: Sequence[float]) -> tuple[str, str]:
    """Milliseconds, or seconds where they are many."""
    ordered = sorted(values)
    return _wait(statistics.median(values)), _wait(ordered[int(0.99 * (len(ordered) - 1))])


def _wait(value_s: float) -> str:
    return f"{1000 * value_s:.2f} ms" if value_s < 1 else f"{value_s:.2f} s"


def _number(value: float) -> str:
    return f"{value:,.{2 if value < 10 else 1 if value < 1000 else 0}f}"


def _record(found: Found) -> dict[str, object]:
    traffic = [
        {"services": size, "metric": metric.name, "unit": metric.unit, "way": way.name, "rounds": values}
        for size, one in found.traffic.items()
        for metric, figures in one.items()
        for way, values in figures.items()
    ]
    return {
        "programming": [asdict(size) for size in found.sizes],
        "traffic": traffic,
        "forwarded without a node, ns": found.bare_ns,
    }


if __name__ == "__main__":
    main()
