"""All mutants of each kind, in an order whose beginning is spread over places and kinds of fault.

A mutant's turn is drawn from its name and the seed: the same on every machine, and a change elsewhere leaves most of
the order as it was.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache

from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline
from compiler.printers.ebpf.printing import INCLUDE
from runtime.verification.levels import small
from tests.mutation.c_faults import c_mutants
from tests.mutation.code_faults import MODULES, code_mutants, source_tree
from tests.mutation.mutant import PRINTED, ChangedPipeline, CodeMutant, Kind, Mutant, PipelineMutant
from tests.mutation.objects import text_of
from tests.mutation.pipeline_faults import is_possible, pipeline_mutants

SEED = "turnout"
SLOTS = 16
"""So few that connections push each other out."""
NOT_RUN = frozenset({"trace.h", "flow_before.h", "rings.h"})
"""Empty unless somebody looks; run only where a store has another layout than before, and by devices alone, which no
check has."""


@cache
def source() -> Pipeline:
    """The pipeline that mutants are made of."""
    return small(pipeline(), SLOTS)


@cache
def all_mutants(kind: Kind) -> tuple[Mutant, ...]:
    """By kind, in the order in which they are chosen from."""
    return tuple(_spread(sorted(_made(kind), key=_turn)))


def shown(mutant: Mutant) -> str:
    """The lines that differ."""
    match mutant:
        case CodeMutant():
            return mutant.shown(source_tree(mutant.module))
        case PipelineMutant() | ChangedPipeline():
            return mutant.shown(source())
        case _:
            return mutant.shown(text_of(mutant.file, source()))


def is_worth_running(mutant: Mutant) -> bool:
    return not isinstance(mutant, PipelineMutant) or is_possible(mutant, source())


def _made(kind: Kind) -> Iterator[Mutant]:
    match kind:
        case Kind.PIPELINE:
            yield from pipeline_mutants(source())
        case Kind.C:
            yield from c_mutants(PRINTED, text_of(PRINTED, source()))
            for header in sorted({path.name for path in (INCLUDE / "turnout").glob("*.h")} - NOT_RUN):
                yield from c_mutants(header, text_of(header, source()))
        case Kind.INTERPRETER:
            for module in MODULES:
                yield from code_mutants(module)


def _turn(mutant: Mutant) -> bytes:
    return hashlib.sha256(f"{SEED} {mutant.name}".encode()).digest()


def _spread(mutants: Sequence[Mutant]) -> Iterator[Mutant]:
    """In rounds: in each, every place once, the faults that had the fewest turns first."""
    faults: Counter[str] = Counter()
    left: list[Mutant] = list(mutants)
    while left:
        first = {place_of(mutant): mutant for mutant in reversed(left)}
        left = [mutant for mutant in left if first[place_of(mutant)] is not mutant]
        turn = [mutant for mutant in mutants if first.get(place_of(mutant)) is mutant]
        while turn:
            mutant = min(turn, key=lambda each: faults[fault_of(each)])
            faults[fault_of(mutant)] += 1
            turn.remove(mutant)
            yield mutant


def place_of(mutant: Mutant) -> str:
    return mutant.name.partition(": ")[0]


def fault_of(mutant: Mutant) -> str:
    return mutant.name.partition(": ")[2].rpartition(" ")[0]
