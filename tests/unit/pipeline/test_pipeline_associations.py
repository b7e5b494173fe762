"""Associations of SCTP through the interpreter, by the sequences that the kernel plays as well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.pipeline.assembly import pipeline
from runtime.verification.association_sequences import ASSOCIATION_SEQUENCES, INIT, SCENE
from runtime.verification.comparison import Comparison
from runtime.verification.playing import Play
from runtime.verification.sequence import Sequence
from runtime.verification.strategies import Reply
from runtime.verification.traffic import Target, ends_of


@pytest.mark.parametrize("sequence", ASSOCIATION_SEQUENCES, ids=lambda sequence: sequence.name)
def test_sequence(sequence: Sequence) -> None:
    sequence.run(Comparison([], pipeline=pipeline()))


def test_the_backend_is_called_and_the_service_answers() -> None:
    play = Play(Comparison([], pipeline=pipeline()), SCENE)
    play.do(INIT)
    play.do(Reply(back=0, flags="SA", size=20))
    asked, answered = (ends_of(passed.port, passed.frame) for passed in play.passed)
    assert asked == ("10.0.0.10", 1024, "10.0.0.11", 3868)
    assert answered == ("10.96.0.10", 80, "10.0.0.10", 1024)


def test_a_client_may_use_one_port_for_all_protocols() -> None:
    """The same numbers of another protocol are another connection."""
    play = Play(Comparison([], pipeline=pipeline()), SCENE)
    for transport in ("S", INIT.transport):
        play.do(
            replace(
                INIT, target=Target(kind="service", number=2 if transport == INIT.transport else 0), transport=transport
            )
        )
    assert [ends_of(passed.port, passed.frame)[1:] for passed in play.passed] == [
        (1024, "10.0.0.11", 8080),
        (1024, "10.0.0.11", 3868),
    ]
