"""Containers from images on another machine, over a shaped link: pulled, or read from volumes that are there.

Everything comes over one link: manifests and layers from a registry, blocks of volumes over NBD. Real containerd, runc
and registry; caches are dropped before each start. Nothing here passes or fails on time. Needs root:

    sudo .venv/bin/python -m bench.images [--quick|--all]
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields

from bench.containers.contents import CONTENTS, PYTHON
from bench.containers.link import link
from bench.containers.node import machines, missing_program
from bench.containers.pictures import draw
from bench.containers.starting import WAYS, Case, Start, Starter
from bench.report.figures import Spread
from bench.report.machine import machine, one_line
from bench.report.results import save_json, table

NAME = "images"
ALL_ROUNDS, ROUNDS, QUICK_ROUNDS = 10, 3, 1
RATES_MBIT = (1000, 100)
ALL_COUNTS, COUNTS = (1, 10), (1,)
HEADER = (
    *("image", "Mbit/s", "containers", "way", "first answer s", "least", "most", "last answer s", "all work s"),
    *("MB by answer", "MB by end", "CPU s", "memory MB"),
)


Found = dict[Case, list[Start]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one image, one round")
    parser.add_argument("--all", action="store_true", help=f"ten containers at once as well, {ALL_ROUNDS} rounds")
    parser.add_argument("--rounds", type=int, help="of each case")
    given = parser.parse_args()
    if missing := missing_program():
        raise SystemExit(f"bench.images: {missing} is not installed; ./setup installs it")
    about = machine()
    contents, counts = (PYTHON,) if given.quick else CONTENTS, ALL_COUNTS if given.all else COUNTS
    rounds = given.rounds or (QUICK_ROUNDS if given.quick else ALL_ROUNDS if given.all else ROUNDS)
    order, found = random.Random(0), Found()
    with link() as shaped, machines(contents, shaped) as made:
        starter = Starter(made)
        for rate in RATES_MBIT:
            shaped.set_rate(rate)
            for _ in range(rounds):
                for content in contents:
                    for count in counts:
                        for way in order.sample(WAYS, len(WAYS)):
                            case = Case(image=content.name, rate_mbit=rate, count=count, way=way.name)
                            found.setdefault(case, []).append(starter.start(way, content, count))
    print(f"{one_line(about)}\n\n{table(HEADER, [*_rows(found)])}\n")
    print(save_json(NAME, {"machine": about, "rounds": rounds, "cases": [*_record(found)]}))
    print(draw(medians(found), NAME))


def medians(found: Found) -> dict[Case, dict[str, float]]:
    """By name of the figure."""
    return {case: {name: _spread(starts, name).median for name in _NAMES} for case, starts in found.items()}


_NAMES = tuple(field.name for field in fields(Start))


def _spread(starts: Sequence[Start], name: str) -> Spread:
    return Spread.of([float(getattr(start, name)) for start in starts])


def _rows(found: Found) -> Iterator[tuple[str, ...]]:
    for case, starts in sorted(found.items(), key=lambda item: (item[0].image, -item[0].rate_mbit, item[0].count)):
        first = _spread(starts, "first_s")
        rest = (_spread(starts, name).median for name in _NAMES[1:])
        cells = (first.median, first.min, first.max, *rest)
        yield case.image, str(case.rate_mbit), str(case.count), case.way, *(f"{value:,.2f}" for value in cells)


def _record(found: Found) -> Iterator[dict[str, object]]:
    for case, starts in found.items():
        yield {**asdict(case), "starts": [asdict(start) for start in starts]}


if __name__ == "__main__":
    main()
