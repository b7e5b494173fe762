"""A walk over the controls that follows every branch that a packet may take.

Of metadata it knows one thing, whether it is still 0; of headers, where that is told, which ones the packet has.
Called for what the present entries can reach (`features`) and for which kinds of packets have a fast path.
"""

from __future__ import annotations

from compiler.ir.expressions import Binary, Const, Expr, IsValid, MetaRef, Not, Operator, width_bits
from compiler.ir.names import Names
from compiler.ir.statements import (
    Apply,
    Assign,
    Drop,
    Execute,
    ExecuteDirect,
    Forward,
    If,
    Learn,
    Multicast,
    Punt,
    Reply,
    Run,
    Seek,
    Statement,
    ToKernel,
)
from compiler.ir.tables import Table

Touched = frozenset[str]
"""Metadata that may differ from 0."""
INTRINSIC: Touched = frozenset({"ingress_port"})


class Walk:
    """One pass. `valid` are the headers of the packet, None when it may be any."""

    def __init__(self, names: Names, valid: frozenset[str] | None = None) -> None:
        self.names = names
        self._valid = valid

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
                return touched - {name} if self._value(value, touched) == 0 else touched | {name}
            case Execute(target=MetaRef(name=name)) | ExecuteDirect(target=MetaRef(name=name)):
                return touched | {name}
            case If(condition=condition, then=then, otherwise=otherwise):
                value = self._value(condition, touched)
                taken = None if value == 0 else self.body(then, touched)
                return either(taken, None if value == 1 else self.body(otherwise, touched))
            case Run(control=control):
                return self.control(control, touched)
            case Apply():
                return self._apply(statement, touched)
            case Learn(on_full=on_full):
                return either(touched, self.body(on_full, touched))
            case Seek(table=table, target=MetaRef(name=name)):
                if not self.has_entries(self.names.tables[table]):
                    return touched
                changed = touched | {name}
                other = either(self.body(statement.on_other, changed), self.body(statement.on_none, changed))
                return either(touched, other)
            case Forward() | Reply() | ToKernel() | Drop() | Punt() | Multicast():
                return None
            case _:
                return touched

    def has_entries(self, table: Table) -> bool:
        """Whether the table may have any."""
        _ = table
        return True

    def _apply(self, statement: Apply, touched: Touched) -> Touched | None:
        table = self.names.tables[statement.table]
        missed: Touched | None = None
        for name in table.default_actions:
            missed = either(missed, self._action(name, touched))
        miss = None if missed is None else self.body(statement.on_miss, missed)
        if not self.has_entries(table):
            return miss
        hit: Touched | None = None
        for other in (t for t in self.names.tables.values() if t is table or (t.store and t.store == table.store)):
            for ref in other.actions:
                hit = either(hit, self._action(ref.name, touched)) if ref.in_entries else hit
        return either(miss, None if hit is None else self.body(statement.on_hit, hit))

    def _action(self, name: str, touched: Touched) -> Touched | None:
        return self.body(self.names.actions[name].body, touched)

    def _value(self, expr: Expr, touched: Touched) -> int | None:
        """The value of an expression when untouched metadata and the headers decide it, else None."""
        match expr:
            case Const(value=value):
                return value
            case MetaRef(name=name):
                return None if name in touched else 0
            case IsValid(header=header):
                return None if self._valid is None else int(header in self._valid)
            case Not(operand=operand) if width_bits(operand) == 1:
                inner = self._value(operand, touched)
                return None if inner is None else 1 - inner
            case Binary(operator=operator, left=left, right=right):
                return _decided(operator, self._value(left, touched), self._value(right, touched))
            case _:
                return None


def either(first: Touched | None, second: Touched | None) -> Touched | None:
    """What may be touched behind one of two ways."""
    if first is None or second is None:
        return second if first is None else first
    return first | second


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
