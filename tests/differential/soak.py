"""`make soak`: search on with ever new seeds, for hours if asked to, and keep what is found.

    make soak                  ten minutes
    make soak HOURS=8
    make soak SECONDS=60 TURNOUT_SEED=7

A round plays some examples of one search with a seed of its own; TURNOUT_SEED and the number of rounds say all of
them. Interrupted or ended (SIGINT, SIGTERM), it says what it has done so far. A difference is kept as a vector in
tests/differential/vectors, which the ordinary suite plays from then on; what else does not hold is printed as
Hypothesis has shrunk it.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path

from hypothesis import given, seed, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.status import Status

from compiler.ir.names import Names
from compiler.pipeline.assembly import pipeline
from runtime.verification.cluster import Levels
from runtime.verification.comparison import Compared
from runtime.verification.findings import Finding
from runtime.verification.levels import small
from runtime.verification.strategies import BOUNDED
from runtime.verification.vector_text import write_vector
from tests.differential.searches import SEARCHES, SEED, SLOTS, Search, loaded_levels

VECTORS = Path(__file__).parent / "vectors"
DEFAULT_SECONDS = 600
HIGHEST_SEED = 1 << 32


@dataclass
class Soak:
    """What has been done, and what was found, by the first line of what it says."""

    first_seed: int
    began_s: float = field(default_factory=time.monotonic)
    rounds: int = 0
    examples: Counter[str] = field(default_factory=Counter[str])
    compared: Compared = field(default_factory=Compared)
    found: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        seconds = time.monotonic() - self.began_s
        done = ", ".join(f"{count:,} of {name}" for name, count in sorted(self.examples.items()))
        return (
            f"{self.rounds} rounds, seeds from {self.first_seed} on: {done or 'no examples'}; "
            f"{self.compared.packets:,} packets and {self.compared.states:,} states compared "
            f"({self.compared.packets / max(seconds, 1e-3):,.0f} packets/s); {len(self.found)} found"
        )

    def round(self, levels: Levels, search: Search, told: Callable[[], None]) -> None:
        number = (self.first_seed + self.rounds) % HIGHEST_SEED

        @seed(number)
        @settings(BOUNDED, derandomize=False, max_examples=search.examples)
        @given(data=st.data())
        def play(data: st.DataObject) -> None:
            compared = search.play(levels, data)
            self.examples[search.name] += 1
            self.compared.packets += compared.packets
            self.compared.states += compared.states
            told()

        try:
            play()
        except AssertionError as problem:
            self._keep(f"{search.name}-{number}", problem)
        self.rounds += 1

    def _keep(self, name: str, problem: AssertionError) -> None:
        """The first of each kind."""
        kind = f"{type(problem).__name__}: {''.join(str(problem).splitlines()[:1])[:60]}"
        if kind in self.found:
            return
        self.found[kind] = name
        print(f"\n== {name}", *traceback.format_exception(problem), *notes(problem), sep="\n", file=sys.stderr)
        vector = problem.vector if isinstance(problem, Finding) else None
        if vector is not None:
            VECTORS.mkdir(exist_ok=True)
            path = VECTORS / f"{name}.yaml"
            write_vector(path, replace(vector, name=name, about=kind), Names(small(pipeline(), SLOTS)))
            print(f"kept as {path}", file=sys.stderr)


def notes(problem: BaseException) -> list[str]:
    """What Hypothesis says of an example."""
    return list(getattr(problem, "__notes__", ()))


def seconds_asked() -> float:
    if "HOURS" in os.environ:
        return 3600 * float(os.environ["HOURS"])
    return float(os.environ.get("SECONDS", DEFAULT_SECONDS))


def main() -> int:
    """1 when something was found."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    soak = Soak(int(SEED) if SEED else secrets.randbelow(HIGHEST_SEED))
    console = Console(stderr=True)
    print(f"seed {soak.first_seed}", flush=True)
    with suppress(KeyboardInterrupt), loaded_levels() as levels, Status("loading", console=console) as status:
        end_s = time.monotonic() + seconds_asked()
        for search in cycle(SEARCHES):
            if time.monotonic() >= end_s:
                break
            soak.round(levels, search, lambda: status.update(str(soak)))
    print(soak)
    for kind, name in soak.found.items():
        print(f"{name}: {kind}")
    return 1 if soak.found else 0


if __name__ == "__main__":
    sys.exit(main())
