"""Device states and packet sequences that nobody thought of: eBPF does what the interpreter does.

`TURNOUT_EXAMPLES=2000 pytest tests/differential/test_generated.py` tries more than the few that fit a test run.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compiler.ir.interpreter import VerdictKind
from compiler.ir.names import Names
from compiler.pipeline.assembly import pipeline
from compiler.printers.features import features
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.book import Book
from runtime.verification.cluster import Levels
from runtime.verification.comparison import Comparison
from runtime.verification.levels import small
from runtime.verification.playing import Play, has_learned
from runtime.verification.scenes import Scene
from runtime.verification.sequences import SEQUENCES, SHOP, SYN, Sequence
from runtime.verification.strategies import PLAIN, RUNS, Step, scenes
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.traffic import Send, ends_of, reply_to, sent
from tests.differential.searches import EXAMPLES, SLOTS, loaded_levels, play_device, searched

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def levels() -> Generator[Levels]:
    """Programs loaded once for all examples."""
    with loaded_levels() as made:
        yield made


@pytest.fixture(scope="module", params=Hook, ids=lambda hook: hook.name)
def loaded(request: pytest.FixtureRequest) -> Generator[TestRunLevel]:
    with pinned_to_cpu(), TestRunLevel(small(pipeline(), SLOTS), request.param) as level:
        yield level


@searched(EXAMPLES)
@given(scene=scenes(), steps=RUNS)
def test_any_sequence(levels: Levels, scene: Scene, steps: list[Step]) -> None:
    """Verdict, port, bytes and drop reason of each packet; in the end, connections and counters."""
    play_device(levels, scene, steps)


@searched(EXAMPLES // 2 + 1)
@example(scene=SHOP, openings=[SYN])
@given(scene=scenes(), openings=st.lists(PLAIN, min_size=1, max_size=6))
def test_a_reply_comes_from_the_address_that_was_called(
    loaded: TestRunLevel, scene: Scene, openings: list[Send]
) -> None:
    play = Play(Comparison([loaded]), scene)
    for opening in openings:
        port, frame = sent(scene, opening)
        outcome = play.arrive(port, frame)
        if outcome is None or outcome.verdict is not VerdictKind.FORWARD or not has_learned(outcome):
            continue
        answer = reply_to(play.passed[-1], "SA", 0)
        assert answer is not None
        answered = play.arrive(*answer)
        if answered is not None and answered.verdict is VerdictKind.FORWARD:
            src, src_port, dst, dst_port = ends_of(port, frame)
            assert ends_of(answered.egress_port or 0, answered.packet) == (dst, dst_port, src, src_port)
        else:
            assert scene is not SHOP


@pytest.mark.parametrize("hook", Hook, ids=lambda hook: hook.name)
def test_the_program_that_fits_the_entries(hook: Hook) -> None:
    """With the flags that let the verifier take out what these entries leave unused; each needs a load of its own."""
    source = small(pipeline(), SLOTS)

    @searched(EXAMPLES // 15 + 1)
    @given(scene=scenes(), steps=RUNS)
    def play(scene: Scene, steps: list[Step]) -> None:
        flags = features(source, scene.entries(Book(Names(source))))
        with pinned_to_cpu(), TestRunLevel(source, hook, flags=flags) as fitting:
            Play(Comparison([fitting]), scene).run(steps)

    play()


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence.name)
def test_named_sequence(loaded: TestRunLevel, sequence: Sequence) -> None:
    sequence.run(Comparison([loaded]))
