"""Which parts of the printed C the present entries can reach: the values of its `uses_*` constants.

A table without entries is a miss; a store without a reachable `Learn` stays empty. What is not used gets 0 and the
verifier deletes it. Too many ones only cost instructions, so whatever is not known counts as used.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from compiler.ir.entries import Entries
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Learn, Statement
from compiler.ir.tables import Table
from compiler.printers.ebpf.structures import flag, flagged
from compiler.printers.reaching import INTRINSIC, Touched, Walk


def features(pipeline: Pipeline, entries: Entries) -> Mapping[str, int]:
    """The constants by name, 1 or 0, for a device that holds these entries."""
    return features_of_tables(pipeline, frozenset(entry.table for entry in entries.table_entries))


@lru_cache(maxsize=64)
def features_of_tables(pipeline: Pipeline, filled: frozenset[str]) -> Mapping[str, int]:
    """The same by the tables that hold any entry; a learned one may hold entries that no service would learn now."""
    names = Names(pipeline)
    learning = frozenset(table for table in filled if names.tables[table].store is not None)
    while True:
        walk = _Walk(names, filled, learning)
        walk.control(pipeline.main, INTRINSIC)
        if frozenset(walk.learning) == learning:
            break
        learning = frozenset(walk.learning)
    used = filled | {names.tables[table].store or "" for table in learning}
    return {flag(name): int(name in used) for name in flagged(pipeline)}


class _Walk(Walk):
    """`learning` collects the learned tables that a packet may add to."""

    def __init__(self, names: Names, filled: frozenset[str], learning: frozenset[str]) -> None:
        super().__init__(names)
        self.learning = set(learning)
        self._stores = {names.tables[table].store for table in learning}
        self._filled = filled

    def statement(self, statement: Statement, touched: Touched) -> Touched | None:
        if isinstance(statement, Learn):
            self.learning.add(statement.table)
        return super().statement(statement, touched)

    def has_entries(self, table: Table) -> bool:
        return table.name in self._filled or (table.store is not None and table.store in self._stores)
