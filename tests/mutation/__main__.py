"""Runs mutants and says which check caught each, and how many of each kind are caught.

python -m tests.mutation                       all, which takes hours
python -m tests.mutation --count 100           the first so many of each kind
python -m tests.mutation --kind interpreter
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from concurrent.futures import as_completed

from tests.mutation.catalogue import all_mutants, shown
from tests.mutation.equivalents import equivalent_of
from tests.mutation.judging import Fate, judges, submitted
from tests.mutation.mutant import Kind, Mutant


def main() -> int:
    options = _options()
    kinds = [kind for kind in Kind if options.kind in ("all", kind.name.lower())]
    taken = [mutant for kind in kinds for mutant in all_mutants(kind)[options.skip :][: options.count]]
    mutants = [mutant for mutant in taken if equivalent_of(mutant) is None]
    print(f"{len(taken) - len(mutants)} of {len(taken)} are listed as changing nothing", flush=True)
    fates: Counter[tuple[Kind, Fate]] = Counter()
    with judges(options.jobs) as pool:
        running = {future: mutant for mutant, future in submitted(pool, mutants, on_interpreter=options.on_interpreter)}
        for future in as_completed(running):
            judgement = future.result()
            fates[judgement.kind, judgement.fate] += 1
            print(judgement, flush=True)
            if judgement.fate is Fate.SURVIVED:
                print(_indented(running[future]), flush=True)
    for kind in kinds:
        print(_score(kind, fates))
    return 1 if any(fate is Fate.SURVIVED for _, fate in fates) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Run mutants.")
    parser.add_argument("--kind", choices=["all", *(kind.name.lower() for kind in Kind)], default="all")
    parser.add_argument("--count", type=int, default=None, help="so many of each kind")
    parser.add_argument("--skip", type=int, default=0, help="so many of each kind have been run before")
    parser.add_argument(
        "--on-interpreter", action="store_true", help="run the pipeline's mutants without compiling them"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def _indented(mutant: Mutant) -> str:
    return "\n".join(f"    {line}" for line in shown(mutant).splitlines())


def _score(kind: Kind, fates: Counter[tuple[Kind, Fate]]) -> str:
    caught, survived = fates[kind, Fate.CAUGHT], fates[kind, Fate.SURVIVED]
    refused, same = fates[kind, Fate.REFUSED], fates[kind, Fate.SAME]
    return (
        f"{kind.value}: {caught} of {caught + survived} caught; besides {refused} that nobody can run "
        f"and {same} that are the same program"
    )


if __name__ == "__main__":
    sys.exit(main())
