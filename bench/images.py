"""Containers from images on another machine, over a shaped link: pulled, or read from volumes that are there.

Everything comes over one link: manifests and layers from a registry, blocks of volumes over NBD. Real containerd, runc
and registry; caches are dropped before each cold start. Nothing here passes or fails on time. Needs root:

    sudo .venv/bin/python -m bench.images [--quick|--all|--help] [--images web] [--at-once 1,10,50] [--resume]
"""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Iterator, Mapping
from threading import Event

from bench.containers import erofs, stargz
from bench.containers.expecting import expected_s, told
from bench.containers.found import Found
from bench.containers.link import link
from bench.containers.node import EROFS, STARGZ, kill_all, machines, missing_program
from bench.containers.pictures import draw
from bench.containers.plan import WARM, Plan, parse_plan
from bench.containers.starting import Case, Starter
from bench.report.figures import Spread
from bench.report.machine import machine, one_line
from bench.report.results import picture_path, table

NAME = "images"
HEADER = (
    *("image", "Mbit/s", "at once", "caches", "way", "rounds"),
    *("first answer s", "median s", "last s", "least", "most", "all work s", "MB by answer", "MB by end"),
    *("CPU s by answer", "CPU s by end", "memory MB by answer", "memory MB by end"),
)
_COLUMNS = (
    *("first_s", "median_s", "last_s", "work_s", "answer_mb", "work_mb"),
    *("answer_cpu_s", "work_cpu_s", "answer_memory_mb", "work_memory_mb"),
)


def main() -> None:
    plan = parse_plan(None, (__doc__ or "").partition("\n")[0])
    about = machine()
    found = Found(NAME, about)
    if plan.goes_on:
        found.go_on(picture_path(NAME).with_suffix(".json"))
    _tell(_outlook(plan, found))
    if plan.is_asked_only:
        return
    if missing := _missing(plan):
        raise SystemExit(f"bench.images: {missing}")
    ended = _ended_by_signals()
    try:
        _measure(plan, found)
    except BaseException:
        if ended.is_set():
            raise SystemExit("bench.images: ended; with --resume the next run goes on") from None
        raise
    spreads = found.spreads()
    print(f"{one_line(about)}\n\n{table(HEADER, [*_rows(spreads)])}\n")
    print(found.save())
    for path in draw({case: _medians(figures) for case, figures in spreads.items()}, NAME):
        print(path)


def _measure(plan: Plan, found: Found) -> None:
    with link() as shaped, machines(plan.contents, plan.snapshotters, shaped) as made:
        starter = Starter(made)
        for rate in plan.rates:
            shaped.set_rate(rate)
            for number in range(plan.rounds):
                _round(plan, rate, number, starter, found)
                left = _outlook(plan, found, is_prepared=True)
                _tell(f"round {number + 1} of {plan.rounds} at {rate} Mbit/s: {left}")


def _ended_by_signals() -> Event:
    """Set when the run is to end, as it then does at once: fifty threads may be waiting for containers."""
    ended = Event()

    def end(_number: int, _frame: object) -> None:
        if not ended.is_set():
            ended.set()
            kill_all()
            raise SystemExit

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return ended


def _missing(plan: Plan) -> str | None:
    if missing := missing_program():
        return f"{missing} is not installed; ./setup installs it"
    of_others = {STARGZ: stargz.missing, EROFS: erofs.missing}
    said = (ask() for name, ask in of_others.items() if name in plan.snapshotters)
    return next((missing for missing in said if missing is not None), None)


def _outlook(plan: Plan, found: Found, *, is_prepared: bool = False) -> str:
    cases = [case for rate in plan.rates for _, _, case in plan.cases(rate)]
    left = sum(max(0, plan.rounds - found.count(case)) for case in cases)
    if not left:
        return "all starts are made"
    takes_s = expected_s(plan, found.starts, is_prepared=is_prepared)
    return f"{left} of {len(cases) * plan.rounds} starts to go, {told(takes_s)}"


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _round(plan: Plan, rate: int, number: int, starter: Starter, found: Found) -> None:
    """Each case once that has not been in so many rounds yet, in an order drawn anew."""
    cases = [one for one in plan.cases(rate) if found.count(one[2]) <= number]
    random.Random(f"{rate} {number}").shuffle(cases)
    for content, way, case in cases:
        found.add(case, starter.start(way, content, case.count, is_warm=case.caches == WARM))


def _medians(figures: Mapping[str, Spread]) -> dict[str, float]:
    return {name: spread.median for name, spread in figures.items()}


def _rows(spreads: Mapping[Case, Mapping[str, Spread]]) -> Iterator[tuple[str, ...]]:
    for case, figures in spreads.items():
        last = figures["last_s"]
        medians = [figures[name].median for name in _COLUMNS]
        cells = (*medians[:3], last.min, last.max, *medians[3:])
        names = (case.image, str(case.rate_mbit), str(case.count), case.caches, case.way, str(last.rounds))
        yield *names, *(f"{value:,.2f}" for value in cells)


if __name__ == "__main__":
    main()
