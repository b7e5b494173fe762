"""Reads expressions. Widths of fields, metadata and parameters come from the declarations read before."""

from __future__ import annotations

from collections.abc import Mapping

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
from compiler.ir.text.expression_text import CHAINED, SHIFTS
from compiler.ir.text.tokens import MAX_NESTING, Cursor, TokenKind
from compiler.span import Span

_OPERATORS = {operator.value: operator for operator in Operator}
_FUNCTIONS = ("concat", "extend", "hash", "network_length", "now", "peek", "random", "valid")


class ExpressionReader:
    """`fields` has the widths of each header's fields, `digests` of theirs; so `metadata`, `params`, `packet_in`."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.fields: dict[str, dict[str, int]] = {}
        self.metadata: dict[str, int] = {}
        self.params: Mapping[str, int] = {}
        self.packet_in: Mapping[str, int] = {}
        self.digests: dict[str, Mapping[str, int]] = {}

    def read(self, expected_bits: int | None = None) -> Expr:
        """`expected_bits` is the width of a number that says none."""
        cursor, terms = self.cursor, 1
        left = self._operand(expected_bits)
        chained: Operator | None = None
        while (operator := self._operator()) is not None:
            if chained is not None and (operator is not chained or operator not in CHAINED):
                cursor.refuse(f"{chained.value} and then {operator.value} need parentheses")
            terms += 1
            if terms > MAX_NESTING:
                cursor.refuse(f"more than {MAX_NESTING} terms in a row")
            span = cursor.span()
            cursor.advance()
            right = self._operand(None if operator in SHIFTS else width_bits(left))
            left, chained = Binary(operator=operator, left=left, right=right, span=span), operator
        return left

    def read_list(self) -> tuple[Expr, ...]:
        """Expressions with commas between, in parentheses; none at all too."""
        self.cursor.take("(")
        if self.cursor.take_if(")"):
            return ()
        found = self.read_bare_list()
        self.cursor.take(")")
        return found

    def read_bare_list(self) -> tuple[Expr, ...]:
        found = [self.read()]
        while self.cursor.take_if(","):
            found.append(self.read())
        return tuple(found)

    def read_field(self) -> FieldRef | MetaRef | ParamRef:
        """`header.field`, `meta.name` or `param.name`."""
        cursor, span = self.cursor, self.cursor.span()
        owner = cursor.name("a field or metadata")
        cursor.take(".")
        place = cursor.span()
        name = cursor.name()
        match owner:
            case "meta":
                return MetaRef(
                    name=name, width_bits=self._width("metadata field", name, self.metadata, place), span=span
                )
            case "param":
                return ParamRef(name=name, width_bits=self._width("parameter", name, self.params, place), span=span)
            case _:
                if owner not in self.fields:
                    cursor.refuse_unknown("header", owner, self.fields, span)
                width = self._width(f"field of header {owner}", name, self.fields[owner], place)
                return FieldRef(header=owner, name=name, width_bits=width, span=span)

    def _width(self, kind: str, name: str, declared: Mapping[str, int], span: Span) -> int:
        if name not in declared:
            self.cursor.refuse_unknown(kind, name, declared, span)
        return declared[name]

    def _operator(self) -> Operator | None:
        token = self.cursor.token
        return _OPERATORS.get(token.text) if token.kind is TokenKind.SIGN else None

    def _operand(self, expected_bits: int | None) -> Expr:
        """An operand with the slices behind it."""
        cursor, span = self.cursor, self.cursor.span()
        with cursor.nested():
            if cursor.take_if("!") or cursor.take_if("~"):
                return Not(operand=self._operand(expected_bits), span=span)
            expr = self._primary(expected_bits)
        while cursor.take_if("["):
            high = cursor.number()
            cursor.take(":")
            low = cursor.number()
            cursor.take("]")
            expr = Slice(operand=expr, high=high, low=low, span=span)
        return expr

    def _primary(self, expected_bits: int | None) -> Expr:
        cursor = self.cursor
        if cursor.token.kind is TokenKind.NUMBER:
            return self._number(expected_bits)
        if cursor.take_if("("):
            expr = self.read()
            cursor.take(")")
            return expr
        if cursor.token.kind is not TokenKind.NAME:
            cursor.expected("an expression")
        return self.read_field() if cursor.following.text == "." else self._function()

    def _number(self, expected_bits: int | None) -> Const:
        cursor, span = self.cursor, self.cursor.span()
        value = cursor.number()
        if cursor.take_if(":"):
            return Const(value=value, width_bits=cursor.number("a width"), span=span)
        if expected_bits is None:
            cursor.refuse(f"{value} needs its width here", span=span, hint=f"write {value}:16 for 16 bits")
        return Const(value=value, width_bits=expected_bits, span=span)

    def _function(self) -> Expr:
        cursor, span = self.cursor, self.cursor.span()
        name = cursor.name()
        match name:
            case "concat":
                return Concat(parts=self.read_list(), span=span)
            case "hash":
                width = self._bits()
                return Hash(inputs=self.read_list(), width_bits=width, span=span)
            case "random":
                width = self._bits()
                self._end_empty()
                return Random(width_bits=width, span=span)
            case "now":
                self._end_empty()
                return Now(span=span)
            case "network_length":
                self._end_empty()
                return NetworkLength(span=span)
            case "extend" | "peek" | "valid":
                cursor.take("(")
                expr = self._argument(name, span)
                cursor.take(")")
                return expr
            case _:
                return cursor.refuse_unknown("function", name, _FUNCTIONS, span)

    def _argument(self, function: str, span: Span) -> Expr:
        cursor = self.cursor
        if function == "valid":
            return IsValid(header=cursor.name("a header"), span=span)
        if function == "extend":
            operand = self.read()
            cursor.take(",")
            return Extend(operand=operand, width_bits=cursor.number("a width"), span=span)
        offset = cursor.number()
        cursor.take(",")
        return Peek(offset_bits=offset, width_bits=cursor.number("a width"), span=span)

    def _bits(self) -> int:
        self.cursor.take(":")
        return self.cursor.number("a width")

    def _end_empty(self) -> None:
        self.cursor.take("(")
        self.cursor.take(")")
