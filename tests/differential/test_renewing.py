"""Entries that packets renew, beside pairs of another store and of the same: the printed C against the interpreter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.ir.interpreter import trace
from runtime.bpf.chains import Hook
from runtime.verification.comparison import Comparison
from runtime.verification.interpreter_level import InterpreterLevel
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.vector import PacketIn
from tests.pipelines.remembering import MEMORY_MS, SLOTS, beside_pairs, frame, remembering

PORT = 3
FRAMES = st.builds(
    frame, dst=st.integers(1, SLOTS), src=st.integers(SLOTS + 1, 2 * SLOTS + 4), kind=st.integers(1, 400)
)
"""To others alone: the two halves of a flow have different keys."""
PAUSES = st.sampled_from((1, MEMORY_MS - 1, MEMORY_MS, 5000, 60_000))


@pytest.fixture(scope="module", params=[remembering, beside_pairs])
def levels(request: pytest.FixtureRequest) -> Iterator[tuple[TestRunLevel, ...]]:
    pipeline = request.param()
    with TestRunLevel(pipeline, Hook.TC) as tc, TestRunLevel(pipeline, Hook.XDP) as xdp:
        yield tc, xdp


@pytest.mark.root
@settings(max_examples=60)
@given(steps=st.lists(st.one_of(FRAMES, FRAMES, PAUSES, st.none()), max_size=40))
def test_programs_renew_as_the_interpreter_does(
    levels: tuple[TestRunLevel, ...], steps: list[bytes | int | None]
) -> None:
    """Frames, pauses, sweeps; compared are all entries with their places, ages and counts."""
    comparison = Comparison(levels)
    for step in steps:
        match step:
            case bytes():
                comparison.process(PORT, step)
            case int():
                comparison.wait(step)
            case None:
                comparison.sweep()
        comparison.compare_state()


def sent(level: InterpreterLevel, now_ms: int, dst: int, kind: int) -> int | None:
    """Where the first frame from station 1 to another goes."""
    level.set_time(now_ms)
    return level.process(PacketIn(port=PORT, frame=frame(dst, 1, kind))).egress_port


def test_a_renewed_entry_has_other_arguments_and_goes_on_counting() -> None:
    level = InterpreterLevel(remembering())
    assert sent(level, 0, dst=2, kind=7) == 7
    assert sent(level, MEMORY_MS - 1, dst=3, kind=8) == 7
    assert sent(level, 2 * MEMORY_MS - 2, dst=4, kind=9) == 7  # remembered from the second frame on
    assert sent(level, 3 * MEMORY_MS - 2, dst=5, kind=10) == 10
    (entry,) = level.learned("sender")
    assert (entry.action.arguments, entry.seen_ms, entry.packets) == ((10, 4 * MEMORY_MS - 2), 3 * MEMORY_MS - 2, 3)
    assert len(level.learned("flow")) == len(level.learned("back")) == 4


def test_what_is_renewed_has_no_pair_and_may_push_out_what_the_packet_has_learned() -> None:
    level, seen = InterpreterLevel(beside_pairs()), set[str]()
    for number in range(40):
        sent(level, number, dst=2 + number, kind=7)
        for slot in level.model.store_of("sender").slots():
            assert (slot.pair is None) == (slot.table == "sender"), number
            seen.add(slot.table)
    assert seen == {"sender", "flow", "back"}


def test_a_trace_tells_learned_from_renewed() -> None:
    level = InterpreterLevel(remembering())
    told = [
        [str(step) for step in level.process(PacketIn(port=PORT, frame=frame(dst, 1, 7))).trace if is_of_sender(step)]
        for dst in (2, 3)
    ]
    (until,) = (entry.action.arguments[1] for entry in level.learned("sender"))
    (slot,) = (slot.index for slot in level.model.store_of("sender").slots())
    rest = f"sender (src=00:00:00:00:00:01): sent_to(out=7, until={until}) as seen in slot {slot}"
    assert told == [[f"learn {rest}"], [f"renew {rest}"]]


def is_of_sender(step: trace.TraceStep) -> bool:
    return isinstance(step, trace.Learned) and step.table == "sender"
