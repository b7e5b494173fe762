"""What is promised of a packet in fragments: those behind the first follow it, and its receiver can put it together."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir.interpreter import trace
from runtime.verification.fabric import End, Hop, Journey
from runtime.verification.findings import Violation
from runtime.verification.fragmenting import whole
from runtime.verification.invariants import wrongness
from runtime.verification.speaking import Ends, ends_of

LONG = b"turnout in parts, " * 3
"""Longer than any cut."""


def check(first: Journey, got: Ends, later: Sequence[Journey]) -> None:
    """`got` is what the receiver sees in the first one. Raises `Violation`.

    A device that has no room keeps nothing of the first one, and then those behind it are packets without ports.
    """
    if any(_has_no_room(hop) for hop in first.hops):
        return
    for journey in later:
        if _place(journey) != _place(first):
            raise Violation(f"a fragment did not follow its first, {first}: {journey}")
    together = whole([first.frame, *(journey.frame for journey in later)])
    if together is None or ends_of(together) != got or not together.endswith(LONG) or any(wrongness(together)):
        raise Violation(f"its receiver cannot put {got} together: {first}; {'; '.join(map(str, later))}")


def _place(journey: Journey) -> tuple[End, str, int | None]:
    return journey.end, journey.last.device, journey.last.outcome.egress_port


def _has_no_room(hop: Hop) -> bool:
    full = (step.table for step in hop.outcome.trace if isinstance(step, trace.Full))
    return any(table.startswith("fragment") for table in full)
