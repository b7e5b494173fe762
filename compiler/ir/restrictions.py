"""The language of `@entry_restriction` and `@action_restriction`, as p4-constraints defines it: what a table may hold.

    vrf != 0;  // a semicolon is an "and" of the lowest precedence
    ttl::mask == 0 || ttl::mask == 255;
    dst::prefix_length >= 8 -> ::priority < 1000

A key has the parts of its kind of match: `value`; `value` and `mask` (ternary, optional); `value` and `prefix_length`;
`low` and `high`. Compared as a whole with a number it must match that number and nothing else; `<` and its like take
numbers alone. Numbers are as large as they are, in bases 2, 8, 10 and 16, or written `ipv4('10.0.0.1')`, `ipv6('::1')`,
`mac('02:00:00:00:00:01')`. From weak to strong: `;`, `->` (from right to left), `||`, `&&`, comparisons, `!` and `-`.
The restriction of an action is about its parameters, which are compared as exact keys are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from compiler.ir.entries import ActionCall, Exact, MatchValue, Optional, numbers_of
from compiler.ir.tables import MatchKind

PARTS: Mapping[MatchKind, tuple[str, ...]] = {
    MatchKind.EXACT: ("value",),
    MatchKind.TERNARY: ("value", "mask"),
    MatchKind.LPM: ("value", "prefix_length"),
    MatchKind.RANGE: ("low", "high"),
    MatchKind.OPTIONAL: ("value", "mask"),
}
PRIORITY = "::priority"
Numbers: TypeAlias = tuple[int, ...]
"""One number, or the parts of a key that has several."""
Values: TypeAlias = Mapping[str, Numbers]
"""Of one entry: keys as a whole by name, their parts by `key::part`, and the priority."""
Test: TypeAlias = Callable[[Values], bool]


@dataclass(frozen=True, slots=True)
class Violation:
    """The part of a restriction that an entry does not fulfil, and what the entry has there."""

    part: str
    values: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        shown = ", ".join(f"{name} = {value:#x}" for name, value in self.values)
        return f"'{self.part}'" + (f", where {shown}" if shown else "")


@dataclass(frozen=True, slots=True)
class Clause:
    """One of the conditions that all must hold, with its text and the numbers that it is about."""

    text: str
    names: tuple[str, ...]
    holds: Test


@dataclass(frozen=True, slots=True)
class Restriction:
    keys: tuple[tuple[str, MatchKind, int], ...]
    clauses: tuple[Clause, ...]

    def violation_by(self, call: ActionCall) -> Violation | None:
        """Of a call that fits its action; None when it may be there."""
        return self.violation(tuple(Exact(value=argument) for argument in call.arguments))

    def violation(self, matches: tuple[MatchValue, ...], priority: int = 0) -> Violation | None:
        """Of an entry that fits its table; None when it may be there."""
        values: dict[str, Numbers] = {PRIORITY: (priority,)}
        for (name, kind, width), match in zip(self.keys, matches, strict=True):
            values[name] = _parts(match, width)
            for part, value in zip(PARTS[kind], values[name], strict=True):
                values[f"{name}::{part}"] = (value,)
        for clause in self.clauses:
            if not clause.holds(values):
                shown = ((name, values[name][0]) for name in clause.names)
                return Violation(clause.text, tuple(shown))
        return None


def _parts(match: MatchValue, width: int) -> Numbers:
    if isinstance(match, Optional) and match.value is not None:
        return match.value, (1 << width) - 1
    return numbers_of(match)
