"""What bench.images keeps of its starts, goes on with, and expects of time."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.containers.contents import PYTHON, WEB
from bench.containers.expecting import expected_s, start_s, told
from bench.containers.found import NAMES, Found
from bench.containers.pictures import draw
from bench.containers.plan import parse_plan
from bench.containers.starting import WAYS, Case, Start
from bench.report import results

CASE = Case(image="web", rate_mbit=100, count=10, caches="cold", way="overlayfs, pulled")


def start(last_s: float, took_s: float = 0.0) -> Start:
    return Start(**{**dict.fromkeys(NAMES, 1.0), "last_s": last_s, "took_s": took_s})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    return tmp_path


def test_a_run_goes_on(folder: Path) -> None:
    first = Found("images", {"revision": "a"})
    for last_s in (3.0, 1.0):
        first.add(CASE, start(last_s))
    second = Found("images", {"revision": "b"})
    second.go_on(folder / "images.json")
    assert second.count(CASE) == 2
    second.add(CASE, start(2.0))
    third = Found("images", {"revision": "c"})
    third.go_on(folder / "images.json")
    assert third.starts(CASE) == [start(3.0), start(1.0), start(2.0)]
    ((case, figures),) = third.spreads().items()
    assert case == CASE
    assert (figures["last_s"].min, figures["last_s"].median, figures["last_s"].rounds) == (1.0, 2.0, 3)
    assert '"sitting": 1' in (folder / "images.json").read_text()


def test_ways_have_the_same_order_in_all_tables_and_pictures(folder: Path) -> None:
    found = Found("images", {})
    ways = [way.name for way in WAYS]
    for way in reversed(ways):
        for count in (50, 1):
            found.add(Case(image="web", rate_mbit=100, count=count, caches="cold", way=way), start(1.0))
    cases = [(case.count, case.way) for case in found.spreads()]
    assert cases == [(count, way) for count in (1, 50) for way in ways]


def test_without_a_run_before_it_begins(folder: Path) -> None:
    found = Found("images", {})
    found.go_on(folder / "images.json")
    assert found.spreads() == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sittings": [], "cases": [{"image": "web"}]}'])
def test_what_is_nothing_to_go_on_with(text: str, folder: Path) -> None:
    (folder / "images.json").write_text(text)
    with pytest.raises(SystemExit, match=r"is nothing to go on with; begin without --resume$"):
        Found("images", {}).go_on(folder / "images.json")


def test_what_cases_took_is_expected_again() -> None:
    plan = parse_plan(("--images", "web", "--links", "100", "--at-once", "10", "--ways", "pulled", "--rounds", "3"), "")
    nothing = expected_s(plan, lambda _: ())
    once = expected_s(plan, lambda _: (start(1.0, took_s=1000.0),))
    assert once - expected_s(plan, lambda _: (start(1.0, took_s=1000.0),) * 3) == pytest.approx(2000)
    assert 0 < nothing < 300


def test_more_takes_longer() -> None:
    way = {way.key: way for way in WAYS}

    def seconds(key: str, rate: int = 1000, count: int = 1, caches: str = "cold") -> float:
        case = Case(image="python", rate_mbit=rate, count=count, caches=caches, way=way[key].name)
        return start_s(PYTHON, way[key], case, ())

    assert seconds("pulled") > seconds("ahead")
    assert seconds("pulled", 100) > seconds("pulled")
    assert seconds("ahead", count=50) > 10 * seconds("ahead")
    assert seconds("ahead", caches="warm") > seconds("ahead")
    assert start_s(WEB, way["ahead"], CASE, ()) < 20


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "about 10 s"), (84, "about 80 s"), (110, "about 2 min"), (5000, "about 83 min"), (12_000, "about 3 h 20 min")],
)
def test_how_it_is_told(seconds: float, words: str) -> None:
    assert told(seconds) == words


def test_a_picture_for_each_image(folder: Path) -> None:
    figures = dict.fromkeys(NAMES, 2.0)
    other = Case(image="jdk", rate_mbit=100, count=1, caches="cold", way="turnout, read ahead")
    paths = list(draw({CASE: figures, other: figures}, "images"))
    assert paths == [folder / "images-web.png", folder / "images-jdk.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
