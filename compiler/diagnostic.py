"""What a user got wrong, and how it is shown: code, message, place, what was expected, a hint.

A stage collects `Diagnostic`s in a `Report` and goes on, so that one run names every mistake. The codes belong to the
stages (`compiler.policy.codes`, the IR verifier); every code is documented in docs/diagnostics.md. Called by whatever
reads user input and by `turnout check` to print it.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from compiler.span import Span

Sources = Mapping[str, str]
"""The text of each file by the path that spans carry."""

_LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_WINDOW: Final = 120
"""Longest stretch of a source line that is shown, in characters."""


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


_SEVERITY_OF_LETTER: Final = {"E": Severity.ERROR, "W": Severity.WARNING, "N": Severity.NOTE}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Code:
    """One kind of mistake. `id` is E, W or N and four digits; the letter is the severity. Both names never change."""

    id: str
    name: str

    @property
    def severity(self) -> Severity:
        return _SEVERITY_OF_LETTER[self.id[0]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """A second place that belongs to the mistake, such as the first of two equal names."""

    message: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    code: Code
    message: str
    span: Span
    expected: str | None = None
    hint: str | None = None
    related: tuple[Related, ...] = ()

    @property
    def severity(self) -> Severity:
        return self.code.severity

    def __str__(self) -> str:
        return f"{printable(str(self.span))}: {self.severity}[{self.code.id}]: {printable(self.message)}"


@dataclass(slots=True)
class Report:
    """Collects the diagnostics of a stage; order of adding does not matter."""

    _found: list[Diagnostic] = field(default_factory=lambda: [])

    def add(
        self,
        code: Code,
        span: Span,
        message: str,
        *,
        expected: str | None = None,
        hint: str | None = None,
        related: tuple[Related, ...] = (),
    ) -> None:
        self._found.append(
            Diagnostic(code=code, span=span, message=message, expected=expected, hint=hint, related=related)
        )

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        self._found.extend(diagnostics)

    def sorted(self) -> tuple[Diagnostic, ...]:
        return sorted_diagnostics(self._found)

    @property
    def count(self) -> int:
        """So far, equal ones more than once."""
        return len(self._found)


def sorted_diagnostics(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """In order of path, line and column, then code and message; equal ones once."""
    return tuple(
        sorted(set(diagnostics), key=lambda d: (d.span.path, d.span.line, d.span.column, d.code.id, d.message))
    )


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


@lru_cache(maxsize=4096)
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    folded = name.casefold()
    for candidate in known:
        if candidate.casefold() == folded:
            return candidate
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), None)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, or None when nothing is near. Compares at most 2,000."""
    near_in_length = sorted(known, key=lambda candidate: (abs(len(candidate) - len(name)), candidate))
    return _nearest(name, tuple(near_in_length[:2000]))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The hint for an unknown name: the nearest one, else the whole list when it is short, else None."""
    names = sorted(set(known))
    found = nearest(name, names)
    if found is not None:
        return f"did you mean '{found}'?"
    return f"known: {', '.join(names)}" if 0 < len(names) <= 8 else None


def printable(text: str) -> str:
    """`text` with control characters and direction overrides made visible, so that no file can steer a terminal."""
    return "".join(_printable_character(character) for character in text)


def _printable_character(character: str) -> str:
    if character == "\t" or (character.isprintable() and unicodedata.category(character) != "Cf"):
        return character
    return character if character == "\N{ZERO WIDTH JOINER}" else "\N{REPLACEMENT CHARACTER}"


def _cells(character: str) -> int:
    """Columns of a terminal that a character takes."""
    if unicodedata.combining(character) or character == "\N{ZERO WIDTH JOINER}":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _padding(text: str) -> str:
    """White space as wide as `text`: a tab stays a tab, since the line above stops at the same places."""
    return "".join("\t" if character == "\t" else " " * _cells(character) for character in text)


def source_lines(text: str) -> list[str]:
    """The lines of a source, split where YAML splits them. Index 0 is line 1."""
    return _LINE_BREAK.split(text)


@dataclass(frozen=True, slots=True)
class Renderer:
    """Prints diagnostics with the line they point to. Lines of a path without a source are left out."""

    sources: Sources
    _lines: dict[str, list[str]] = field(default_factory=lambda: {})

    def _line(self, span: Span) -> str | None:
        if span.path not in self.sources:
            return None
        lines = self._lines.get(span.path)
        if lines is None:
            lines = self._lines[span.path] = source_lines(self.sources[span.path])
        return lines[span.line - 1] if 1 <= span.line <= len(lines) else None

    def _excerpt(self, span: Span) -> list[str]:
        line = self._line(span)
        if line is None:
            return []
        start = min(max(span.column - 1, 0), len(line))
        same_line = span.end_column is not None and span.end_line in (None, span.line)
        end = min(span.end_column - 1, len(line)) if same_line and span.end_column is not None else len(line.rstrip())
        text, start, end = _window(line, start, max(end, start))
        text = printable(text)  # as many characters; of a line that is a whole file, only those that are shown
        gutter = f"{span.line:>5} | "
        carets = "^" * max(1, sum(1 if c == "\t" else _cells(c) for c in text[start:end]))
        return [gutter + text.rstrip(), " " * (len(gutter) - 2) + "| " + _padding(text[:start]) + carets]

    def render(self, diagnostic: Diagnostic) -> str:
        """Several lines without a final newline; paths and columns as editors and CI understand them."""
        lines = [str(diagnostic), *self._excerpt(diagnostic.span)]
        if diagnostic.expected is not None:
            lines.append(f"      = expected: {printable(diagnostic.expected)}")
        if diagnostic.hint is not None:
            lines.append(f"      = hint: {printable(diagnostic.hint)}")
        for related in diagnostic.related:
            lines.append(printable(f"{related.span}: {related.message}"))
            lines.extend(self._excerpt(related.span))
        return "\n".join(lines)


def _window(line: str, start: int, end: int) -> tuple[str, int, int]:
    """Cut a very long line around the marked part; returns the text and the mark's place in it."""
    if len(line) <= 2 * _WINDOW:
        return line, start, end
    first = max(0, start - _WINDOW // 3)
    last = min(len(line), first + _WINDOW)
    prefix = "…" if first else ""
    suffix = "…" if last < len(line) else ""
    shift = len(prefix) - first
    return prefix + line[first:last] + suffix, start + shift, min(end, last) + shift


def render_all(diagnostics: Iterable[Diagnostic], sources: Sources) -> str:
    """Every diagnostic, in the given order, with a blank line between two; empty for none."""
    renderer = Renderer(sources)
    return "\n\n".join(renderer.render(diagnostic) for diagnostic in diagnostics)


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """Such as `2 errors, 1 warning`; empty for none."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = [(severities.count(severity), severity.value) for severity in Severity]
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count)


def span_to_json(span: Span) -> dict[str, Any]:
    return {
        "path": span.path,
        "line": span.line,
        "column": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }


def diagnostic_to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """Plain data for `--output json|yaml`; absent parts are null, so every object has the same keys."""
    return {
        "severity": diagnostic.severity.value,
        "code": diagnostic.code.id,
        "name": diagnostic.code.name,
        "message": diagnostic.message,
        "span": span_to_json(diagnostic.span),
        "expected": diagnostic.expected,
        "hint": diagnostic.hint,
        "related": [{"message": r.message, "span": span_to_json(r.span)} for r in diagnostic.related],
    }
