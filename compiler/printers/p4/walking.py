"""Every statement of a pipeline, in order, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.ir.expressions import Binary, Concat, Expr, Extend, Hash, Not, Slice
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import (
    Apply,
    Assign,
    Change,
    Count,
    Forward,
    If,
    Learn,
    Push,
    PushVlan,
    Rewrite,
    Statement,
)


def inner_blocks(statement: Statement) -> tuple[tuple[Statement, ...], ...]:
    """The statements that stand inside of one, block by block."""
    match statement:
        case If(then=then, otherwise=otherwise):
            return (then, otherwise)
        case Apply(on_hit=on_hit, on_miss=on_miss):
            return (on_hit, on_miss)
        case Learn(on_full=on_full):
            return (on_full,)
        case _:
            return ()


def blocks(pipeline: Pipeline) -> Iterator[tuple[Statement, ...]]:
    """Every block, the outer ones before those inside of them."""
    todo = [body.body for body in (*pipeline.controls, *pipeline.actions)]
    while todo:
        block = todo.pop(0)
        yield block
        todo[0:0] = [inner for statement in block for inner in inner_blocks(statement)]


def statements(pipeline: Pipeline) -> Iterator[Statement]:
    for block in blocks(pipeline):
        yield from block


def within(block: tuple[Statement, ...]) -> Iterator[Statement]:
    """The statements of a block and of the blocks inside of it."""
    for statement in block:
        yield statement
        for inner in inner_blocks(statement):
            yield from within(inner)


def expressions(statement: Statement) -> Iterator[Expr]:
    """The expressions that a statement itself evaluates, without those of inner blocks, taken apart."""
    for expr in _own(statement):
        yield from parts(expr)


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
        case Learn(arguments=arguments, profile=profile):
            return (*arguments, profile)
        case _:
            return ()


def _of_change(change: Change) -> tuple[Expr, Expr]:
    return (change.target, change.value)


def parts(expr: Expr) -> Iterator[Expr]:
    """An expression and all that it is made of."""
    yield expr
    match expr:
        case Not(operand=operand) | Slice(operand=operand) | Extend(operand=operand):
            yield from parts(operand)
        case Binary(left=left, right=right):
            yield from parts(left)
            yield from parts(right)
        case Concat(parts=inner) | Hash(inputs=inner):
            for part in inner:
                yield from parts(part)
        case _:
            pass
