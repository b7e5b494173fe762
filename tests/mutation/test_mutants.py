"""The tests would notice: a spread choice of mutants of each kind, and those with a name, are all caught.

`pytest -s` says which check caught each. All there are: `make mutants`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future

import pytest

from tests.mutation.catalogue import all_mutants, shown
from tests.mutation.choosing import chosen
from tests.mutation.equivalents import EQUIVALENTS, Equivalent
from tests.mutation.judging import Fate, Judgement, judges, submitted
from tests.mutation.mutant import Kind, Mutant
from tests.mutation.named import NAMED

pytestmark = [pytest.mark.root, pytest.mark.slow]
CHOSEN = {Kind.PIPELINE: 14, Kind.C: 24, Kind.INTERPRETER: 14}
CAUGHT = {Kind.PIPELINE: 12, Kind.C: 8, Kind.INTERPRETER: 12}
"""At least. Some of the chosen nobody can run, or are the same program: in C nearly half."""
PROCESSES = 2
_PLACES = [(kind, number) for kind, count in CHOSEN.items() for number in range(count)]
Judged = dict[str, tuple[Mutant, Future[Judgement]]]


@pytest.fixture(scope="module")
def judged() -> Generator[Judged]:
    """All under way at once. Chosen here and not by the tests' parameters: finding them takes seconds."""
    mutants = {mutant.name: mutant for mutant in NAMED}
    mutants |= {_id(kind, at): each for kind, count in CHOSEN.items() for at, each in enumerate(chosen(kind, count))}
    with judges(PROCESSES) as pool:
        running = submitted(pool, mutants.values())
        yield dict(zip(mutants, running, strict=True))


def _id(kind: Kind, number: int) -> str:
    return f"{kind.name.lower()} {number}"


@pytest.mark.parametrize("mutant", NAMED, ids=lambda mutant: mutant.name)
def test_a_named_mutant_is_caught(
    mutant: Mutant, judged: Judged, record_property: Callable[[str, object], None]
) -> None:
    judgement = judged[mutant.name][1].result()
    record_property("caught_by", judgement.by)
    print(judgement)
    assert judgement.fate is Fate.CAUGHT


@pytest.mark.parametrize(("kind", "number"), _PLACES, ids=[f"{kind.name.lower()}-{at}" for kind, at in _PLACES])
def test_a_chosen_mutant_is_caught(
    kind: Kind, number: int, judged: Judged, record_property: Callable[[str, object], None]
) -> None:
    mutant, future = judged[_id(kind, number)]
    judgement = future.result()
    record_property("mutant", mutant.name)
    record_property("caught_by", judgement.by)
    print(judgement)
    assert judgement.fate is not Fate.SURVIVED, f"{judgement}\n{shown(mutant)}"


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
def test_enough_of_the_chosen_are_caught_by_a_check(kind: Kind, judged: Judged) -> None:
    fates = [judged[_id(kind, number)][1].result().fate for number in range(CHOSEN[kind])]
    assert fates.count(Fate.CAUGHT) >= CAUGHT[kind]


@pytest.mark.parametrize("equivalent", EQUIVALENTS, ids=lambda equivalent: equivalent.reason)
def test_what_is_said_to_change_nothing_does_not(equivalent: Equivalent) -> None:
    """There are such mutants, and the reason holds for each."""
    found = [mutant for kind in Kind for mutant in all_mutants(kind) if equivalent.is_one(mutant)]
    assert found
    assert [mutant.name for mutant in found if not equivalent.holds(mutant)] == []
