"""What bench.images measures when it is asked in which way."""

from __future__ import annotations

import pytest

from bench.containers.contents import CONTENTS, LARGE, PYTHON
from bench.containers.plan import parse_plan


def asked(*words: str) -> tuple[list[str], list[int], list[int], list[str], int]:
    plan = parse_plan(words, "")
    names = [content.name for content in plan.contents]
    return names, list(plan.rates), list(plan.counts), list(plan.caches), plan.rounds


def test_what_is_usual() -> None:
    assert asked() == (["web", "python"], [1000, 100], [1], ["cold"], 3)
    assert asked("--quick") == (["python"], [1000, 100], [1], ["cold"], 1)
    assert asked("--all") == (["web", "python", "jdk", "large"], [1000, 100], [1, 10, 50], ["cold", "warm"], 10)


def test_what_is_chosen() -> None:
    words = ("--all", "--images", "web", "--links", "100", "--at-once", "1,50", "--caches", "warm", "--rounds", "2")
    assert asked(*words) == (["web"], [100], [1, 50], ["warm"], 2)


def test_ways() -> None:
    """What ./setup does not install is measured when it is asked for."""
    usual = ["pulled", "elsewhere", "ahead", "here", "before"]
    assert [way.key for way in parse_plan((), "").ways] == usual
    assert [way.key for way in parse_plan(("--all",), "").ways] == [*usual[:4], "stargz", "erofs", "before"]
    assert parse_plan(("--ways", "erofs,ahead"), "").snapshotters == {"erofs", "turnout"}


def test_cases_of_a_round() -> None:
    plan = parse_plan(("--images", "web", "--caches", "cold,warm", "--ways", "pulled,before"), "")
    assert [(case.caches, case.way) for _, _, case in plan.cases(100)] == [
        ("cold", "overlayfs, pulled"),
        ("cold", "overlayfs, there before"),
        ("warm", "overlayfs, pulled"),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at-once", "51"), "argument --at-once: 51 containers at once; there are ports for 50"),
        (("--links", "0"), "argument --links: '0' is no number above 0"),
        (("--rounds", "-1"), "argument --rounds: '-1' is no number above 0"),
        (("--images", "web,java"), "argument --images: 'java' is none of web, python, jdk, large"),
        (("--ways", "x"), "argument --ways: 'x' is none of pulled, elsewhere, ahead, here, stargz, erofs, before"),
    ],
)
def test_what_is_no_plan(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_plan(words, "")
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: {said}")


def test_images_share_layers() -> None:
    """The large one goes on from what the Python one is made of; all begin with the same base."""
    assert len(LARGE.layers) == 40
    assert LARGE.layers[:4] == PYTHON.layers[:4]
    assert len({content.layers[0] for content in CONTENTS}) == 1
