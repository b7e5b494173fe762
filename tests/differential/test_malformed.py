"""Every fault in every shape of frame, one after the other: tc and XDP do what the interpreter does."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from compiler.ir.interpreter import VerdictKind
from compiler.pipeline.assembly import pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import MIN_FRAME, pinned_to_cpu
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.levels import Level, small
from runtime.verification.malformed.bases import Base, base_frames
from runtime.verification.malformed.catalogue import BY_NAME, FAULTS
from runtime.verification.malformed.fault import Fault
from runtime.verification.shop import device_entries
from runtime.verification.testrun_level import TestRunLevel

pytestmark = [pytest.mark.root, pytest.mark.slow]
SLOTS = 64
MOST_CASES = 300
"""Of a fault with more cases, each frame meets its own share of them."""


@pytest.fixture(scope="module")
def levels() -> Generator[tuple[Level, ...]]:
    source = small(pipeline(), SLOTS)
    with pinned_to_cpu(), TestRunLevel(source, Hook.TC) as tc, TestRunLevel(source, Hook.XDP) as xdp:
        yield tc, xdp


def with_connections(levels: tuple[Level, ...]) -> Comparison:
    """The shop, after the good frames have opened their connections."""
    comparison = Comparison(levels)
    comparison.fill(device_entries("A", book=Book(comparison.names)))
    for base in base_frames():
        comparison.process(base.port, base.frame)
    return comparison


def cases(fault: Fault) -> Iterator[tuple[Base, bytes]]:
    """Each base frame damaged in each way that changes it and that a test run takes."""
    step = -(-fault.cases // MOST_CASES)
    for at, base in enumerate(base_frames()):
        for case in range(at % step, fault.cases, step):
            damaged = fault(base.frame, case)
            if damaged != base.frame and len(damaged) >= MIN_FRAME:
                yield base, damaged


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_case_of_a_fault(levels: tuple[Level, ...], fault: Fault) -> None:
    comparison, met = with_connections(levels), 0
    for base, damaged in cases(fault):
        comparison.wait(7)
        met += comparison.process(base.port, damaged) is not None
    comparison.compare_state()
    assert met


@pytest.mark.parametrize("name", ["cut", "odd inner frame", "ipv6 ends in an extension header"])
def test_frames_that_only_xdp_takes(levels: tuple[Level, ...], name: str) -> None:
    """For tc the kernel wants a whole IP header."""
    comparison = with_connections(levels[1:])
    for base, damaged in cases(BY_NAME[name]):
        comparison.process(base.port, damaged)
    comparison.compare_state()


def test_the_good_frames_do_what_they_are_for(levels: tuple[Level, ...]) -> None:
    comparison = Comparison(levels)
    comparison.fill(device_entries("A", book=Book(comparison.names)))
    for base in base_frames():
        outcome = comparison.process(base.port, base.frame)
        assert outcome is not None
        is_question = base.name.endswith(("arp", "nd"))
        is_answered = is_question and not base.name.startswith("tunnelled")
        wanted = VerdictKind.REPLY if is_answered else VerdictKind.DROP if is_question else VerdictKind.FORWARD
        assert outcome.verdict is wanted, base.name
    comparison.compare_state()
