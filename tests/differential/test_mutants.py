"""The tests would notice: each fault of `mutants` is caught by the vectors, a named sequence or generated ones."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

from compiler.pipeline.assembly import pipeline
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.levels import small
from runtime.verification.playing import Play
from runtime.verification.scenes import Scene
from runtime.verification.sequences import SEQUENCES
from runtime.verification.shop import device_entries
from runtime.verification.shop_frames import vectors
from runtime.verification.strategies import BOUNDED, RUNS, Step, scenes
from runtime.verification.testrun_level import TestRunLevel
from tests.differential.mutants import MUTANTS, Mutant, compiled_mutant

pytestmark = [pytest.mark.root, pytest.mark.slow]
SLOTS = 16
EXAMPLES = 40


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    source = small(pipeline(), SLOTS)
    elf = compiled_mutant(mutant, source, tmp_path)
    with pinned_to_cpu(), TestRunLevel(source, mutant.hook, elf=elf) as loaded:
        caught_by = next((name for name, check in checks() if differs(check, loaded)), None)
    record_property("caught_by", caught_by)
    print(f"{mutant.name}: caught by {caught_by}")
    assert caught_by, "no check tells it from the pipeline as it is"


Check = Callable[[TestRunLevel], None]


def differs(check: Check, loaded: TestRunLevel) -> bool:
    try:
        check(loaded)
    except AssertionError:
        return True
    return False


def checks() -> Generator[tuple[str, Check]]:
    """By name, the quick ones first."""
    yield "the vectors", play_vectors
    for sequence in SEQUENCES:
        yield f"the sequence '{sequence.name}'", lambda loaded, s=sequence: s.run(Comparison([loaded]))
    yield "generated sequences", play_generated


def play_vectors(loaded: TestRunLevel) -> None:
    comparison = Comparison([loaded])
    comparison.fill(device_entries("A", book=Book(comparison.names)))
    for _, port, frame in vectors():
        comparison.wait(7)
        comparison.process(port, frame)
    comparison.compare_state()


def play_generated(loaded: TestRunLevel) -> None:
    @settings(BOUNDED, max_examples=EXAMPLES, phases=(Phase.generate,))
    @given(scene=scenes(), steps=RUNS)
    def play(scene: Scene, steps: list[Step]) -> None:
        Play(Comparison([loaded]), scene).run(steps)

    play()
