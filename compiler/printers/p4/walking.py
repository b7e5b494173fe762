"""Every statement of a pipeline, in order, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.ir import walking
from compiler.ir.expressions import Expr
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import (
    Assign,
    Change,
    Count,
    Execute,
    ExecuteDirect,
    Forward,
    If,
    Learn,
    Push,
    PushVlan,
    Rewrite,
    Statement,
)
from compiler.ir.walking import branches


def blocks(pipeline: Pipeline) -> Iterator[tuple[Statement, ...]]:
    """Every block, the outer ones before those inside of them."""
    todo = [body.body for body in (*pipeline.controls, *pipeline.actions)]
    while todo:
        block = todo.pop(0)
        yield block
        todo[0:0] = [inner for statement in block for inner in branches(statement)]


def statements(pipeline: Pipeline) -> Iterator[Statement]:
    for block in blocks(pipeline):
        yield from block


def expressions(statement: Statement) -> Iterator[Expr]:
    """The expressions that a statement itself evaluates, without those of inner blocks, taken apart."""
    for expr in _own(statement):
        yield from walking.expressions(expr)


def _own(statement: Statement) -> tuple[Expr, ...]:
    match statement:
        case Assign(target=target, value=value):
            return (target, value)
        case Rewrite(changes=changes):
            return tuple(expr for change in changes for expr in _of_change(change))
        case If(condition=condition):
            return (condition,)
        case Push(headers=headers):
            return tuple(value for header in headers for _, value in header.values)
        case PushVlan(vlan_id=expr) | Count(index=expr) | Forward(port=expr):
            return (expr,)
        case Execute(index=expr, target=target):
            return (target, expr)
        case ExecuteDirect(target=target):
            return (target,)
        case Learn(arguments=arguments, profile=profile):
            return (*arguments, profile)
        case _:
            return ()


def _of_change(change: Change) -> tuple[Expr, Expr]:
    return (change.target, change.value)
