"""Expressions of the IR as P4 expressions.

P4 tells `bool` from `bit<1>`: a width of 1 is printed as a condition where P4 wants one and as a number elsewhere.
What P4 knows only as a statement (a hash, a random number) goes in front of the statement, into `prelude`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
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
from compiler.ir.names import Names
from compiler.printers.p4.identifiers import Identifiers, Scope
from compiler.span import InternalError

_IPV6_HEADER_BYTES = 40
_LOGICAL = {Operator.AND: "&&", Operator.OR: "||"}
AHEAD = "ahead"
"""The parser's local with the bits ahead of its cursor."""


def number(value: int, width: int) -> str:
    """Small numbers in decimal, others in hexadecimal over their whole width."""
    return str(value) if value < 256 else f"0x{value:0{(width + 3) // 4}x}"


def sized(value: int, width: int) -> str:
    """A literal that carries its width."""
    return f"{width}w{number(value, width)}"


class ExpressionPrinter(ABC):
    """Prints the expressions of one block, which is `action` or a control."""

    def __init__(self, names: Names, ids: Identifiers, scope: Scope, action: str = "") -> None:
        self.names = names
        self.ids = ids
        self.scope = scope
        self.action = action
        self.ahead_bits = 0
        self.prelude: list[str] = []
        """Statements to print before the one that the expression stands in."""
        self.instances: dict[str, str] = {}
        """Declarations that the block needs, by what they declare."""

    @abstractmethod
    def hash(self, expr: Hash) -> str: ...

    @abstractmethod
    def now(self, expr: Now) -> str: ...

    @abstractmethod
    def random(self, expr: Random) -> str: ...

    def field(self, header: str, name: str) -> str:
        type_name = self.names.headers[header].type
        return f"hdr.{self.ids.headers[header]}.{self.ids.fields[type_name, name]}"

    def meta(self, name: str) -> str:
        return f"meta.{self.ids.metadata[name]}"

    def is_valid(self, header: str) -> str:
        return f"hdr.{self.ids.headers[header]}.isValid()"

    def condition(self, expr: Expr) -> str:
        """An expression of width 1 as a P4 `bool`."""
        match expr:
            case IsValid(header=header):
                return self.is_valid(header)
            case Not(operand=operand):
                return f"!{self._guarded(operand)}"
            case Binary(operator=operator, left=left, right=right) if operator.is_comparison:
                return f"{self._operand(left)} {operator.value} {self._plain(right)}"
            case Binary(operator=operator) if operator in _LOGICAL:
                return f" {_LOGICAL[operator]} ".join(self._guarded(part, operator) for part in _chain(expr, operator))
            case Const(value=value):
                return "true" if value else "false"
            case _:
                return f"{self._operand(expr)} == 1"

    def _guarded(self, expr: Expr, within: Operator | None = None) -> str:
        """A condition, in parentheses where it stands next to another operator that would take part of it."""
        text = self.condition(expr)
        is_logical = isinstance(expr, Binary) and expr.operator in _LOGICAL
        is_single = isinstance(expr, (IsValid, Const)) or (within is not None and not is_logical)
        return text if is_single else f"({text})"

    def value(self, expr: Expr) -> str:
        """An expression where P4 knows the width from the other side: an assignment, an argument."""
        return self._plain(expr)

    def sized(self, expr: Expr) -> str:
        """An expression that carries its width by itself: an element of a list."""
        return sized(expr.value, expr.width_bits) if isinstance(expr, Const) else self._plain(expr)

    def operand(self, expr: Expr) -> str:
        """An expression behind a cast, in parentheses where the cast would take only its first part."""
        return self._operand(expr)

    def _plain(self, expr: Expr) -> str:
        match expr:
            case Const(value=value, width_bits=width):
                return number(value, width)
            case FieldRef(header=header, name=name):
                return self.field(header, name)
            case MetaRef(name=name):
                return self.meta(name)
            case ParamRef(name=name):
                return self._param(name)
            case IsValid():
                return f"(bit<1>){self.condition(expr)}"
            case Not(operand=operand):
                return f"~{self._operand(operand)}"
            case Binary():
                return self._binary(expr)
            case Slice(operand=operand, high=high, low=low):
                return f"{self._operand(operand)}[{high}:{low}]"
            case Concat(parts=parts):
                return " ++ ".join(self._operand(part) for part in parts)
            case Extend(operand=operand, width_bits=width):
                return f"(bit<{width}>){self._operand(operand)}"
            case _:
                return self._environment(expr)

    def _param(self, name: str) -> str:
        param = next(one for one in self.names.actions[self.action].params if one.name == name)
        own = self.ids.params[self.action, name]
        return f"(bit<{param.width_bits}>){own}" if param.type else own

    def _binary(self, expr: Binary) -> str:
        if expr.operator.is_comparison or (expr.operator in _LOGICAL and width_bits(expr) == 1):
            return f"(bit<1>)({self.condition(expr)})"
        return f"{self._operand(expr.left)} {expr.operator.value} {self._second(expr.right)}"

    def _second(self, expr: Expr) -> str:
        """A right side: a number takes the width of the left side."""
        return self._plain(expr) if isinstance(expr, Const) else self._operand(expr)

    def _operand(self, expr: Expr) -> str:
        text = self.sized(expr)
        is_cast = isinstance(expr, ParamRef) and text.startswith("(")
        is_loose = is_cast or isinstance(expr, (Binary, Concat, Not, Extend, IsValid, NetworkLength, Now))
        return f"({text})" if is_loose else text

    def _environment(self, expr: Hash | Now | Random | NetworkLength | Peek) -> str:
        match expr:
            case Hash():
                return self.hash(expr)
            case Now():
                return self.now(expr)
            case Random():
                return self.random(expr)
            case NetworkLength():
                return self._network_length()
            case Peek(offset_bits=offset, width_bits=width):
                if not self.ahead_bits:
                    raise InternalError(f"{expr.span}: a peek outside of the parser")
                high = self.ahead_bits - offset - 1
                return f"{AHEAD}[{high}:{high - width + 1}]"
            case _:
                assert_never(expr)

    def _network_length(self) -> str:
        ipv4, ipv6 = self.field("ipv4", "total_length"), self.field("ipv6", "payload_length")
        return f"{self.is_valid('ipv4')} ? {ipv4} : {ipv6} + {_IPV6_HEADER_BYTES}"


def _chain(expr: Expr, operator: Operator) -> tuple[Expr, ...]:
    """`a && b && c` as (a, b, c)."""
    if isinstance(expr, Binary) and expr.operator is operator:
        return (*_chain(expr.left, operator), expr.right)
    return (expr,)
