"""Which parts of the printed C the present entries can reach: the values of its `uses_*` constants.

A walk over the controls that follows every branch that may be taken. Of metadata it knows one thing, whether it is
still 0; a table without entries is a miss; a store without a reachable `Learn` stays empty. What is not used gets 0 and
the verifier deletes it. Too many ones only cost instructions, so whatever is not known counts as used.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from compiler.ir.entries import Entries
from compiler.ir.expressions import Binary, Const, Expr, MetaRef, Not, Operator, width_bits
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Apply, Assign, Drop, Forward, If, Learn, Reply, Run, Statement, ToKernel
from compiler.printers.ebpf.structures import flag, flagged

Touched = frozenset[str]
"""Metadata that may differ from 0."""


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
        walk.control(pipeline.main, frozenset({"ingress_port"}))
        if frozenset(walk.learning) == learning:
            break
        learning = frozenset(walk.learning)
    used = filled | {names.tables[table].store or "" for table in learning}
    return {flag(name): int(name in used) for name in flagged(pipeline)}


class _Walk:
    """One pass over the controls; `learning` collects the learned tables that a packet may add to."""

    def __init__(self, names: Names, filled: frozenset[str], learning: frozenset[str]) -> None:
        self.names = names
        self.learning = set(learning)
        self._stores = {names.tables[table].store for table in learning}
        self._filled = filled

    def control(self, name: str, touched: Touched) -> Touched | None:
        """What may be touched behind a control; None when no packet comes out of it."""
        return self.body(self.names.controls[name].body, touched)

    def body(self, body: tuple[Statement, ...], touched: Touched) -> Touched | None:
        now: Touched | None = touched
        for statement in body:
            if now is None:
                return None
            now = self.statement(statement, now)
        return now

    def statement(self, statement: Statement, touched: Touched) -> Touched | None:
        match statement:
            case Assign(target=MetaRef(name=name), value=value):
                return touched - {name} if _value(value, touched) == 0 else touched | {name}
            case If(condition=condition, then=then, otherwise=otherwise):
                value = _value(condition, touched)
                taken = None if value == 0 else self.body(then, touched)
                return _either(taken, None if value == 1 else self.body(otherwise, touched))
            case Run(control=control):
                return self.control(control, touched)
            case Apply():
                return self._apply(statement, touched)
            case Learn(table=table, on_full=on_full):
                self.learning.add(table)
                return _either(touched, self.body(on_full, touched))
            case Forward() | Reply() | ToKernel() | Drop():
                return None
            case _:
                return touched

    def _apply(self, statement: Apply, touched: Touched) -> Touched | None:
        table = self.names.tables[statement.table]
        missed = self._action(table.default_action, touched)
        miss = None if missed is None else self.body(statement.on_miss, missed)
        if table.name not in self._filled and (table.store is None or table.store not in self._stores):
            return miss
        hit: Touched | None = None
        for other in (t for t in self.names.tables.values() if t is table or (t.store and t.store == table.store)):
            for ref in other.actions:
                hit = _either(hit, self._action(ref.name, touched)) if ref.in_entries else hit
        return _either(miss, None if hit is None else self.body(statement.on_hit, hit))

    def _action(self, name: str, touched: Touched) -> Touched | None:
        return self.body(self.names.actions[name].body, touched)


def _either(first: Touched | None, second: Touched | None) -> Touched | None:
    if first is None or second is None:
        return second if first is None else first
    return first | second


def _value(expr: Expr, touched: Touched) -> int | None:
    """The value of an expression when untouched metadata decides it, else None."""
    match expr:
        case Const(value=value):
            return value
        case MetaRef(name=name):
            return None if name in touched else 0
        case Not(operand=operand) if width_bits(operand) == 1:
            inner = _value(operand, touched)
            return None if inner is None else 1 - inner
        case Binary(operator=operator, left=left, right=right):
            return _decided(operator, _value(left, touched), _value(right, touched))
        case _:
            return None


def _decided(operator: Operator, left: int | None, right: int | None) -> int | None:
    if operator is Operator.AND and 0 in (left, right):
        return 0
    if left is None or right is None:
        return None
    match operator:
        case Operator.AND:
            return left & right
        case Operator.OR:
            return left | right
        case Operator.EQ:
            return int(left == right)
        case Operator.NE:
            return int(left != right)
        case _:
            return None
