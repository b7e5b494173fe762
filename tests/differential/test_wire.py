"""Real veths do what the interpreter does: tags in metadata, checksums and segments left to a card."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import given, settings

from compiler.ir.interpreter import VerdictKind
from compiler.pipeline.assembly import pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.levels import Level, small
from runtime.verification.playing import Play
from runtime.verification.scenes import Scene
from runtime.verification.segment_frames import segment_vectors
from runtime.verification.sequences import SEQUENCES, Sequence
from runtime.verification.shop import device_entries
from runtime.verification.shop_frames import cut, mutated, vectors
from runtime.verification.strategies import BOUNDED, RUNS, WIRE_RUNS, Step, scenes
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.wire_level import WireLevel

pytestmark = [pytest.mark.root, pytest.mark.slow]
SOURCE = small(pipeline(), 16)
"""So few slots that connections push each other out."""
EXAMPLES = int(os.environ.get("TURNOUT_EXAMPLES", "60"))


@pytest.fixture(scope="module", params=[False, True], ids=["checksums there", "checksums left"])
def wire(request: pytest.FixtureRequest) -> Generator[WireLevel]:
    with pinned_to_cpu(), WireLevel(SOURCE, leaves_checksums=request.param) as level:
        yield level


def shop(*levels: Level) -> Comparison:
    comparison = Comparison(levels)
    comparison.fill(device_entries("A", book=Book(comparison.names)))
    return comparison


def test_every_vector(wire: WireLevel) -> None:
    comparison = shop(wire)
    for name, port, frame in vectors():
        comparison.wait(7)
        assert comparison.process(port, frame) is not None, name
    comparison.compare_state()


def test_frames_that_end_early_or_are_damaged(wire: WireLevel) -> None:
    comparison = shop(wire)
    for _, port, frame in (*cut(list(vectors())), *mutated(list(vectors()), 1, 600)):
        comparison.wait(1_000)
        comparison.process(port, frame)
    comparison.compare_state()


@pytest.mark.parametrize("has_offloads", [True, False], ids=["cut by nobody", "cut by the kernel"])
def test_packets_to_be_cut(has_offloads: bool) -> None:
    """What comes out is still to be cut into segments of the same size, or the kernel has cut it into right ones."""
    with WireLevel(SOURCE, has_offloads=has_offloads) as level:
        comparison = shop(level)
        verdicts: set[VerdictKind] = set()
        for packet in segment_vectors():
            outcome = comparison.do(packet)
            assert outcome is not None, packet.about
            verdicts.add(outcome.verdict)
        comparison.compare_state()
    assert verdicts == {VerdictKind.FORWARD, VerdictKind.REPLY}


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence.name)
def test_named_sequence(wire: WireLevel, sequence: Sequence) -> None:
    sequence.run(Comparison([wire]))


@settings(BOUNDED, max_examples=EXAMPLES // 2)
@given(scene=scenes(), steps=WIRE_RUNS)
def test_any_sequence(wire: WireLevel, scene: Scene, steps: list[Step]) -> None:
    Play(Comparison([wire]), scene).run(steps)


def test_any_sequence_beside_test_runs(wire: WireLevel) -> None:
    with TestRunLevel(SOURCE, Hook.TC) as beside:

        @settings(BOUNDED, max_examples=EXAMPLES // 2)
        @given(scene=scenes(), steps=RUNS)
        def play(scene: Scene, steps: list[Step]) -> None:
            Play(Comparison([wire, beside]), scene).run(steps)

        play()


def test_any_sequence_without_offloads() -> None:
    """The kernel computes and cuts what is left to cards."""
    with pinned_to_cpu(), WireLevel(SOURCE, leaves_checksums=True, has_offloads=False) as bare:

        @settings(BOUNDED, max_examples=EXAMPLES // 2)
        @given(scene=scenes(), steps=WIRE_RUNS)
        def play(scene: Scene, steps: list[Step]) -> None:
            Play(Comparison([bare]), scene).run(steps)

        play()
