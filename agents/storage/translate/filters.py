"""containerd's filters, as List takes them: `kind==active,labels."a.b"~=x.*`.

selectors := selector (',' selector)*; selector := field ('.' field)* [operator value]; operators are ==, != and ~=;
without one the field must be there. Fields and values may be quoted as Go does it. Several filters: any may match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from agents.storage.wire.snapshots import Info, InvalidSnapshotError

Filter = Callable[[Info], bool]

_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_QUOTED: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`')
_OPERATOR: Final = re.compile(r"[=!~]=")
_VALUE: Final = re.compile(r"[^\s,]+")
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\\"'])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))", re.DOTALL
)
_LETTERS: Final = dict(zip("abfnrtv\\\"'", "\a\b\f\n\r\t\v\\\"'", strict=True))


def parse_filters(texts: Sequence[str]) -> Filter:
    """Raises InvalidSnapshotError naming the filter and the place where it goes wrong."""
    filters = [_Parser(text).selectors() for text in texts]
    return lambda info: not filters or any(matches(info) for matches in filters)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def selectors(self) -> Filter:
        if not self._text:
            return lambda info: True  # noqa: ARG005
        found = [self._selector()]
        while self._take(","):
            found.append(self._selector())
        if self._at < len(self._text):
            raise self._error("expected ','")
        return lambda info: all(matches(info) for matches in found)

    def _selector(self) -> Filter:
        path = [self._field()]
        while self._take("."):
            path.append(self._field())
        if self._at == len(self._text) or self._text[self._at] == ",":
            return lambda info: _value_of(info, path) is not None
        operator = self._match(_OPERATOR, "==, != or ~=")
        value = self._quoted() if self._peek_quote() else self._match(_VALUE, "a value")
        return _compare(path, operator, value)

    def _field(self) -> str:
        return self._quoted() if self._peek_quote() else self._match(_FIELD, "a field")

    def _quoted(self) -> str:
        return unquoted(self._match(_QUOTED, "the end of the quoted text"), self._error)

    def _peek_quote(self) -> bool:
        return self._text[self._at : self._at + 1] in ('"', "`")

    def _take(self, sign: str) -> bool:
        if self._text[self._at : self._at + 1] != sign:
            return False
        self._at += 1
        return True

    def _match(self, pattern: re.Pattern[str], expected: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._error(f"expected {expected}")
        self._at = found.end()
        return found.group()

    def _error(self, what: str) -> InvalidSnapshotError:
        return InvalidSnapshotError(f"filter '{self._text}', column {self._at + 1}: {what}")


def unquoted(text: str, error: Callable[[str], InvalidSnapshotError]) -> str:
    """What a Go string literal stands for."""
    if text[0] == "`":
        return text[1:-1]
    out = bytearray()
    end = 0
    body = text[1:-1]
    for escape in _ESCAPE.finditer(body):
        out += body[end : escape.start()].encode() + _escaped(escape, error)
        end = escape.end()
    return (out + body[end:].encode()).decode(errors="replace")


def _escaped(escape: re.Match[str], error: Callable[[str], InvalidSnapshotError]) -> bytes:
    letter, byte, short, long, octal, other = escape.groups()
    if letter is not None:
        return _LETTERS[letter].encode()
    if other is not None:
        raise error(f"unknown escape '\\{other}'")
    if byte is not None or octal is not None:
        value = int(byte, 16) if byte is not None else int(octal, 8)
        if value > 255:
            raise error(f"'\\{octal}' is more than a byte")
        return bytes([value])
    point = int(short if short is not None else long, 16)
    if point > 0x10FFFF or 0xD800 <= point < 0xE000:
        raise error(f"{point:#x} is no character")
    return chr(point).encode()


def _compare(path: list[str], operator: str, value: str) -> Filter:
    """As containerd has it: a field that is not there is empty, and a pattern that is none matches nothing."""
    if operator == "==":
        return lambda info: _value_of(info, path) == value
    if operator == "!=":
        return lambda info: (_value_of(info, path) or "") != value
    try:
        pattern = re.compile(value)
    except re.error:
        return lambda info: False  # noqa: ARG005
    return lambda info: pattern.search(_value_of(info, path) or "") is not None


def _value_of(info: Info, path: list[str]) -> str | None:
    match path[0]:
        case "name":
            return info.name
        case "parent":
            return info.parent
        case "kind":
            return info.kind.name.lower()
        case "labels":
            return info.labels.get(".".join(path[1:]))
        case _:
            return None
