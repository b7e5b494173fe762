"""Whatever pipeline: its text reads back equal, it runs without raising, twice the same."""

from __future__ import annotations

from random import Random as Source

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.ir.entries import ActionCall, Exact, Group, GroupRef, Member, TableEntry, WeightedMember
from compiler.ir.interpreter import Interpreter, Model, Outcome, VerdictKind
from compiler.ir.nodes import Pipeline
from compiler.ir.text import TextError, from_text, to_text
from compiler.ir.verifier import verify
from compiler.pipeline.assembly import pipeline
from compiler.span import Span
from tests.property.ir.strategies import STORE, pipelines

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
frames = st.lists(st.binary(max_size=64), min_size=1, max_size=12)


@FEW
@given(pipelines())
def test_text_reads_back_equal(made: Pipeline) -> None:
    text = to_text(made)
    assert verify(made) == ()
    assert from_text(text) == made
    assert to_text(from_text(text)) == text


def run(made: Pipeline, packets: list[bytes], seed: int) -> tuple[list[Outcome], Model]:
    """The packets, a step of time between two, over a model with an entry in the table with a selector."""
    model = Model(made, hash_seed=seed)
    call = ActionCall(action="put", arguments=(1, 2))
    for number in (1, 2, 3):
        model.insert(Member(selector="choice", id=number, action=call))
    members = tuple(WeightedMember(member_id=number) for number in (1, 2, 3))
    model.insert(Group(selector="choice", id=1, members=members))
    for value in range(8):
        matches = (Exact(value=value),)
        model.insert(TableEntry(table="chosen", matches=matches, action=GroupRef(group_id=1)))
    source, now = Source(seed), [0]

    def clock() -> int:
        now[0] += 7
        return now[0]

    interpreter = Interpreter(model, clock=clock, random=source.getrandbits)
    return [interpreter.process(3, packet) for packet in packets], model


@pytest.mark.slow
@FEW
@given(pipelines(), frames, st.integers(0, 1 << 64))
def test_packets_never_raise_and_repeat(made: Pipeline, packets: list[bytes], seed: int) -> None:
    outcomes, model = run(made, packets, seed)
    again, _ = run(from_text(to_text(made)), packets, seed)
    assert outcomes == again
    for packet, outcome in zip(packets, outcomes, strict=True):
        if outcome.verdict is VerdictKind.TO_KERNEL:
            assert outcome.packet == packet
    drops = sum(outcome.verdict is VerdictKind.DROP for outcome in outcomes)
    assert model.indexed_counter("drops", 1).packets == drops
    learned = [entry for table in ("flow", "back") for entry in model.learned(table)]
    assert len(learned) <= STORE.size
    assert len({(entry.table, entry.matches) for entry in learned}) == len(learned)
    model.sweep(10_000)
    assert model.learned("flow") == model.learned("back") == ()


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_broken_text_is_refused_in_words(data: st.DataObject) -> None:
    text = to_text(pipeline())
    start = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 30))
    broken = text[:start] + data.draw(st.text(max_size=5)) + text[start + cut :]
    span = _refusal(broken)
    assert span is None or 1 <= span.line <= broken.count("\n") + 1


def _refusal(text: str) -> Span | None:
    try:
        verify(from_text(text))
    except TextError as error:
        return error.diagnostic.span
    return None
