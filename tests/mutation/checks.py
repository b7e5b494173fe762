"""What a mutant has to get past: vectors, named sequences, frames that are cut or damaged, generated sequences.

A check is a generator that says what it does next, so that whoever runs it knows what has failed.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import Phase, given, settings
from hypothesis.errors import HypothesisException

from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.levels import Level
from runtime.verification.playing import Play
from runtime.verification.scenes import Scene
from runtime.verification.sequences import SEQUENCES
from runtime.verification.shop import device_entries
from runtime.verification.shop_frames import Arrival, cut, mutated, vectors
from runtime.verification.strategies import BOUNDED, RUNS, Step, scenes

EXAMPLES = 40
DAMAGED = 300
_ARRIVALS: list[Arrival] = list(vectors())


def first_failing(steps: Iterator[str]) -> str | None:
    """What failed, None when nothing did. A fault may end in any exception; Hypothesis's own say nothing of it."""
    doing = ""
    try:
        for step in steps:
            doing = step
    except HypothesisException:
        raise
    except Exception:  # noqa: BLE001  whatever it is, the fault was seen
        return doing
    return None


def checks(level: Level) -> Iterator[str]:
    """Quick ones first. Raises what tells the mutant from the pipeline as it is."""
    yield from _vectors(level)
    for sequence in SEQUENCES:
        yield f"sequence '{sequence.name}'"
        sequence.run(Comparison([level]))
    yield from _cut_and_damaged(level)
    yield "generated sequences"
    _play_generated(level)


def _shop(level: Level) -> Comparison:
    comparison = Comparison([level])
    comparison.fill(device_entries("A", book=Book(comparison.names)))
    return comparison


def _vectors(level: Level) -> Iterator[str]:
    yield "the entries of the vectors"
    comparison = _shop(level)
    for name, port, frame in _ARRIVALS:
        yield f"vector '{name}'"
        comparison.wait(7)
        comparison.process(port, frame)
    yield "connections and counters after the vectors"
    comparison.compare_state()


def _cut_and_damaged(level: Level) -> Iterator[str]:
    yield "vectors cut short"
    comparison = _shop(level)
    for _, port, frame in cut(_ARRIVALS):
        comparison.process(port, frame)
    comparison.compare_state()
    yield "damaged vectors over time"
    for number, (_, port, frame) in enumerate(mutated(_ARRIVALS, 0, DAMAGED)):
        comparison.wait(1 + number % 5 * 4_000)
        comparison.process(port, frame)
    comparison.compare_state()


def _play_generated(level: Level) -> None:
    @settings(BOUNDED, max_examples=EXAMPLES, phases=(Phase.generate,))
    @given(scene=scenes(), steps=RUNS)
    def play(scene: Scene, steps: list[Step]) -> None:
        Play(Comparison([level]), scene).run(steps)

    play()
