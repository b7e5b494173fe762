"""Expressions as text.

A number carries its width, `5:16`, unless the place it stands in says the width: the other side of an operator, or what
it is assigned to. Operators have no precedence: two different ones in a row need parentheses.
"""

from __future__ import annotations

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
    Operator,
    ParamRef,
    Peek,
    Random,
    Slice,
    width_bits,
)

CHAINED = (Operator.ADD, Operator.AND, Operator.OR, Operator.XOR)
"""Operators that may follow themselves without parentheses, from left to right."""
SHIFTS = (Operator.SHL, Operator.SHR)


def number_text(value: int) -> str:
    return str(value) if value < 256 else hex(value)


def expression_text(expr: Expr, expected_bits: int | None = None) -> str:
    """`expected_bits` is the width that the reader knows from the place, if it does."""
    match expr:
        case Const(value=value, width_bits=width):
            return number_text(value) if width == expected_bits else f"{number_text(value)}:{width}"
        case Binary():
            return _binary_text(expr)
        case FieldRef(header=header, name=name):
            return f"{header}.{name}"
        case MetaRef(name=name):
            return f"meta.{name}"
        case ParamRef(name=name):
            return f"param.{name}"
        case Not(operand=operand):
            return f"{'!' if width_bits(operand) == 1 else '~'}{_operand_text(operand)}"
        case Slice(operand=operand, high=high, low=low):
            text = expression_text(operand)
            return f"({text})[{high}:{low}]" if isinstance(operand, Binary | Not) else f"{text}[{high}:{low}]"
        case Concat(parts=parts):
            return f"concat({list_text(parts)})"
        case Extend(operand=operand, width_bits=width):
            return f"extend({expression_text(operand)}, {width})"
        case IsValid(header=header):
            return f"valid({header})"
        case Hash(inputs=inputs, width_bits=width):
            return f"hash:{width}({list_text(inputs)})"
        case Now():
            return "now()"
        case Random(width_bits=width):
            return f"random:{width}()"
        case NetworkLength():
            return "network_length()"
        case Peek(offset_bits=offset, width_bits=width):
            return f"peek({offset}, {width})"
        case _:
            assert_never(expr)


def list_text(expressions: tuple[Expr, ...]) -> str:
    return ", ".join(expression_text(expr) for expr in expressions)


def _operand_text(expr: Expr, expected_bits: int | None = None) -> str:
    text = expression_text(expr, expected_bits)
    return f"({text})" if isinstance(expr, Binary) else text


def _binary_text(expr: Binary) -> str:
    operator, left = expr.operator, expr.left
    is_chain = isinstance(left, Binary) and left.operator is operator and operator in CHAINED
    left_text = expression_text(left) if is_chain else _operand_text(left)
    expected = None if operator in SHIFTS else width_bits(left)
    return f"{left_text} {operator.value} {_operand_text(expr.right, expected)}"
