"""Where two ways through the pipeline part: the interpreter's trace beside the look-ups that another level shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.ir.interpreter import trace
from runtime.verification.levels import Lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """`common` are the look-ups that both made. What each did from there on; `steps` begin behind the last common one.

    `last` is that one, None when not even the first was the same.
    """

    common: tuple[Lookup, ...]
    last: trace.Hit | trace.Missed | None
    steps: tuple[trace.TraceStep, ...]
    lookups: tuple[Lookup, ...]


def lookups_of(steps: Sequence[trace.TraceStep]) -> tuple[Lookup, ...]:
    """The look-ups of an interpreter's trace."""
    return tuple(_lookup(step) for step in steps if isinstance(step, trace.Hit | trace.Missed))


def part(steps: Sequence[trace.TraceStep], lookups: Sequence[Lookup]) -> Parting:
    """`steps` are the interpreter's."""
    places = [place for place, step in enumerate(steps) if isinstance(step, trace.Hit | trace.Missed)]
    pairs = zip(lookups_of(steps), lookups, strict=False)
    count = next((number for number, (ours, theirs) in enumerate(pairs) if ours != theirs), None)
    if count is None:
        count = min(len(places), len(lookups))
    behind = places[count - 1] + 1 if count else 0
    last = steps[behind - 1] if count else None
    return Parting(
        common=tuple(lookups[:count]),
        last=last if isinstance(last, trace.Hit | trace.Missed) else None,
        steps=tuple(steps[behind:]),
        lookups=tuple(lookups[count:]),
    )


def _lookup(step: trace.Hit | trace.Missed) -> Lookup:
    return Lookup(table=step.table, action=step.action if isinstance(step, trace.Hit) else None)
