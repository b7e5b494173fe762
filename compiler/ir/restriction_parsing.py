"""Reads restrictions (`compiler.ir.restrictions`), and says where a text is none of its table or action."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NoReturn, TypeAlias

from compiler.ir.expressions import width_bits
from compiler.ir.restrictions import PARTS, PRIORITY, Clause, Numbers, Restriction, Test, Values
from compiler.ir.tables import Action, MatchKind, Table

Operand: TypeAlias = Callable[[Values], Numbers]
_TOKEN = re.compile(
    r"(?P<space>\s+|//[^\n]*)|(?P<literal>(?:ipv4|ipv6|mac)\('[^'\n]*'\))"
    r"|(?P<number>0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|[0-9]+)"
    r"|(?P<name>(?:[A-Za-z_][A-Za-z0-9_.]*)?::[a-z_]+|[A-Za-z_][A-Za-z0-9_.]*)"
    r"|(?P<sign>&&|\|\||->|==|!=|<=|>=|[<>!();-])"
)
_COMPARISONS: Mapping[str, Callable[[Numbers, Numbers], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class RestrictionError(Exception):
    """A text that is no restriction of what it stands at; `line` and `column` count from 1 within it."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line, self.column = line, column


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a restriction is of, in the words for its refusals."""

    name: str
    instances: str
    keys: tuple[tuple[str, MatchKind, int], ...]
    noun: str
    has_priority: bool = False


def restriction(text: str, table: Table) -> Restriction:
    """Of a table's entries. Raises `RestrictionError`."""
    keys = tuple((key.name, key.match, width_bits(key.expr)) for key in table.keys)
    return _read(text, _Subject(f"table {table.name}", "entries", keys, "key", table.has_priority))


def action_restriction(text: str, action: Action) -> Restriction:
    """Of an action's arguments. Raises `RestrictionError`."""
    keys = tuple((param.name, MatchKind.EXACT, param.width_bits) for param in action.params)
    return _read(text, _Subject(f"action {action.name}", "calls", keys, "parameter"))


def _read(text: str, subject: _Subject) -> Restriction:
    return Restriction(subject.keys, _Parser(text, subject).clauses())


def _as_whole(kind: MatchKind, width: int, value: int) -> Numbers:
    """A number as a key of several parts that matches nothing else."""
    match kind:
        case MatchKind.TERNARY | MatchKind.OPTIONAL:
            return value, (1 << width) - 1
        case MatchKind.LPM:
            return value, width
        case MatchKind.RANGE:
            return value, value
        case MatchKind.EXACT:
            return (value,)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class _Term:
    """Something to compare. `key` is the kind and width of a whole key of several parts."""

    operand: Operand
    names: tuple[str, ...]
    key: tuple[MatchKind, int] | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class _Condition:
    holds: Test
    names: tuple[str, ...] = ()


