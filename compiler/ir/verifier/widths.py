"""Expressions one by one: names resolve, widths agree, constants fit. Where headers are valid is left to `paths`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from compiler.diagnostic import Report, did_you_mean
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
    Operator,
    ParamRef,
    Peek,
    Random,
    Slice,
    width_bits,
)
from compiler.ir.names import Names
from compiler.ir.verifier import codes
from compiler.span import Span

_SHIFTS = (Operator.SHL, Operator.SHR)


@dataclass(frozen=True, slots=True)
class Expressions:
    """Checks expressions of one place: the parameters that may be read there, and whether `Peek` may."""

    names: Names
    report: Report
    params: Mapping[str, int] = field(default_factory=lambda: {})
    may_peek: bool = False

    def check_width(self, expr: Expr, wanted: int, what: str) -> None:
        """Check the expression and that it is so wide."""
        self.check(expr)
        width = width_bits(expr)
        if width != wanted:
            self.report.add(codes.WIDTH, expr.span, f"{what} is {width} bits wide", expected=f"{wanted} bits")

    def check(self, expr: Expr) -> None:
        match expr:
            case Const(value=value, width_bits=width):
                if width < 1 or not 0 <= value < 1 << width:
                    self.report.add(codes.BAD_CONSTANT, expr.span, f"{value} does not fit into {width} bits")
            case FieldRef():
                self._check_field(expr)
            case MetaRef(name=name, width_bits=width):
                declared = {n: f.width_bits for n, f in self.names.metadata.items()}
                self._check_reference("metadata field", name, width, declared, expr.span)
            case ParamRef(name=name, width_bits=width):
                if name not in self.params:
                    self.report.add(codes.FOREIGN_PARAM, expr.span, f"there is no parameter '{name}' here")
                else:
                    self._check_reference("parameter", name, width, self.params, expr.span)
            case Not(operand=operand):
                self.check(operand)
            case Binary():
                self._check_binary(expr)
            case Slice():
                self._check_slice(expr)
            case Concat(parts=parts):
                self._check_parts(parts, "a concatenation", expr.span)
            case Extend(operand=operand, width_bits=width):
                self.check(operand)
                if width < width_bits(operand):
                    message = f"{width_bits(operand)} bits are extended to {width}"
                    self.report.add(codes.WIDTH, expr.span, message)
            case IsValid(header=header):
                self.check_header(header, expr.span)
            case Hash(inputs=inputs, width_bits=width):
                self._check_parts(inputs, "a hash", expr.span)
                self._check_bits(width, 64, expr.span)
            case Random(width_bits=width):
                self._check_bits(width, 64, expr.span)
            case NetworkLength():
                for name, length in (("ipv4", "total_length"), ("ipv6", "payload_length")):
                    if name in self.names.headers:
                        self._check_field(FieldRef(header=name, name=length, width_bits=16, span=expr.span))
            case Peek(offset_bits=offset, width_bits=width):
                if not self.may_peek:
                    self.report.add(codes.MISPLACED_PEEK, expr.span, "only a parser's select may look ahead")
                if offset < 0 or width < 1:
                    self.report.add(codes.BAD_SLICE, expr.span, f"{width} bits from {offset} on are no bits ahead")
            case Now():
                pass
            case _:
                assert_never(expr)

    def check_header(self, header: str, span: Span) -> bool:
        """Whether the header is declared."""
        if header in self.names.headers:
            return True
        hint = did_you_mean(header, self.names.headers)
        self.report.add(codes.UNKNOWN_NAME, span, f"there is no header '{header}'", hint=hint)
        return False

    def _check_field(self, ref: FieldRef) -> None:
        if self.check_header(ref.header, ref.span):
            fields = {f.name: f.width_bits for f in self.names.header_types[ref.header].fields}
            self._check_reference(f"field of header {ref.header}", ref.name, ref.width_bits, fields, ref.span)

    def _check_reference(self, kind: str, name: str, width: int, declared: Mapping[str, int], span: Span) -> None:
        if name not in declared:
            hint = did_you_mean(name, declared)
            self.report.add(codes.UNKNOWN_NAME, span, f"there is no {kind} '{name}'", hint=hint)
        elif declared[name] != width:
            message = f"{kind} {name} is {declared[name]} bits wide, the reference says {width}"
            self.report.add(codes.WIDTH, span, message)

    def _check_parts(self, parts: tuple[Expr, ...], what: str, span: Span) -> None:
        if not parts:
            self.report.add(codes.WIDTH, span, f"{what} of nothing has no bits")
        for part in parts:
            self.check(part)

    def _check_bits(self, width: int, most: int, span: Span) -> None:
        if not 1 <= width <= most:
            self.report.add(codes.WIDTH, span, f"{width} bits are asked for", expected=f"1 to {most} bits")

    def _check_binary(self, expr: Binary) -> None:
        self.check(expr.left)
        self.check(expr.right)
        left, right = width_bits(expr.left), width_bits(expr.right)
        if expr.operator in _SHIFTS:
            if not isinstance(expr.right, Const):
                self.report.add(codes.BAD_SHIFT, expr.span, "the distance of a shift is not a constant")
            elif expr.right.value >= left:
                message = f"{left} bits are shifted by {expr.right.value}"
                self.report.add(codes.BAD_SHIFT, expr.span, message)
        elif left != right:
            message = f"the sides of {expr.operator.value} are {left} and {right} bits wide"
            self.report.add(codes.WIDTH, expr.span, message, hint="use Extend or Slice")

    def _check_slice(self, expr: Slice) -> None:
        self.check(expr.operand)
        width = width_bits(expr.operand)
        if not 0 <= expr.low <= expr.high < width:
            message = f"bits {expr.high} to {expr.low} are taken of {width}"
            self.report.add(codes.BAD_SLICE, expr.span, message)
