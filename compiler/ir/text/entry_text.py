"""Entries that a table has from the start, as text: written and read."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.ir.entries import ActionCall, Exact, Lpm, MatchValue, Optional, Range, Ternary
from compiler.ir.expressions import width_bits
from compiler.ir.tables import InitialEntry, Key, MatchKind, Table
from compiler.ir.text.expression_text import number_text
from compiler.ir.text.statement_text import INDENT
from compiler.ir.text.tokens import Cursor

_ANY = "_"


def entries_lines(table: Table) -> Iterator[str]:
    yield "const entries {" if table.has_const_entries else "entries {"
    for entry in table.entries:
        const = "const " if entry.is_const and not table.has_const_entries else ""
        values = ", ".join(_match_text(match, key) for match, key in zip(entry.matches, table.keys, strict=True))
        priority = f" priority {entry.priority}" if entry.priority else ""
        yield f"{INDENT}{const}{values}{priority} -> {call_text(entry.action)}"
    yield "}"


def call_text(call: ActionCall) -> str:
    return f"{call.action}({', '.join(map(number_text, call.arguments))})"


def _match_text(match: MatchValue, key: Key) -> str:
    match match:
        case Exact(value=value):
            return number_text(value)
        case Lpm(value=value, prefix_len=prefix_len):
            return f"{number_text(value)} / {prefix_len}" if prefix_len else _ANY
        case Ternary(value=value, mask=mask):
            return f"{number_text(value)} &&& {number_text(mask)}" if mask else _ANY
        case Range(low=low, high=high):
            return _ANY if (low, high) == _whole(key) else f"{number_text(low)} .. {number_text(high)}"
        case Optional(value=value):
            return _ANY if value is None else number_text(value)


def _whole(key: Key) -> tuple[int, int]:
    return 0, (1 << width_bits(key.expr)) - 1


def read_entries(cursor: Cursor, keys: tuple[Key, ...], *, all_const: bool) -> tuple[InitialEntry, ...]:
    """Behind the word `entries`."""
    cursor.take("{")
    found: list[InitialEntry] = []
    while not cursor.take_if("}"):
        found.append(_read_entry(cursor, keys, all_const=all_const))
    return tuple(found)


def _read_entry(cursor: Cursor, keys: tuple[Key, ...], *, all_const: bool) -> InitialEntry:
    span, is_const = cursor.span(), cursor.take_if("const") or all_const
    matches: list[MatchValue] = []
    for at, key in enumerate(keys):
        if at:
            cursor.take(",")
        matches.append(_read_match(cursor, key))
    priority = cursor.number("a priority") if cursor.take_if("priority") else 0
    cursor.take("->")
    name = cursor.name("an action")
    call = ActionCall(action=name, arguments=read_arguments(cursor))
    return InitialEntry(matches=tuple(matches), action=call, priority=priority, is_const=is_const, span=span)


def read_arguments(cursor: Cursor) -> tuple[int, ...]:
    """Numbers in parentheses, if any stand here."""
    found: list[int] = []
    if cursor.take_if("("):
        while not cursor.take_if(")"):
            if found:
                cursor.take(",")
            found.append(cursor.number())
    return tuple(found)


def _read_match(cursor: Cursor, key: Key) -> MatchValue:
    if key.match is not MatchKind.EXACT and cursor.take_if(_ANY):
        return _any(key)
    value = cursor.number(f"a value of key {key.name}")
    match key.match:
        case MatchKind.EXACT:
            return Exact(value=value)
        case MatchKind.LPM:
            cursor.take("/")
            return Lpm(value=value, prefix_len=cursor.number("a prefix length"))
        case MatchKind.TERNARY:
            cursor.take("&&&")
            return Ternary(value=value, mask=cursor.number("a mask"))
        case MatchKind.RANGE:
            cursor.take("..")
            return Range(low=value, high=cursor.number("the high end"))
        case MatchKind.OPTIONAL:
            return Optional(value=value)


def _any(key: Key) -> MatchValue:
    match key.match:
        case MatchKind.LPM:
            return Lpm(value=0, prefix_len=0)
        case MatchKind.RANGE:
            low, high = _whole(key)
            return Range(low=low, high=high)
        case MatchKind.OPTIONAL:
            return Optional(value=None)
        case _:
            return Ternary(value=0, mask=0)
