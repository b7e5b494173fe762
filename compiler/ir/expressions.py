"""Expressions of the pipeline: unsigned bit vectors whose widths are always explicit.

Rules every consumer obeys (interpreter, P4, C): both operands of an operator have one width; `Extend` and `Slice` are
the only ways to another width; `ADD` and `SUB` wrap; shifts are by constants below the width; comparisons have width 1,
and width 1 is also what a condition has. There is no division and no signed value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from compiler.span import NOWHERE, Span


class Operator(Enum):
    """A binary operator, named as the text form prints it."""

    ADD = "+"
    SUB = "-"
    AND = "&"
    OR = "|"
    XOR = "^"
    SHL = "<<"
    SHR = ">>"
    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="

    @property
    def is_comparison(self) -> bool:
        return self in (Operator.EQ, Operator.NE, Operator.LT, Operator.LE, Operator.GT, Operator.GE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Const:
    """A number; 0 <= value < 2**width_bits."""

    value: int
    width_bits: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRef:
    """A field of a header that must be valid on every path that reaches the expression."""

    header: str
    name: str
    width_bits: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaRef:
    """A metadata field: zero at the start of each packet, but for `ingress_port`, which the target sets."""

    name: str
    width_bits: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamRef:
    """A parameter of the action that the expression stands in."""

    name: str
    width_bits: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """Bitwise complement; at width 1 the logical not."""

    operand: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """`left operator right`. For SHL and SHR the right side is a Const, of any width."""

    operator: Operator
    left: Expr
    right: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Bits `high` down to `low` of the operand, both included, bit 0 the least significant."""

    operand: Expr
    high: int
    low: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """The parts side by side, the first one most significant."""

    parts: tuple[Expr, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend:
    """The operand with zeros added on the left, up to `width_bits`."""

    operand: Expr
    width_bits: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IsValid:
    """1 while the header is part of the packet."""

    header: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hash:
    """`mix64` over the inputs with the target's seed (see `compiler.ir.hashing`), the lowest `width_bits` of it.

    A P4 target uses an algorithm of its own instead, so nothing but spreading may depend on the value.
    """

    inputs: tuple[Expr, ...]
    width_bits: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """Milliseconds of the target's clock, 64 bits."""

    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """A fresh number from the target's random source."""

    width_bits: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLength:
    """Bytes of the IP packet as the wire will carry it, 16 bits: IPv4 total length, IPv6 payload length + 40.

    The sum wraps. A packet that awaits segmentation (GSO) counts as its largest segment; one of SCTP as 0, whose
    segments are what its sender made them. One of `ipv4`, `ipv6` must be valid.
    """

    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peek:
    """Bits ahead of the parser's cursor, not consumed; stands only in a parser's select.

    `offset_bits` counts from the cursor in wire order. A packet too short for it is left untouched.
    """

    offset_bits: int
    width_bits: int
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Expr = (
    Const
    | FieldRef
    | MetaRef
    | ParamRef
    | Not
    | Binary
    | Slice
    | Concat
    | Extend
    | IsValid
    | Hash
    | Now
    | Random
    | NetworkLength
    | Peek
)


def width_bits(expr: Expr) -> int:
    """The width of an expression's value."""
    match expr:
        case Const() | FieldRef() | MetaRef() | ParamRef() | Extend() | Hash() | Random() | Peek():
            return expr.width_bits
        case Not(operand=operand):
            return width_bits(operand)
        case Binary(operator=operator, left=left):
            return 1 if operator.is_comparison else width_bits(left)
        case Slice(high=high, low=low):
            return high - low + 1
        case Concat(parts=parts):
            return sum(width_bits(part) for part in parts)
        case IsValid():
            return 1
        case Now():
            return 64
        case NetworkLength():
            return 16
        case _:
            assert_never(expr)
