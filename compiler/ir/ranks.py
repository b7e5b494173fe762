"""Which of several entries that match a packet wins, in tables whose entries have priorities.

The largest priority does. Of equal ones P4Runtime leaves it open; here a hash over the match fields decides, so that
the same entries treat a packet alike whatever the order in which they came: on both targets, after a restart, after a
batch that was taken back. One number says both, since the printed C compares it with each entry that it finds.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.ir.entries import Exact, Lpm, MatchValue, Optional, Range, Ternary
from compiler.ir.hashing import MASK, mix64_words

HASH_BITS = 33
"""Of 64; a priority has 31."""
_SEED = 0x72616E6B
_WORD = 64


def rank(matches: tuple[MatchValue, ...], priority: int) -> int:
    """64 bits, above 0 for every priority; the largest wins."""
    return priority << HASH_BITS | mix64_words(_SEED, _words(matches)) >> _WORD - HASH_BITS


def highest_rank(priority: int) -> int:
    """No entry of this priority has a larger one."""
    return (priority + 1 << HASH_BITS) - 1


def _words(matches: tuple[MatchValue, ...]) -> Iterator[int]:
    for match in matches:
        for number in _numbers(match):
            yield number >> _WORD
            yield number & MASK


def _numbers(match: MatchValue) -> tuple[int, ...]:
    match match:
        case Exact(value=value):
            return (value,)
        case Lpm(value=value, prefix_len=prefix_len):
            return value, prefix_len
        case Ternary(value=value, mask=mask):
            return value, mask
        case Range(low=low, high=high):
            return low, high
        case Optional(value=value):
            return (0, 0) if value is None else (value, 1)
