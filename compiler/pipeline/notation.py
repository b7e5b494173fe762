"""A short way to write the IR in Python: `meta("leg")`, `eq(a, b)`, `when(condition, ...)`.

Widths come from the declarations in `compiler.pipeline.headers` and `compiler.pipeline.metadata`, spans from the line
that calls. Nothing here has a meaning of its own; each function makes one IR node.
"""

from __future__ import annotations

import sys
from pathlib import Path

from compiler.ir.expressions import (
    Binary,
    Const,
    Expr,
    FieldRef,
    Hash,
    IsValid,
    MetaRef,
    NetworkLength,
    Not,
    Now,
    Operator,
    ParamRef,
    Peek,
    Random,
    Slice,
    width_bits,
)
from compiler.ir.statements import (
    Advance,
    Apply,
    Assign,
    Change,
    Count,
    Drop,
    ExecuteDirect,
    Forward,
    If,
    Learn,
    Pop,
    PopVlan,
    Push,
    PushedHeader,
    PushVlan,
    Reply,
    Rewrite,
    Run,
    Seek,
    Statement,
    ToKernel,
    Truncate,
)
from compiler.pipeline.headers import FIELD_WIDTHS
from compiler.pipeline.metadata import METADATA_WIDTHS
from compiler.span import InternalError, Span

Value = Expr | int
_ROOT = Path(__file__).resolve().parents[2]


def here(depth: int = 2) -> Span:
    """The span of the line `depth` calls up, its path relative to the project."""
    frame = sys._getframe(depth)  # pyright: ignore[reportPrivateUsage]
    path = Path(frame.f_code.co_filename)
    shown = path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path
    return Span(path=str(shown), line=frame.f_lineno)


def const(value: int, width: int) -> Const:
    return Const(value=value, width_bits=width, span=here())


def meta(name: str) -> MetaRef:
    return MetaRef(name=name, width_bits=METADATA_WIDTHS[name], span=here())


def field(path: str) -> FieldRef:
    """A header field by its path, as in `ipv4.dst`."""
    header, _, name = path.partition(".")
    return FieldRef(header=header, name=name, width_bits=FIELD_WIDTHS[header][name], span=here())


def param(name: str, width: int) -> ParamRef:
    return ParamRef(name=name, width_bits=width, span=here())


def valid(header: str) -> IsValid:
    return IsValid(header=header, span=here())


def bits(operand: Expr, high: int, low: int) -> Slice:
    return Slice(operand=operand, high=high, low=low, span=here())


def peek(offset: int, width: int) -> Peek:
    return Peek(offset_bits=offset, width_bits=width, span=here())


def hashed(width: int, *inputs: Expr) -> Hash:
    return Hash(inputs=inputs, width_bits=width, span=here())


def drawn(width: int) -> Random:
    return Random(width_bits=width, span=here())


def now() -> Now:
    return Now(span=here())


def network_length() -> NetworkLength:
    return NetworkLength(span=here())


def negate(operand: Expr) -> Not:
    return Not(operand=operand, span=here())


def _as_expr(value: Value, width: int, span: Span) -> Expr:
    return Const(value=value, width_bits=width, span=span) if isinstance(value, int) else value


def _binary(operator: Operator, left: Expr, right: Value) -> Binary:
    span = here(3)
    return Binary(operator=operator, left=left, right=_as_expr(right, width_bits(left), span), span=span)


def eq(left: Expr, right: Value) -> Binary:
    return _binary(Operator.EQ, left, right)


def ne(left: Expr, right: Value) -> Binary:
    return _binary(Operator.NE, left, right)


def le(left: Expr, right: Value) -> Binary:
    return _binary(Operator.LE, left, right)


def lt(left: Expr, right: Value) -> Binary:
    return _binary(Operator.LT, left, right)


def gt(left: Expr, right: Value) -> Binary:
    return _binary(Operator.GT, left, right)


def add(left: Expr, right: Value) -> Binary:
    return _binary(Operator.ADD, left, right)


