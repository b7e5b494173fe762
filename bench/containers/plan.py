"""What `bench.images` is asked to measure: images, rates of the link, numbers of containers, caches, rounds."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from bench.containers.contents import CONTENTS, PORTS, PYTHON, USUAL, Content
from bench.containers.node import EROFS, STARGZ
from bench.containers.starting import WAYS, Case, Way

COLD, WARM = "cold", "warm"
ROUNDS, ALL_ROUNDS, QUICK_ROUNDS = 3, 10, 1
ALL_COUNTS: Final = (1, 10, 50)
RATES_MBIT: Final = (1000, 100)
_KEYS: Final = tuple(way.key for way in WAYS)
_USUAL_KEYS: Final = tuple(way.key for way in WAYS if way.snapshotter not in (STARGZ, EROFS))
"""Without what `./setup` does not install."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`rates` are in Mbit/s."""

    contents: Sequence[Content]
    rates: Sequence[int]
    counts: Sequence[int]
    caches: Sequence[str]
    ways: Sequence[Way]
    rounds: int
    goes_on: bool = False
    """With what an earlier run has written."""
    is_asked_only: bool = False
    """How long it would take."""

    @property
    def snapshotters(self) -> frozenset[str]:
        return frozenset(way.snapshotter for way in self.ways)

    def cases(self, rate: int) -> Iterator[tuple[Content, Way, Case]]:
        """Of one round. With warm caches it does not matter whether an image was pulled at the time or before."""
        for content in self.contents:
            for count in self.counts:
                for caches in self.caches:
                    for way in self.ways:
                        if caches == COLD or not way.is_pulled:
                            case = Case(image=content.name, rate_mbit=rate, count=count, caches=caches, way=way.name)
                            yield content, way, case


def parse_plan(words: Sequence[str] | None, doc: str) -> Plan:
    """Ends the program where that is no plan."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help="one image, one round")
    parser.add_argument(
        "--all", action="store_true", help=f"every image, 1, 10 and 50 containers, both caches, {ALL_ROUNDS} rounds"
    )
    parser.add_argument("--rounds", type=_above_zero, help="of each case")
    names = [content.name for content in CONTENTS]
    parser.add_argument("--images", type=_some_of(names), help=f"of {', '.join(names)}, with commas between, as below")
    parser.add_argument("--links", type=_list_of(_above_zero), help="Mbit/s; default 1000,100")
    parser.add_argument("--at-once", type=_list_of(_count), help=f"containers, up to {len(PORTS)}; default 1")
    parser.add_argument("--caches", type=_some_of((COLD, WARM)), help="cold (default), warm")
    parser.add_argument(
        "--ways", type=_some_of(_KEYS), help=f"of {', '.join(_KEYS)}; default all but {STARGZ} and {EROFS}"
    )
    parser.add_argument("--resume", action="store_true", help="go on with what an earlier run has measured")
    parser.add_argument("--estimate", action="store_true", help="say how long it would take, and end")
    return _plan(parser.parse_args(words))


def _plan(given: Any) -> Plan:
    rounds = QUICK_ROUNDS if given.quick else ALL_ROUNDS if given.all else ROUNDS
    usual = (PYTHON,) if given.quick else CONTENTS if given.all else USUAL
    images = given.images or [content.name for content in usual]
    ways = given.ways or (_KEYS if given.all else _USUAL_KEYS)
    return Plan(
        contents=[content for content in CONTENTS if content.name in images],
        rates=given.links or RATES_MBIT,
        counts=given.at_once or (ALL_COUNTS if given.all else (1,)),
        caches=given.caches or ((COLD, WARM) if given.all else (COLD,)),
        ways=[way for way in WAYS if way.key in ways],
        rounds=given.rounds or rounds,
        goes_on=given.resume,
        is_asked_only=given.estimate,
    )


def _above_zero(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number above 0")
    return int(text)


def _count(text: str) -> int:
    found = _above_zero(text)
    if found > len(PORTS):
        raise argparse.ArgumentTypeError(f"{found} containers at once; there are ports for {len(PORTS)}")
    return found


def _list_of(parse: Callable[[str], T]) -> Callable[[str], list[T]]:
    return lambda text: [parse(one) for one in text.split(",")]


def _some_of(names: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        found = text.split(",")
        if strange := [one for one in found if one not in names]:
            raise argparse.ArgumentTypeError(f"'{strange[0]}' is none of {', '.join(names)}")
        return found

    return parse
