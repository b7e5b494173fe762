"""The tests would notice: each fault of `mutants` is caught by the vectors, a named sequence or generated ones."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

from compiler.pipeline.assembly import pipeline
from runtime.bpf.testrun import pinned_to_cpu
from tests.differential import kernel
from tests.differential.kernel import small
from tests.differential.mutants import MUTANTS, Mutant, compiled_mutant
from tests.differential.playing import Play
from tests.differential.scenes import Scene
from tests.differential.sequences import SEQUENCES
from tests.differential.strategies import BOUNDED, RUNS, Step, scenes
from tests.differential.twin import Loaded, Twin
from tests.differential.vectors import vectors
from tests.scenario import Book, device_entries

pytestmark = [pytest.mark.root, pytest.mark.slow]
SLOTS = 16
EXAMPLES = 40


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(
    mutant: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    source = small(pipeline(), SLOTS)
    elf = compiled_mutant(mutant, source, tmp_path)
    monkeypatch.setattr(kernel, "compiled", lambda pipeline, hook: elf)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with pinned_to_cpu(), Loaded(source, mutant.hook) as loaded:
        caught_by = next((name for name, check in checks() if differs(check, loaded)), None)
    record_property("caught_by", caught_by)
    print(f"{mutant.name}: caught by {caught_by}")
    assert caught_by, "no check tells it from the pipeline as it is"


Check = Callable[[Loaded], None]


def differs(check: Check, loaded: Loaded) -> bool:
    try:
        check(loaded)
    except AssertionError:
        return True
    return False


def checks() -> Generator[tuple[str, Check]]:
    """By name, the quick ones first."""
    yield "the vectors", play_vectors
    for sequence in SEQUENCES:
        yield f"the sequence '{sequence.name}'", lambda loaded, s=sequence: s.run(Twin(loaded))
    yield "generated sequences", play_generated


def play_vectors(loaded: Loaded) -> None:
    twin = Twin(loaded)
    twin.insert(*device_entries("A", book=Book(twin.names)).all())
    for _, port, frame in vectors():
        twin.wait(7)
        twin.process(port, frame)
    twin.compare_state()


def play_generated(loaded: Loaded) -> None:
    @settings(BOUNDED, max_examples=EXAMPLES, phases=(Phase.generate,))
    @given(scene=scenes(), steps=RUNS)
    def play(scene: Scene, steps: list[Step]) -> None:
        Play(Twin(loaded), scene).run(steps)

    play()
