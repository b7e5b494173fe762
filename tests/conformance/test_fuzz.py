"""Random valid and damaged messages, compared with the model of the specification; and what was found that way once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.fuzzing.playing import fuzzer
from tests.conformance.fuzzing.subjects import SUBJECTS, Running, Subject, running
from tests.conformance.fuzzing.vectors import vectors

SEED = os.environ.get("TURNOUT_SEED")
EXAMPLES = {
    "model-kinds": 70,
    "model-metered": 30,
    "model-referring": 50,
    "model-named": 30,
    "model-replicating": 40,
    "model-named-copies": 25,
    "model-turnout": 50,
    "kernel-kinds": 50,
    "kernel-metered": 25,
    "kernel-referring": 25,
    "kernel-named": 15,
    "kernel-replicating": 20,
    "kernel-turnout": 5,
}
"""About half a minute for each target."""
WARM = 3
"""Examples before what the device holds is measured."""


def _marked(subject: Subject) -> Any:
    marks = [pytest.mark.slow, *([pytest.mark.root] if subject.target == "kernel" else [])]
    return pytest.param(subject, id=subject.name, marks=marks)


@pytest.fixture(params=[_marked(subject) for subject in SUBJECTS])
def device(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running(request.param) as started:
        yield started


def test_random_messages(device: Running) -> None:
    played = fuzzer(device)
    number = None if SEED is None else int(SEED)
    try:
        played.run(WARM, seed_number=number, is_shrunk=False)
        before = played.held()
        played.run(EXAMPLES[device.subject.name], seed_number=number, is_shrunk=False)
        assert played.held().growth_since(before) is None
    finally:
        played.close()


def test_vectors(device: Running) -> None:
    """Every one that the device has a pipeline for."""
    names = [config.name for config in device.configs]
    played = fuzzer(device)
    try:
        for vector in vectors():
            if vector.program in names:
                played.play(vector)
    finally:
        played.close()