def sub(left: Expr, right: Value) -> Binary:
    return _binary(Operator.SUB, left, right)


def bit_and(left: Expr, right: Value) -> Binary:
    return _binary(Operator.AND, left, right)


def bit_or(left: Expr, right: Value) -> Binary:
    return _binary(Operator.OR, left, right)


def all_of(first: Expr, *rest: Expr) -> Expr:
    """Conjunction of conditions of width 1."""
    for other in rest:
        first = Binary(operator=Operator.AND, left=first, right=other, span=here())
    return first


def any_of(first: Expr, *rest: Expr) -> Expr:
    """Disjunction of conditions of width 1."""
    for other in rest:
        first = Binary(operator=Operator.OR, left=first, right=other, span=here())
    return first


def assign(target: MetaRef | FieldRef, value: Value) -> Assign:
    span = here()
    return Assign(target=target, value=_as_expr(value, target.width_bits, span), span=span)


def rewrite(*changes: tuple[FieldRef, Value]) -> Rewrite:
    span = here()
    made = tuple(Change(target=t, value=_as_expr(v, t.width_bits, span)) for t, v in changes)
    return Rewrite(changes=made, span=span)


def when(condition: Expr, *then: Statement, otherwise: tuple[Statement, ...] = ()) -> If:
    return If(condition=condition, then=then, otherwise=otherwise, span=here())


def apply(
    table: str,
    *,
    on_hit: tuple[Statement, ...] = (),
    on_miss: tuple[Statement, ...] = (),
    rarely: Expr | None = None,
) -> Apply:
    return Apply(table=table, on_hit=on_hit, on_miss=on_miss, rarely=rarely, span=here())


def run(control: str) -> Run:
    return Run(control=control, span=here())


def pushed(header: str, **values: Value) -> PushedHeader:
    """A header to push; numbers take the width of their field."""
    widths, span = FIELD_WIDTHS[header], here()
    unknown = values.keys() - widths.keys()
    if unknown:
        raise InternalError(f"{span}: header {header} has no field {', '.join(sorted(unknown))}")
    return PushedHeader(header=header, values=tuple((n, _as_expr(v, widths[n], span)) for n, v in values.items()))


def push(*headers: PushedHeader) -> Push:
    return Push(headers=headers, span=here())


def pop(*headers: str) -> Pop:
    return Pop(headers=headers, span=here())


def push_vlan(vlan_id: Expr) -> PushVlan:
    return PushVlan(vlan_id=vlan_id, span=here())


def pop_vlan() -> PopVlan:
    return PopVlan(span=here())


def truncate(header: str, keep_bytes: int) -> Truncate:
    return Truncate(header=header, keep_bytes=keep_bytes, span=here())


def learn(
    table: str,
    action: str,
    *arguments: Expr,
    profile: Expr,
    on_full: tuple[Statement, ...] = (),
    renews: bool = False,
    counted: bool = False,
) -> Learn:
    return Learn(
        table=table,
        action=action,
        arguments=arguments,
        profile=profile,
        on_full=on_full,
        renews=renews,
        counted=counted,
        span=here(),
    )


def seek(
    table: str,
    target: MetaRef,
    *,
    first: int,
    tries: int,
    on_other: tuple[Statement, ...] = (),
    on_none: tuple[Statement, ...] = (),
) -> Seek:
    return Seek(table=table, target=target, first=first, tries=tries, on_other=on_other, on_none=on_none, span=here())


def advance(event: str) -> Advance:
    return Advance(event=event, span=here())


def count(counter: str, index: Expr) -> Count:
    return Count(counter=counter, index=index, span=here())


def execute_direct(target: MetaRef) -> ExecuteDirect:
    return ExecuteDirect(target=target, span=here())


def forward(port: Expr) -> Forward:
    return Forward(port=port, span=here())


def reply() -> Reply:
    return Reply(span=here())


def to_kernel() -> ToKernel:
    return ToKernel(span=here())


def drop(reason: str) -> Drop:
    return Drop(reason=reason, span=here())
