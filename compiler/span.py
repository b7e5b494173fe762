"""Where something was written: a policy file, a pipeline module, or a text form.

Leaves rendering to `compiler.diagnostic`. Carried by every policy object, IR node and table entry, and never part of
their equality.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A stretch of text. Lines and columns count from 1; columns count characters, the end is exclusive."""

    path: str
    line: int
    column: int = 1
    end_line: int | None = None
    end_column: int | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


NOWHERE = Span(path="<none>", line=0, column=0)
"""For what no one wrote, such as a value made in a test."""


class InternalError(Exception):
    """A mistake of Turnout itself, never of its user."""
