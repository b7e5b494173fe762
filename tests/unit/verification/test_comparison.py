"""Two interpreters side by side agree; one that lies is found out, and the finding can be played again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.ir.interpreter import LearnedEntry, Outcome, Tally, VerdictKind
from compiler.pipeline.assembly import pipeline
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison, run
from runtime.verification.findings import Difference
from runtime.verification.interpreter_level import InterpreterLevel
from runtime.verification.levels import small
from runtime.verification.shop import CLIENT_PORT, WEB_1_PORT, device_entries
from runtime.verification.shop_frames import vectors
from runtime.verification.vector import Accepted, PacketIn, Step, Vector, Wait

SOURCE = small(pipeline(), 16)
FRAMES = {name: frame for name, _, frame in vectors()}
SYN = PacketIn(port=CLIENT_PORT, frame=FRAMES["syn 0 v4"])
FORWARDED = Accepted(verdict=VerdictKind.FORWARD)


class LyingLevel(InterpreterLevel):
    """Does as the interpreter, but tells another thing of the kind in `lie`."""

    name = "liar"

    def __init__(self, lie: str) -> None:
        super().__init__(SOURCE)
        self.lie = lie

    def process(self, packet: PacketIn) -> Outcome:
        outcome = super().process(packet)
        return replace(outcome, egress_port=511) if self.lie == "port" else outcome

    def takes(self, _: Step, /) -> bool:
        return self.lie != "refuses"

    def learned(self, table: str) -> tuple[LearnedEntry, ...]:
        return () if self.lie == "learned" else super().learned(table)

    def indexed_counters(self, counter: str, indices: range) -> tuple[Tally, ...]:
        tallies = super().indexed_counters(counter, indices)
        return tuple(Tally(0, 0) for _ in tallies) if self.lie == "counters" else tallies


def shop(*steps: PacketIn | Wait, slots: int = 16) -> Vector:
    return Vector(
        name="shop", slots=slots, entries=device_entries("A", book=Book(InterpreterLevel(SOURCE).names)), steps=steps
    )


def test_levels_that_agree() -> None:
    steps = [PacketIn(port=port, frame=frame) for _, port, frame in vectors()]
    comparison = run(shop(*steps, Wait(ms=7)), [InterpreterLevel(SOURCE), InterpreterLevel(SOURCE)])
    assert comparison.vector("shop") == shop(*steps, Wait(ms=7))


@pytest.mark.parametrize("lie", ["port", "learned", "counters"])
def test_a_level_that_lies(lie: str) -> None:
    with pytest.raises(Difference) as found:
        run(shop(SYN), [InterpreterLevel(SOURCE), LyingLevel(lie)])
    assert found.value.vector == replace(shop(SYN), name="found")
    assert "-- liar: " in str(found.value)


def test_any_accepted_outcome_will_do() -> None:
    dropped = Accepted(verdict=VerdictKind.DROP, drop_reason="no_route")
    run(shop(replace(SYN, accepted=(dropped, FORWARDED))), [InterpreterLevel(SOURCE)])
    with pytest.raises(Difference):
        run(shop(replace(SYN, accepted=(dropped,))), [InterpreterLevel(SOURCE)])
    run(shop(replace(SYN, accepted=(FORWARDED,))), [LyingLevel("port")])
    with pytest.raises(Difference):
        run(shop(replace(SYN, accepted=(replace(FORWARDED, egress_port=WEB_1_PORT),))), [LyingLevel("port")])


def test_a_vector_for_stores_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"^vector 'shop' needs stores of 64 slots$"):
        run(shop(SYN, slots=64), [InterpreterLevel(SOURCE)])


def test_what_a_level_cannot_take_is_left_out_for_all() -> None:
    comparison = Comparison([InterpreterLevel(SOURCE), LyingLevel("refuses")])
    comparison.fill(shop().entries)
    assert comparison.do(SYN) is None
    assert comparison.done == []
