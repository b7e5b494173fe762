"""Meters in integers: what the interpreter runs, and what a device writes for the C in ebpf/include/turnout/meter.h.

A bucket gets tokens at a rate, which `level` counts since the bucket began: a product and a shift of the time that has
passed since, so that nothing is lost from one packet to the next. A word says at which level the bucket would be full
again. What it lacks is the difference; a packet that takes tokens moves the word up. So a bucket is one word, two
levels of one moment differ by what came in between, and another configuration changes the level and never the word.
All of it is modulo 2**64, as docs/target-semantics.md says step by step. Pure; times are nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from compiler.ir.entries import MeterConfig
from compiler.ir.tables import MeterType

MASK = (1 << 64) - 1
NS_PER_S = 1_000_000_000
MULTIPLIER_BITS = 32
MAX_RATE = 1 << 40
"""Units a second; what is above counts as this. No device sends a terabyte a second."""
MAX_BURST = 1 << 62
LAG = 1 << 40
"""So far may a word be ahead of a full burst: packets whose clock was read early. Anything further has wrapped."""


class Color(IntEnum):
    """What a meter says of a packet, as metadata holds it."""

    GREEN = 0
    YELLOW = 1
    RED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A rate and a burst. The rate is multiplier / 2**shift units a nanosecond.

    `base` is the level at `start_ns`; `floor` the level at which it is full at the soonest, whatever the word says:
    what a larger burst adds must come in first.
    """

    start_ns: int
    base: int
    floor: int
    burst: int
    multiplier: int
    shift: int

    def level(self, now_ns: int) -> int:
        """Tokens that have come in. A time before the start counts as the start."""
        past = max(0, now_ns - self.start_ns)
        return self.base + (past * self.multiplier >> self.shift) & MASK

    def full_at(self, word: int, now_ns: int) -> int:
        """The level at which the bucket is full, which is the present one when it is."""
        level = self.level(now_ns)
        return level + max(_ahead(word, level, self.burst), _ahead(self.floor, level, self.burst)) & MASK

    def missing(self, word: int, now_ns: int) -> int:
        return self.full_at(word, now_ns) - self.level(now_ns) & MASK


def _ahead(word: int, level: int, burst: int) -> int:
    ahead = word - level & MASK
    return ahead if ahead <= burst + LAG else 0


def rate_of(units_per_s: int) -> tuple[int, int]:
    """Multiplier and shift, the multiplier with all of its 32 bits in use: right to 2**-32."""
    units = min(units_per_s, MAX_RATE)
    if units == 0:
        return 0, MULTIPLIER_BITS
    shift = MULTIPLIER_BITS - 1
    while _scaled(units, shift) < 1 << MULTIPLIER_BITS - 1:
        shift += 1
    while _scaled(units, shift) >= 1 << MULTIPLIER_BITS:
        shift -= 1
    return _scaled(units, shift), shift


