"""The words of the text form, and the cursor that a reader moves over them."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from compiler.diagnostic import Code, Diagnostic, did_you_mean
from compiler.ir.verifier.codes import SYNTAX, UNKNOWN_NAME
from compiler.span import Span

MAX_NESTING = 64
"""Deeper blocks and longer expressions are refused, so that no text can exhaust the stack of what walks the tree."""


class TextError(Exception):
    """A text that is no pipeline: its first mistake."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(str(diagnostic))
        self.diagnostic = diagnostic


class TokenKind(Enum):
    NAME = "a name"
    NUMBER = "a number"
    STRING = "a string"
    SIGN = "a sign"
    DOC = "a doc comment"
    END = "the end of the text"


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str
    line: int
    column: int

    def __str__(self) -> str:
        return self.kind.value if self.kind in (TokenKind.END, TokenKind.DOC) else f"'{self.text}'"


_PATTERN = re.compile(
    r"(?P<space>[ \t\r]+)|(?P<newline>\n)|///(?P<doc>[^\n]*)|(?P<comment>//[^\n]*)"
    r"|(?P<number>0x[0-9a-fA-F]+|[0-9]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r'|(?P<string>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<sign>&&&|->|<<|>>|==|!=|<=|>=|\.\.|[-+&|^<>=!~(){}\[\],:./])"
)
_KINDS = {
    "doc": TokenKind.DOC,
    "number": TokenKind.NUMBER,
    "name": TokenKind.NAME,
    "string": TokenKind.STRING,
    "sign": TokenKind.SIGN,
}


def tokens_of(text: str, path: str) -> tuple[Token, ...]:
    """The tokens, an END last. Raises `TextError`."""
    found: list[Token] = []
    position, line, line_start = 0, 1, 0
    while position < len(text):
        column = position - line_start + 1
        match = _PATTERN.match(text, position)
        if match is None:
            span = Span(path=path, line=line, column=column)
            message = f"{text[position]!r} begins no word of the text form"
            raise TextError(Diagnostic(code=SYNTAX, message=message, span=span))
        group = match.lastgroup or "doc"
        position = match.end()
        if group == "newline":
            line, line_start = line + 1, position
        elif group in _KINDS:
            found.append(Token(_KINDS[group], match.group(group), line, column))
    found.append(Token(TokenKind.END, "", line, position - line_start + 1))
    return tuple(found)


class Cursor:
    """Reads tokens one by one. Whatever is not as expected raises `TextError`."""

    def __init__(self, text: str, path: str) -> None:
        self._path = path
        self._tokens = tokens_of(text, path)
        self._next = 0
        self._depth = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._next]

    @property
    def following(self) -> Token:
        """The token behind the next one."""
        return self._tokens[min(self._next + 1, len(self._tokens) - 1)]

    def span(self) -> Span:
        """Where the next token is."""
        token = self.token
        return self.span_of(token)

    def span_of(self, token: Token) -> Span:
        end = token.column + max(1, len(token.text))
        return Span(path=self._path, line=token.line, column=token.column, end_line=token.line, end_column=end)

    def refuse(
        self, message: str, *, span: Span | None = None, code: Code = SYNTAX, hint: str | None = None
    ) -> NoReturn:
        raise TextError(Diagnostic(code=code, message=message, span=span or self.span(), hint=hint))

    def refuse_unknown(self, kind: str, name: str, known: Iterable[str], span: Span) -> NoReturn:
        known = tuple(known)
        message = f"there is no {kind} '{name}' up to here"
        self.refuse(message, span=span, code=UNKNOWN_NAME, hint=did_you_mean(name, known))

    def expected(self, what: str) -> NoReturn:
        self.refuse(f"expected {what}, found {self.token}")

    @contextmanager
    def nested(self) -> Generator[None]:
        """What is read inside stands one level deeper."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            self.refuse(f"more than {MAX_NESTING} levels are nested")
        try:
            yield
        finally:
            self._depth -= 1

    def advance(self) -> Token:
        token = self.token
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def is_at(self, text: str) -> bool:
        """Whether the next token is this name or sign."""
        return self.token.kind in (TokenKind.NAME, TokenKind.SIGN) and self.token.text == text

    def take_if(self, text: str) -> bool:
        if self.is_at(text):
            self.advance()
            return True
        return False

    def take(self, text: str) -> None:
        if not self.take_if(text):
            self.expected(f"'{text}'")

    def name(self, what: str = "a name") -> str:
        if self.token.kind is not TokenKind.NAME:
            self.expected(what)
        return self.advance().text

    def names(self) -> tuple[str, ...]:
        """One name or more, commas between."""
        found = [self.name()]
        while self.take_if(","):
            found.append(self.name())
        return tuple(found)

    def number(self, what: str = "a number") -> int:
        if self.token.kind is not TokenKind.NUMBER:
            self.expected(what)
        return int(self.advance().text, 0) if self.token.text.startswith("0x") else int(self.advance().text)

    def string(self, what: str = "a string") -> str:
        if self.token.kind is not TokenKind.STRING:
            self.expected(f"{what} in quotes")
        span, token = self.span(), self.advance()
        try:
            return json.loads(token.text)
        except ValueError:
            return self.refuse(f"{token} is no string", span=span)

    def doc(self) -> str:
        """The doc comment that stands here, if any."""
        lines: list[str] = []
        while self.token.kind is TokenKind.DOC:
            lines.append(self.advance().text.removeprefix(" "))
        return "\n".join(lines)
