"""Which mutants run every time: the first that can run and are not known to change nothing."""

from __future__ import annotations

from itertools import islice

from tests.mutation.catalogue import all_mutants, is_worth_running
from tests.mutation.equivalents import equivalent_of
from tests.mutation.mutant import Kind, Mutant


def chosen(kind: Kind, count: int) -> tuple[Mutant, ...]:
    wanted = (m for m in all_mutants(kind) if is_worth_running(m) and equivalent_of(m) is None)
    return tuple(islice(wanted, count))