def _scaled(units: int, shift: int) -> int:
    return ((units << shift + 1) // NS_PER_S + 1) >> 1


def new_bucket(units_per_s: int, burst: int, now_ns: int, last: Bucket | None = None) -> Bucket:
    """A bucket that is full with a word of its `base`, and with any that packets of the last one may leave."""
    multiplier, shift = rate_of(units_per_s)
    limit = min(burst, MAX_BURST)
    base = last.level(now_ns) + last.burst + LAG & MASK if last is not None else 0
    return Bucket(start_ns=now_ns, base=base, floor=base, burst=limit, multiplier=multiplier, shift=shift)


def changed_bucket(old: Bucket, units_per_s: int, burst: int, now_ns: int) -> Bucket:
    """Another rate and burst for the same word: the tokens of this moment stay, as far as the new burst holds them."""
    level, limit = old.level(now_ns), min(burst, MAX_BURST)
    start_ns, base = old.start_ns, old.base
    multiplier, shift = rate_of(units_per_s)
    if (multiplier, shift) != (old.multiplier, old.shift):
        # What has come in of the next token is taken along, as the time that it takes at the new rate.
        part = max(0, now_ns - old.start_ns) * old.multiplier & (1 << old.shift) - 1
        lead_ns = (part << shift) // (multiplier << old.shift) if multiplier else 0
        start_ns, base = max(0, now_ns - lead_ns), level
    return Bucket(
        start_ns=start_ns,
        base=base + old.burst - limit & MASK,
        floor=level + _ahead(old.floor, level, old.burst) & MASK,
        burst=limit,
        multiplier=multiplier,
        shift=shift,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """A configuration as packets meet it. `second` is the peak bucket; of one rate and three colours its burst alone
    counts, as that of the excess bucket.
    """

    first: Bucket
    second: Bucket


@dataclass(frozen=True, slots=True)
class Words:
    """What changes with packets; of one rate and three colours `second` are the tokens of the excess bucket."""

    first: int
    second: int


def new_buckets(kind: MeterType, config: MeterConfig, now_ns: int, last: Buckets | None = None) -> Buckets:
    """`last` are those that the same words had before, if packets may still be under way that have met them."""
    return Buckets(
        first=new_bucket(config.cir, config.cburst, now_ns, last.first if last is not None else None),
        second=new_bucket(*_second(kind, config), now_ns, last.second if last is not None else None),
    )


def changed_buckets(kind: MeterType, old: Buckets, config: MeterConfig, now_ns: int) -> Buckets:
    return Buckets(
        first=changed_bucket(old.first, config.cir, config.cburst, now_ns),
        second=changed_bucket(old.second, *_second(kind, config), now_ns),
    )


def full_words(kind: MeterType, buckets: Buckets) -> Words:
    """Those of a meter that starts, with all of its bursts."""
    second = buckets.second
    return Words(buckets.first.base, second.burst if kind is MeterType.SINGLE_RATE_THREE_COLOR else second.base)


def _second(kind: MeterType, config: MeterConfig) -> tuple[int, int]:
    if kind is MeterType.SINGLE_RATE_THREE_COLOR:
        return 0, config.eburst
    return config.pir, config.pburst


def execute(kind: MeterType, buckets: Buckets, words: Words, units: int, now_ns: int) -> tuple[Color, Words]:
    """The colour of a packet of so many units, and the words behind it."""
    if kind is MeterType.SINGLE_RATE_THREE_COLOR:
        return _one_rate(buckets, words, units, now_ns)
    return _two_rates(buckets, words, units, now_ns)


def _two_rates(buckets: Buckets, words: Words, units: int, now_ns: int) -> tuple[Color, Words]:
    """RFC 2698, colour-blind: a red packet takes no tokens, a yellow one of the peak bucket alone."""
    peak = _taken(buckets.second, words.second, units, now_ns)
    if peak is None:
        return Color.RED, words
    committed = _taken(buckets.first, words.first, units, now_ns)
    if committed is None:
        return Color.YELLOW, Words(words.first, peak)
    return Color.GREEN, Words(committed, peak)


def _taken(bucket: Bucket, word: int, units: int, now_ns: int) -> int | None:
    """The word behind a packet, None when there are not so many tokens."""
    if bucket.missing(word, now_ns) + units > bucket.burst:
        return None
    return bucket.full_at(word, now_ns) + units & MASK


def _one_rate(buckets: Buckets, words: Words, units: int, now_ns: int) -> tuple[Color, Words]:
    """RFC 2697, colour-blind: what the committed bucket cannot hold goes into the excess bucket."""
    committed, most = buckets.first, buckets.second.burst
    full_at = committed.full_at(words.first, now_ns)
    overflow = full_at - words.first & MASK
    excess = min(min(words.second, most) + overflow, most)
    if committed.missing(words.first, now_ns) + units <= committed.burst:
        return Color.GREEN, Words(full_at + units & MASK, excess)
    if excess >= units:
        return Color.YELLOW, Words(full_at, excess - units)
    return Color.RED, Words(full_at, excess)
