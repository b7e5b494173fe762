"""Where two ways part, and how bytes that differ are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.ir.interpreter import Outcome, VerdictKind, trace
from runtime.verification.frames import frame, tcp, udp
from runtime.verification.levels import Lookup
from runtime.verification.parting import lookups_of, part
from runtime.verification.rendering import bytes_difference, outcome_difference

HIT = trace.Hit(table="a", key=(), action="x", arguments=(), found_in="a")
MISS = trace.Missed(table="b", key=(), action="miss")
OTHER = trace.Hit(table="c", key=(), action="y", arguments=(), found_in="c")
RAN, END = trace.Ran(control="main"), trace.Ended(verdict="drop: x")
STEPS = (RAN, HIT, RAN, MISS, OTHER, END)
A, B, C = lookups_of(STEPS)


def test_lookups_of_a_trace() -> None:
    assert [str(lookup) for lookup in (A, B, C)] == ["table a: x", "table b: miss", "table c: y"]


@pytest.mark.parametrize(
    ("lookups", "common", "last", "steps", "rest"),
    [
        ((A, B, C), (A, B, C), OTHER, (END,), ()),
        ((A, B), (A, B), MISS, (OTHER, END), ()),
        ((A, B, C, A), (A, B, C), OTHER, (END,), (A,)),
        ((A, C), (A,), HIT, (RAN, MISS, OTHER, END), (C,)),
        ((replace(A, action="z"), B), (), None, STEPS, (replace(A, action="z"), B)),
        ((), (), None, STEPS, ()),
    ],
)
def test_where_ways_part(
    lookups: tuple[Lookup, ...],
    common: tuple[Lookup, ...],
    last: trace.TraceStep | None,
    steps: tuple[trace.TraceStep, ...],
    rest: tuple[Lookup, ...],
) -> None:
    parting = part(STEPS, lookups)
    assert (parting.common, parting.last, parting.steps, parting.lookups) == (common, last, steps, rest)


WHOLE = bytes(frame("10.0.0.10", "10.0.0.11", tcp(1, 2), payload=b"abc"))


@pytest.mark.parametrize(
    ("got", "told"),
    [
        (WHOLE[:-1], "56 instead of 57, from byte 56 on"),
        (WHOLE[:-1] + b"x", "from byte 56 on"),
        (
            WHOLE[:30] + b"\x0a\x00\x00\x63" + WHOLE[34:],
            "from byte 33 on (IP dst 10.0.0.99 instead of 10.0.0.11)",
        ),
        (
            bytes(frame("10.0.0.10", "10.0.0.11", udp(1, 2), payload=b"abc")),
            "45 instead of 57, from byte 17 on (IP len 31 instead of 43, IP proto 17 instead of 6, "
            "IP chksum 9913 instead of 9912, UDP instead of TCP)",
        ),
    ],
)
def test_bytes_that_differ(got: bytes, told: str) -> None:
    assert bytes_difference(WHOLE, got) == told


def test_the_first_thing_that_differs_is_told() -> None:
    forwarded = Outcome(verdict=VerdictKind.FORWARD, packet=WHOLE, egress_port=17)
    dropped = Outcome(verdict=VerdictKind.DROP, packet=b"", drop_reason="no_route")
    assert outcome_difference(forwarded, dropped) == "drop (no_route) instead of forward"
    assert outcome_difference(forwarded, replace(forwarded, egress_port=1)) == "port 1 instead of 17"
    other = replace(dropped, drop_reason="no_backend")
    assert outcome_difference(dropped, other) == "drop (no_backend) instead of drop (no_route)"
    both = replace(forwarded, egress_port=1, packet=WHOLE[:-1] + b"x")
    assert outcome_difference(forwarded, both) == "port 1 instead of 17; bytes: from byte 56 on"
