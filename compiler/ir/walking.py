"""Walks over expressions and statements, for who has to know something of a pipeline before it is run or printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from compiler.ir.expressions import (
    Binary,
    Concat,
    Const,
    Expr,
    Extend,
    FieldRef,
    Hash,
    IsValid,
    MetaRef,
    NetworkLength,
    Not,
    Now,
    ParamRef,
    Peek,
    Random,
    Slice,
)
from compiler.ir.nodes import Heat, Pipeline
from compiler.ir.statements import (
    Advance,
    Apply,
    Assign,
    Clone,
    Count,
    Drop,
    Execute,
    ExecuteDirect,
    Forward,
    If,
    Learn,
    Multicast,
    Pop,
    PopVlan,
    Punt,
    Push,
    PushVlan,
    Reply,
    Rewrite,
    Run,
    Seek,
    SendDigest,
    Statement,
    ToKernel,
    Truncate,
)


def parts(expr: Expr) -> tuple[Expr, ...]:
    """The operands of an expression."""
    match expr:
        case Not(operand=operand) | Slice(operand=operand) | Extend(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return left, right
        case Concat(parts=inner) | Hash(inputs=inner):
            return inner
        case Const() | FieldRef() | MetaRef() | ParamRef() | IsValid() | Now() | Random() | NetworkLength() | Peek():
            return ()
        case _:
            assert_never(expr)


def expressions(expr: Expr) -> Iterator[Expr]:
    """The expression and all inside it."""
    yield expr
    for part in parts(expr):
        yield from expressions(part)


def branches(statement: Statement) -> tuple[tuple[Statement, ...], ...]:
    """The bodies inside a statement."""
    match statement:
        case If(then=then, otherwise=otherwise):
            return then, otherwise
        case Apply(on_hit=on_hit, on_miss=on_miss):
            return on_hit, on_miss
        case Learn(on_full=on_full):
            return (on_full,)
        case Seek(on_other=on_other, on_none=on_none):
            return (on_other, on_none)
        case _:
            return ()


def statements(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """All statements of a body, outer ones first."""
    for statement in body:
        yield statement
        for branch in branches(statement):
            yield from statements(branch)


def all_statements(pipeline: Pipeline) -> Iterator[Statement]:
    """Those of all actions, then of all controls."""
    for part in (*pipeline.actions, *pipeline.controls):
        yield from statements(part.body)


def multicasts(pipeline: Pipeline) -> bool:
    """Whether packets may be sent to multicast groups."""
    return any(isinstance(statement, Multicast) for statement in all_statements(pipeline))


def clones(pipeline: Pipeline) -> bool:
    """Whether packets may be cloned."""
    return any(isinstance(statement, Clone) for statement in all_statements(pipeline))


def read_by(statement: Statement) -> tuple[Expr, ...]:
    """The expressions that a statement itself evaluates; those of tables and branches are theirs."""
    match statement:
        case Assign(value=value) | Forward(port=value) | PushVlan(vlan_id=value):
            return (value,)
        case Count(index=value) | Execute(index=value):
            return (value,)
        case Rewrite(changes=changes):
            return tuple(change.value for change in changes)
        case If(condition=condition):
            return (condition,)
        case Push(headers=headers):
            return tuple(value for header in headers for _, value in header.values)
        case Learn(arguments=arguments, profile=profile):
            return (*arguments, profile)
        case Seek(target=target):
            return (target,)
        case Punt(values=values) | SendDigest(values=values):
            return tuple(value for _, value in values)
        case Multicast(group=value, values=values) | Clone(session=value, values=values):
            return (value, *(said for _, said in values))
        case Apply(rarely=condition):
            return () if condition is None else (condition,)
        case Run() | Pop() | PopVlan() | Truncate() | Advance() | Reply() | ToKernel() | Drop():
            return ()
        case ExecuteDirect():
            return ()
        case _:
            assert_never(statement)


def hot_tables(pipeline: Pipeline) -> frozenset[str]:
    """Tables that a hot control asks: packets of known connections meet them."""
    return frozenset(
        s.table
        for control in pipeline.controls
        if control.heat is Heat.HOT
        for s in statements(control.body)
        if isinstance(s, Apply)
    )


def opening_tables(pipeline: Pipeline) -> frozenset[str]:
    """Tables that only the first packet of a connection asks: those behind a miss of a learned table."""
    controls = {control.name: control for control in pipeline.controls}
    learned = {table.name for table in pipeline.tables if table.store is not None}
    asked: set[str] = set()
    waiting, seen = [controls[pipeline.main].body], {pipeline.main}
    while waiting:
        for statement in waiting.pop():
            match statement:
                case Run(control=name) if name not in seen:
                    seen.add(name)
                    waiting.append(controls[name].body)
                case If(then=then, otherwise=otherwise):
                    waiting += (then, otherwise)
                case Apply(table=name, on_hit=on_hit, on_miss=on_miss):
                    asked.add(name)
                    waiting += (on_hit,) if name in learned else (on_hit, on_miss)
                case _:
                    pass
    return frozenset(table.name for table in pipeline.tables) - asked
