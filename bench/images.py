"""Containers from images on another machine, over a shaped link: pulled, or read from volumes that are there.

Everything comes over one link: manifests and layers from a registry, blocks of volumes over NBD. Real containerd, runc
and registry; caches are dropped before each cold start. Nothing here passes or fails on time. Needs root:

    sudo .venv/bin/python -m bench.images [--quick|--all|--help] [--images web] [--counts 1,10,50]
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields

from bench.containers import stargz
from bench.containers.link import link
from bench.containers.node import STARGZ, machines, missing_program
from bench.containers.pictures import draw
from bench.containers.plan import WARM, Plan, parse_plan
from bench.containers.starting import Case, Start, Starter
from bench.report.figures import Spread
from bench.report.machine import machine, one_line
from bench.report.results import save_json, table

NAME = "images"
HEADER = (
    *("image", "Mbit/s", "containers", "caches", "way", "first answer s", "least", "most", "last answer s"),
    *("all work s", "MB by answer", "MB by end", "CPU s", "memory MB"),
)


Found = dict[Case, list[Start]]


def main() -> None:
    plan = parse_plan(None, (__doc__ or "").partition("\n")[0])
    if missing := missing_program():
        raise SystemExit(f"bench.images: {missing} is not installed; ./setup installs it")
    if STARGZ in plan.snapshotters and (missing := stargz.missing()):
        raise SystemExit(f"bench.images: {missing}")
    about, order, found = machine(), random.Random(0), Found()
    with link() as shaped, machines(plan.contents, plan.snapshotters, shaped) as made:
        starter = Starter(made)
        for rate in plan.rates:
            shaped.set_rate(rate)
            for _ in range(plan.rounds):
                _round(plan, rate, order, starter, found)
                save_json(NAME, {"machine": about, "rounds": plan.rounds, "cases": [*_record(found)]})
    print(f"{one_line(about)}\n\n{table(HEADER, [*_rows(found)])}\n")
    print(save_json(NAME, {"machine": about, "rounds": plan.rounds, "cases": [*_record(found)]}))
    print(draw(medians(found), NAME))


def _round(plan: Plan, rate: int, order: random.Random, starter: Starter, found: Found) -> None:
    """Each case once. What is there after each round is written down: a long run may be ended."""
    cases = list(plan.cases(rate))
    for content, way, case in order.sample(cases, len(cases)):
        started = starter.start(way, content, case.count, is_warm=case.caches == WARM)
        found.setdefault(case, []).append(started)


def medians(found: Found) -> dict[Case, dict[str, float]]:
    """By name of the figure."""
    return {case: {name: _spread(starts, name).median for name in _NAMES} for case, starts in found.items()}


_NAMES = tuple(field.name for field in fields(Start))


def _spread(starts: Sequence[Start], name: str) -> Spread:
    return Spread.of([float(getattr(start, name)) for start in starts])


def _rows(found: Found) -> Iterator[tuple[str, ...]]:
    for case, starts in sorted(found.items(), key=lambda item: item[0].order):
        first = _spread(starts, "first_s")
        rest = (_spread(starts, name).median for name in _NAMES[1:])
        cells = (first.median, first.min, first.max, *rest)
        names = (case.image, str(case.rate_mbit), str(case.count), case.caches, case.way)
        yield *names, *(f"{value:,.2f}" for value in cells)


def _record(found: Found) -> Iterator[dict[str, object]]:
    for case, starts in found.items():
        yield {**asdict(case), "starts": [asdict(start) for start in starts]}


if __name__ == "__main__":
    main()
