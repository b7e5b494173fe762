"""Meters against token buckets of exact fractions, which say what RFC 2698 and RFC 2697 ask for."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.entries import MeterConfig
from compiler.ir.metering import (
    MASK,
    MAX_RATE,
    NS_PER_S,
    Buckets,
    Color,
    Words,
    changed_buckets,
    execute,
    full_words,
    new_buckets,
    rate_of,
)
from compiler.ir.tables import MeterType

TWO, ONE = MeterType.TWO_RATE_THREE_COLOR, MeterType.SINGLE_RATE_THREE_COLOR
START_NS = 5_000 * NS_PER_S


@dataclass
class Exact:
    """The tokens of both buckets as fractions, refilled as the RFCs say."""

    config: MeterConfig
    kind: MeterType
    first: Fraction
    second: Fraction
    at_ns: int = START_NS

    def refill(self, now_ns: int) -> None:
        past = Fraction(now_ns - self.at_ns, NS_PER_S)
        self.at_ns = now_ns
        more, most = self.first + past * self.config.cir, Fraction(self.config.cburst)
        self.first = min(more, most)
        if self.kind is ONE:
            self.second = min(self.second + (more - self.first), Fraction(self.config.eburst))
        else:
            self.second = min(self.second + past * self.config.pir, Fraction(self.config.pburst))


def _tokens(buckets: Buckets, words: Words, kind: MeterType, now_ns: int) -> tuple[int, int]:
    first = buckets.first.burst - buckets.first.missing(words.first, now_ns)
    if kind is ONE:
        overflow = buckets.first.full_at(words.first, now_ns) - words.first & MASK
        return first, min(min(words.second, buckets.second.burst) + overflow, buckets.second.burst)
    return first, buckets.second.burst - buckets.second.missing(words.second, now_ns)


_RATES = st.integers(0, 5_000) | st.integers(0, 12_500_000_000)
_BURSTS = st.integers(1, 20_000)
_CONFIGS = st.builds(MeterConfig, cir=_RATES, cburst=_BURSTS, pir=_RATES, pburst=_BURSTS, eburst=_BURSTS)
_PACKETS = st.lists(st.tuples(st.integers(0, 10_000) | st.integers(0, NS_PER_S), st.integers(1, 1500)), max_size=60)


@given(st.sampled_from([TWO, ONE]), _CONFIGS, _PACKETS)
def test_tokens_are_those_of_exact_buckets_but_for_one(
    kind: MeterType, config: MeterConfig, packets: list[tuple[int, int]]
) -> None:
    """Tokens come in whole, at moments that do not start anew when a bucket was full: so one early, or one late."""
    now_ns, buckets = START_NS, new_buckets(kind, config, START_NS)
    words = full_words(kind, buckets)
    exact = Exact(config, kind, Fraction(config.cburst), Fraction(config.eburst if kind is ONE else config.pburst))
    for wait_ns, units in packets:
        now_ns += wait_ns
        exact.refill(now_ns)
        first, second = _tokens(buckets, words, kind, now_ns)
        most = 1 + Fraction(1, 100)  # the rate is right to 2**-32
        assert abs(exact.first - first) < most
        assert abs(exact.second - second) < (2 * most if kind is ONE else most)
        color, words = execute(kind, buckets, words, units, now_ns)
        _take(exact, color, units)


def _take(exact: Exact, color: Color, units: int) -> None:
    if color is Color.GREEN:
        exact.first -= units
    if color is Color.YELLOW or (color is Color.GREEN and exact.kind is TWO):
        exact.second -= units


@given(st.integers(1, MAX_RATE))
def test_a_rate_is_right_to_32_bits(units: int) -> None:
    multiplier, shift = rate_of(units)
    assert 1 << 31 <= multiplier < 1 << 32
    assert 21 <= shift <= 61
    assert abs(Fraction(multiplier, 1 << shift) * NS_PER_S / units - 1) <= Fraction(1, 1 << 32)


@pytest.mark.parametrize(
    ("rate", "units", "every_ns"),
    [(1, 1, 10_000_000), (7, 1, 1_000_000), (1_000_000, 1500, 100_003), (12_500_000_000, 1500, 61)],
    ids=["1 packet", "7 packets", "1 MB", "100 Gbit"],
)
def test_over_a_long_time_a_rate_is_kept(rate: int, units: int, every_ns: int) -> None:
    """A hundred thousand packets, more than the rate allows: within a thousandth, or one packet."""
    config = MeterConfig(cir=rate, cburst=4 * units, pir=rate, pburst=4 * units)
    now_ns, buckets = START_NS, new_buckets(TWO, config, START_NS)
    words, passed = full_words(TWO, buckets), 0
    for _ in range(100_000):
        now_ns += every_ns
        color, words = execute(TWO, buckets, words, units, now_ns)
        passed += units * (color is Color.GREEN)
    wanted = 4 * units + Fraction(rate * (now_ns - START_NS), NS_PER_S)
    assert abs(passed - wanted) <= wanted / 1000 + units


@given(_CONFIGS, st.lists(st.tuples(st.integers(0, NS_PER_S), _CONFIGS), max_size=20), st.sampled_from([TWO, ONE]))
def test_another_configuration_keeps_the_tokens_that_fit(
    config: MeterConfig, changes: list[tuple[int, MeterConfig]], kind: MeterType
) -> None:
    now_ns, buckets = START_NS, new_buckets(kind, config, START_NS)
    words = full_words(kind, buckets)
    _, words = execute(kind, buckets, words, min(config.cburst, config.pburst), now_ns)
    for wait_ns, change in changes:
        now_ns += wait_ns
        # The excess bucket takes what has flowed over, and forgets what it cannot hold, when a packet comes.
        _, words = execute(kind, buckets, words, 0, now_ns)
        first, second = _tokens(buckets, words, kind, now_ns)
        buckets = changed_buckets(kind, buckets, change, now_ns)
        kept = _tokens(buckets, words, kind, now_ns)
        assert kept[0] == min(first, buckets.first.burst)
        if kind is TWO:
            assert kept[1] == min(second, buckets.second.burst)
        else:
            # What a smaller committed burst does not hold flows over, as it does with time.
            spilled = max(0, first - buckets.first.burst)
            assert kept[1] <= min(second + spilled, buckets.second.burst)


@given(st.integers(1, 1000), st.integers(1, 100))
def test_changing_a_rate_again_and_again_neither_gives_nor_takes_tokens(rate: int, changes: int) -> None:
    """Every change takes the part of a token along that has come in."""
    configs = [MeterConfig(cir=r, cburst=1000, pir=r, pburst=1000) for r in (rate, rate + 1)]
    buckets, words = new_buckets(TWO, configs[0], START_NS), Words(1000, 1000)
    step_ns = NS_PER_S // 100
    for number in range(changes):
        buckets = changed_buckets(TWO, buckets, configs[number % 2], START_NS + number * step_ns)
    now_ns = START_NS + changes * step_ns
    tokens, _ = _tokens(buckets, words, TWO, now_ns)
    assert Fraction(rate * changes, 100) - 1 <= tokens <= min(1000, Fraction((rate + 1) * changes, 100) + 1)


def test_a_pause_of_centuries_fills_the_bucket_and_nothing_more() -> None:
    config = MeterConfig(cir=MAX_RATE, cburst=100, pir=MAX_RATE, pburst=100)
    buckets, words = new_buckets(TWO, config, 0), Words(0, 0)
    for now_ns in (1 << 40, 1 << 50, 1 << 60, (1 << 63) - 1):
        assert execute(TWO, buckets, words, 100, now_ns)[0] is Color.GREEN
        assert execute(TWO, buckets, words, 101, now_ns)[0] is Color.RED


def test_a_clock_that_was_read_early_gets_nothing_twice() -> None:
    config = MeterConfig(cir=NS_PER_S, cburst=100, pir=NS_PER_S, pburst=100)
    buckets, words = new_buckets(TWO, config, START_NS), Words(0, 0)
    later = START_NS + 10_000
    color, words = execute(TWO, buckets, words, 100, later)
    assert color is Color.GREEN
    assert execute(TWO, buckets, words, 1, later - 5_000) == (Color.RED, words)
    assert execute(TWO, buckets, words, 1, START_NS - 1) == (Color.RED, words)
