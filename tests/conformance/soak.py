"""`make soak`: random messages for every device, with ever new seeds, until 100,000 updates are compared.

    make soak                                     both searches, see tests/differential/soak.py
    .venv/bin/python -m tests.conformance.soak    this one alone
    UPDATES=5000 TURNOUT_SEED=7 ...               fewer, and the same ones again

A round is a number of examples on one device, which goes on running; TURNOUT_SEED says all of them. What differs is
shrunk, printed, and kept as a vector in tests/conformance/vectors, which the ordinary suite plays from then on.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
import traceback
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from tests.conformance.fuzzing.driving import DifferentError
from tests.conformance.fuzzing.playing import STEPS, Fuzzer, fuzzer
from tests.conformance.fuzzing.subjects import SUBJECTS, Subject, running
from tests.conformance.fuzzing.vectors import FOLDER, write_vector
from tests.conformance.fuzzing.watching import Held

UPDATES = 100_000
HIGHEST_SEED = 1 << 32
EXAMPLES = 12
"""Of a round; loading turnout's own pipeline into the kernel takes a second, so there are fewer and longer ones."""


@dataclass(slots=True)
class Played:
    """One device, from the first round to the last."""

    subject: Subject
    fuzzer: Fuzzer
    held: Held | None = None
    """After its first round."""
    found: list[str] = field(default_factory=list[str])

    def round(self, number: int) -> None:
        is_slow = self.subject.name == "kernel-turnout"
        try:
            self.fuzzer.run(3 if is_slow else EXAMPLES, STEPS * 2 if is_slow else STEPS, seed_number=number)
        except DifferentError as difference:
            self._keep(f"{self.subject.name}-{number}", difference)
        if self.held is None:
            self.held = self.fuzzer.held()

    def _keep(self, name: str, difference: DifferentError) -> None:
        self.found.append(f"{name}: {str(difference).splitlines()[0]}")
        print(f"\n== {name}", *traceback.format_exception(difference), sep="\n", file=sys.stderr)
        if difference.story:
            path = FOLDER / f"{name}.txtpb"
            write_vector(path, self.subject.programs[0], str(difference), difference.story)
            print(f"kept as {path}", file=sys.stderr)

    def check_held(self) -> None:
        growth = None if self.held is None else self.fuzzer.held().growth_since(self.held)
        if growth is not None:
            self.found.append(f"{self.subject.name}: {growth}")

    def __str__(self) -> str:
        tally = self.fuzzer.driver.tally
        codes = ", ".join(f"{count:,} {code}" for code, count in tally.codes.most_common())
        sent = f"{tally.updates:,} updates in {tally.batches:,} batches, {tally.reads:,} reads"
        return f"{self.subject.name}: {sent}; {codes}"


def main() -> int:
    """1 when something was found."""
    wanted, first = int(os.environ.get("UPDATES", UPDATES)), _first_seed()
    print(f"seed {first}", flush=True)
    began_s, rounds = time.monotonic(), 0
    subjects = [subject for subject in SUBJECTS if subject.target != "kernel" or os.geteuid() == 0]
    with ExitStack() as stack:
        played = [Played(subject, fuzzer(stack.enter_context(running(subject)))) for subject in subjects]
        with suppress(KeyboardInterrupt):
            while _updates(played) < wanted:
                played[rounds % len(played)].round((first + rounds) % HIGHEST_SEED)
                rounds += 1
        for one in played:
            one.check_held()
            one.fuzzer.close()
    seconds = time.monotonic() - began_s
    batches = sum(one.fuzzer.driver.tally.batches for one in played)
    print(*played, sep="\n")
    print(f"{_updates(played):,} updates in {batches:,} batches, {rounds} rounds, {seconds:.0f} s")
    found = [line for one in played for line in one.found]
    print(*found, sep="\n")
    return 1 if found else 0


def _first_seed() -> int:
    given = os.environ.get("TURNOUT_SEED")
    return int(given) if given else secrets.randbelow(HIGHEST_SEED)


def _updates(played: list[Played]) -> int:
    return sum(one.fuzzer.driver.tally.updates for one in played)


if __name__ == "__main__":
    sys.exit(main())
