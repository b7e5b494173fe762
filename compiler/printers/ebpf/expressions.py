"""Expressions as C. Every value is held in the smallest type that its width fits, with zeros above the width.

128 bits are compared, copied, made of fewer, and cut into words for keys and hashes; the IR's other operators are for
64 at most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
from compiler.printers.layout_struct import number_size
from compiler.span import InternalError

WORD_BITS = 64
_CALL = re.compile(r"\w+\([^()]*(\([^()]*\)[^()]*)*\)")
_NAME = re.compile(r"\w+(->\w+)?(\.\w+)*")


def c_type(width: int) -> str:
    """The type that holds a value of this width."""
    size = number_size(width)
    return "struct u128" if size == 16 else f"u{8 * size}"


def number(value: int, width: int) -> str:
    """A constant; wide ones and those that look like masks or protocol numbers in hexadecimal."""
    if width > WORD_BITS:
        return f"(struct u128){{.high = {number(value >> 64, 64)}, .low = {number(value & (1 << 64) - 1, 64)}}}"
    text = str(value) if value < 256 else f"{value:#x}"
    return text + ("ull" if value >> 32 else "u" if value >> 31 else "")


def atom(text: str) -> str:
    """The text in parentheses, unless it is a name, a call or a number."""
    return text if _NAME.fullmatch(text) or _CALL.fullmatch(text) else f"({text})"


def header_constant(header: str) -> str:
    return f"HEADER_{header.upper()}"


def c(expr: Expr) -> str:
    """The C of an expression."""
    match expr:
        case Const(value=value, width_bits=width):
            return number(value, width)
        case FieldRef(header=header, name=name):
            return f"scratch->headers.{header}.{name}"
        case MetaRef(name=name):
            return f"scratch->meta.{name}"
        case ParamRef(name=name):
            return f"arguments->{name}"
        case Not(operand=operand):
            return _not(operand)
        case Binary():
            return _binary(expr)
        case Slice(operand=operand, high=high, low=low):
            return _shifted(operand, high, low)
        case Concat(parts=inner):
            return _concat(inner)
        case Extend(operand=operand, width_bits=width):
            return _wide(c(operand)) if width > WORD_BITS >= width_bits(operand) else c(operand)
        case IsValid(header=header):
            return f"has(scratch, {header_constant(header)})"
        case Hash(inputs=inputs, width_bits=width):
            return _masked(hash_of(inputs), width, 64)
        case Now():
            return "scratch->now_ms"
        case Random(width_bits=width):
            return _random(width)
        case NetworkLength():
            return "network_length(ctx, scratch)"
        case Peek():
            raise InternalError("Peek stands in a parser's select only")
        case _:
            assert_never(expr)


def _wide(low: str) -> str:
    """A number of 64 bits at most as one of 128."""
    return f"(struct u128){{.high = 0, .low = {low}}}"


def given(expr: Expr) -> str:
    """An expression as an argument: a wide one by pointer."""
    return passed(c(expr), width_bits(expr))


def passed(text: str, width: int) -> str:
    """The C of a value of some width as an argument."""
    return f"&{text}" if width > WORD_BITS else text


def words(inputs: Sequence[Expr]) -> tuple[str, ...]:
    """The inputs side by side in 64-bit words, as `compiler.ir.hashing.pack_words` lays them."""
    total = sum(width_bits(expr) for expr in inputs)
    count = -(-total // WORD_BITS)
    found: list[list[str]] = [[] for _ in range(count)]
    at = 0
    for expr in inputs:
        left = width_bits(expr)
        while left:
            word, used = divmod(at, WORD_BITS)
            take = min(left, WORD_BITS - used)
            found[word].append(_placed(expr, left - 1, left - take, WORD_BITS - used - take))
            left, at = left - take, at + take
    return tuple(" | ".join(part for part in parts if part) or "0" for parts in found)


def hash_of(inputs: Sequence[Expr]) -> str:
    """The 64 bits of `mix64` over the inputs."""
    state = "scratch->hash_seed"
    for word in words(inputs):
        state = f"mix64_word({state}, {word})"
    return f"mix64_final({state})"


def _placed(expr: Expr, high: int, low: int, shift: int) -> str:
    """Bits of an expression, shifted to their place in a 64-bit word; empty for a zero."""
    if isinstance(expr, Const):
        value = (expr.value >> low & (1 << high - low + 1) - 1) << shift
        return number(value, 64) if value else ""
    text = _shifted(expr, high, low)
    if width_bits(expr) <= 32 and shift:
        text = f"(u64){atom(text)}"
    elif shift:
        text = atom(text)
    return f"{text} << {shift}" if shift else atom(text) if " " in text else text


def _shifted(expr: Expr, high: int, low: int) -> str:
    """Bits `high` to `low` as a number."""
    width = width_bits(expr)
    if high == width - 1 and low == 0:
        return c(expr)
    if width > WORD_BITS:
        return _shifted_wide(c(expr), high, low)
    text = f"{atom(c(expr))} >> {low}" if low else c(expr)
    if high == width - 1:
        return text
    return f"{atom(text)} & {number((1 << high - low + 1) - 1, width)}"


def _shifted_wide(text: str, high: int, low: int) -> str:
    if high // WORD_BITS != low // WORD_BITS:
        return f"{text}.high << {WORD_BITS - low} | {text}.low >> {low}"
    word = f"{text}.{'high' if low >= WORD_BITS else 'low'}"
    high, low = high % WORD_BITS, low % WORD_BITS
    shifted = f"{word} >> {low}" if low else word
    return shifted if high == WORD_BITS - 1 else f"{atom(shifted)} & {number((1 << high - low + 1) - 1, 64)}"


def _masked(text: str, width: int, held: int) -> str:
    """A number of `held` bits cut to `width`."""
    if width >= held:
        return text
    if width in (8, 16, 32):
        return f"(u{width}){atom(text)}"
    return f"{atom(text)} & {number((1 << width) - 1, width)}"


def _narrow(expr: Expr) -> int:
    width = width_bits(expr)
    if width > WORD_BITS:
        raise InternalError("the eBPF target computes with 64 bits at most")
    return width


def _not(operand: Expr) -> str:
    width = _narrow(operand)
    if width == 1:
        return f"!{atom(c(operand))}"
    return _masked(f"~{atom(c(operand))}", width, 64)


_C_OPERATORS = {Operator.AND: "&&", Operator.OR: "||"}


def _binary(expr: Binary) -> str:
    operator, left, right = expr.operator, expr.left, expr.right
    if width_bits(left) > WORD_BITS:
        return _compared_wide(operator, left, right)
    width = width_bits(expr)
    if width == 1 and operator in _C_OPERATORS:
        return f" {_C_OPERATORS[operator]} ".join(_condition(side, operator) for side in (left, right))
    if operator.is_comparison:
        return _compared(operator, left, right)
    text = f"{atom(c(left))} {operator.value} {atom(c(right))}"
    if operator in (Operator.ADD, Operator.SUB, Operator.SHL):
        return _masked(text, width, 32 if width == 32 and _is_u32(left) and _is_u32(right) else 64)
    return text


def _is_u32(expr: Expr) -> bool:
    """Whether C computes with 32 bits of an expression that has as many. A slice of 64 bits has their type."""
    return isinstance(expr, Const | FieldRef | MetaRef | ParamRef | Binary)


def _condition(expr: Expr, outside: Operator) -> str:
    """A side of && or ||."""
    text = c(expr)
    if isinstance(expr, Binary) and (expr.operator is outside or expr.operator.is_comparison):
        return text
    return text if text.startswith("!") else atom(text)


def _compared(operator: Operator, left: Expr, right: Expr) -> str:
    text = c(left)
    if width_bits(left) == 1 and isinstance(right, Const):
        return text if (operator is Operator.EQ) == bool(right.value) else f"!{atom(text)}"
    if isinstance(left, Binary) and right == Const(value=0, width_bits=width_bits(right)):
        if operator is Operator.NE:
            return text
        if operator is Operator.EQ:
            return f"!{atom(text)}"
    return f"{atom(text)} {operator.value} {atom(c(right))}"


def _compared_wide(operator: Operator, left: Expr, right: Expr) -> str:
    if operator not in (Operator.EQ, Operator.NE):
        raise InternalError("the eBPF target compares 128 bits for equality only")
    text = f"is_equal_u128({given(left)}, {given(right)})"
    return text if operator is Operator.EQ else f"!{text}"


def _concat(parts: tuple[Expr, ...]) -> str:
    left = sum(width_bits(part) for part in parts)
    if left > WORD_BITS:
        raise InternalError("the eBPF target puts 64 bits side by side at most")
    kind, found = c_type(left), list[str]()
    for part in parts:
        left -= width_bits(part)
        if not (isinstance(part, Const) and part.value == 0):
            found.append(f"({kind}){atom(c(part))} << {left}" if left else c(part))
    return " | ".join(found) or "0"


def _random(width: int) -> str:
    if width > 32:
        raise InternalError("the eBPF target draws 32 random bits at most")
    return _masked("drawn()", width, 32)
