"""When nodes try again: apart from each other, and less and less often."""

from __future__ import annotations

from agents.imageadopter.pacing import LONGEST_WAIT_S, Tries


def most(_: float, high: float) -> float:
    return high


def test_nodes_begin_within_the_jitter() -> None:
    tries = Tries(2.0, most)
    assert not tries.is_due("a", 1, 100.0)
    assert tries.next_s() == 102.0
    assert tries.is_due("a", 1, 102.0)


def test_waits_grow_up_to_a_minute_and_are_a_quarter_more_or_less() -> None:
    tries, waits = Tries(0.0, most), list[float]()
    for _ in range(12):
        assert tries.is_due("a", 1, 0.0) or waits
        waits.append(tries.failed("a", "no", 0.0))
    assert waits[:4] == [0.625, 1.25, 2.5, 5.0]
    assert waits[-1] == LONGEST_WAIT_S * 1.25
    assert tries.problem("a") == "no"


def test_something_else_begins_anew() -> None:
    tries = Tries(0.0, most)
    tries.is_due("a", 1, 0.0)
    tries.failed("a", "no", 0.0)
    assert not tries.is_due("a", 1, 0.0)
    assert tries.is_due("a", 2, 0.0)
    assert tries.problem("a") == ""


def test_what_is_done_or_over_is_forgotten() -> None:
    tries = Tries(0.0, most)
    for key in ("a", "b"):
        tries.is_due(key, 1, 5.0)
    tries.done("a")
    assert tries.next_s() == 5.0
    tries.keep(())
    assert tries.next_s() == float("inf")


def test_who_waits_for_a_first_turn_is_known() -> None:
    tries = Tries(1.0, most)
    tries.is_due("a", 1, 0.0)
    assert tries.has_untried
    tries.failed("a", "no", 1.0)
    assert not tries.has_untried