class _Parser:
    def __init__(self, text: str, subject: _Subject) -> None:
        self._text, self._subject = text, subject
        self._keys = {name: (kind, width) for name, kind, width in subject.keys}
        self._tokens = self._tokenize()
        self._next = 0

    def clauses(self) -> tuple[Clause, ...]:
        found: list[Clause] = []
        while self._token.kind != "end":
            found += self._conjunction()
            if self._token.kind != "end":
                self._take(";")
        return tuple(found)

    def _conjunction(self) -> list[Clause]:
        """A condition; where it is an "and" of several, each by itself, so that a refusal says which one."""
        start = self._next
        clauses: list[Clause] = []
        while True:
            first = self._token.at
            condition = self._comparison_or_group()
            clauses.append(Clause(self._text_from(first), condition.names, condition.holds))
            if not self._take_if("&&"):
                break
        if self._token.text in ("||", "->"):
            self._next = start
            first = self._token.at
            condition = self._implication()
            return [Clause(self._text_from(first), condition.names, condition.holds)]
        return clauses

    def _implication(self) -> _Condition:
        left = self._chain("||", lambda: self._chain("&&", self._comparison_or_group, every=True), every=False)
        if not self._take_if("->"):
            return left
        right = self._implication()
        return _Condition(lambda v: not left.holds(v) or right.holds(v), _merged(left.names, right.names))

    def _chain(self, sign: str, inner: Callable[[], _Condition], *, every: bool) -> _Condition:
        parts = [inner()]
        while self._take_if(sign):
            parts.append(inner())
        if len(parts) == 1:
            return parts[0]
        combine = all if every else any
        return _Condition(lambda v: combine(p.holds(v) for p in parts), _merged(*(p.names for p in parts)))

    def _comparison_or_group(self) -> _Condition:
        if self._take_if("!"):
            inner = self._comparison_or_group()
            return _Condition(lambda v: not inner.holds(v), inner.names)
        if self._token.text in ("true", "false"):
            value = self._advance().text == "true"
            return _Condition(lambda _: value)
        if self._take_if("("):
            inner = self._implication()
            self._take(")")
            return inner
        return self._comparison()

    def _comparison(self) -> _Condition:
        left = self._term()
        sign = self._token
        compare = _COMPARISONS.get(sign.text)
        if compare is None:
            self._refuse(f"expected a comparison, found {_shown(sign)}", sign)
        self._advance()
        right = self._term()
        if sign.text not in ("==", "!=") and (left.key or right.key):
            self._refuse(f"'{sign.text}' compares numbers, and a key of several parts is none", sign)
        if left.key and right.key and left.key != right.key:
            self._refuse("two keys that are not of one kind and width are compared", sign)
        one, other = _fitted(left, right.key), _fitted(right, left.key)
        if len(one.names) + len(other.names) and bool(left.key) != bool(right.key) and not _is_number(left, right):
            self._refuse("a key of several parts is compared with a number that is not written here", sign)
        return _Condition(lambda v: compare(one.operand(v), other.operand(v)), _merged(one.names, other.names))

    def _term(self) -> _Term:
        token = self._advance()
        if token.text == "-":
            inner = self._term()
            if inner.number is None:
                self._refuse("'-' stands before a number", token)
            return _number(-inner.number)
        if token.kind == "number":
            return _number(int(token.text) if token.text.isdigit() else int(token.text, 0))
        if token.kind == "literal":
            return _number(self._literal(token))
        if token.kind != "name":
            self._refuse(f"expected a {self._subject.noun} or a number, found {_shown(token)}", token)
        return self._name(token)

    def _name(self, token: _Token) -> _Term:
        name, _, part = token.text.partition("::")
        subject = self._subject
        if not name:
            if token.text != PRIORITY:
                self._refuse(f"{subject.instances} have no attribute '{token.text}', only {PRIORITY}", token)
            if not subject.has_priority:
                self._refuse(f"{subject.instances} of {subject.name} have no priority", token)
            return _Term(lambda v: v[PRIORITY], (PRIORITY,))
        if name not in self._keys:
            self._refuse(f"{subject.name} has no {subject.noun} '{name}', only {', '.join(self._keys)}", token)
        kind, width = self._keys[name]
        parts = PARTS[kind]
        if part and part not in parts:
            matched = f"{subject.noun} {name} is matched {kind.value}" if subject.noun == "key" else f"parameter {name}"
            self._refuse(f"{matched}: it has no '{part}', only {', '.join(parts)}", token)
        if part or len(parts) == 1:
            named = token.text if part else f"{name}::value"
            return _Term(lambda v: v[named], (named,))
        return _Term(lambda v: v[name], tuple(f"{name}::{one}" for one in parts), (kind, width))

    def _literal(self, token: _Token) -> int:
        kind, _, rest = token.text.partition("('")
        text = rest[:-2]
        try:
            if kind == "mac":
                pieces = text.split(":")
                if len(pieces) != 6 or not all(re.fullmatch("[0-9a-fA-F]{2}", piece) for piece in pieces):
                    self._refuse(f"'{text}' is no MAC address", token)
                return int("".join(pieces), 16)
            return int(IPv4Address(text) if kind == "ipv4" else IPv6Address(text))
        except ValueError as problem:
            self._refuse(str(problem), token)

    # tokens

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _advance(self) -> _Token:
        token = self._token
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _take_if(self, text: str) -> bool:
        if self._token.kind == "sign" and self._token.text == text:
            self._advance()
            return True
        return False

    def _take(self, text: str) -> None:
        if not self._take_if(text):
            self._refuse(f"expected '{text}', found {_shown(self._token)}", self._token)

    def _text_from(self, start: int) -> str:
        """What was read since, on one line."""
        last = self._tokens[self._next - 1]
        return " ".join(self._text[start : last.at + len(last.text)].split())

    def _tokenize(self) -> list[_Token]:
        found: list[_Token] = []
        at = 0
        while at < len(self._text):
            match = _TOKEN.match(self._text, at)
            if match is None:
                self._refuse(f"{self._text[at]!r} begins no word", _Token("", "", at))
            if match.lastgroup != "space":
                found.append(_Token(match.lastgroup or "", match.group(), at))
            at = match.end()
        found.append(_Token("end", "", at))
        return found

    def _refuse(self, message: str, token: _Token) -> NoReturn:
        before = self._text[: token.at]
        raise RestrictionError(message, before.count("\n") + 1, token.at - before.rfind("\n"))


def _number(value: int) -> _Term:
    return _Term(lambda _: (value,), (), None, value)


def _is_number(left: _Term, right: _Term) -> bool:
    """Whether what is compared with a key of several parts is written as a number."""
    return (right if left.key else left).number is not None


def _fitted(term: _Term, other: tuple[MatchKind, int] | None) -> _Term:
    if term.number is None or other is None:
        return term
    whole = _as_whole(*other, term.number)
    return _Term(lambda _: whole, ())


def _merged(*names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for some in names for name in some))


def _shown(token: _Token) -> str:
    return "the end" if token.kind == "end" else f"'{token.text}'"
