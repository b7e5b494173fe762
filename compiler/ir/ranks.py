"""Which of several entries that match a packet wins, in tables whose entries have priorities.

The largest priority does. Of equal ones P4Runtime leaves it open; here a hash over the match fields decides, so that
the same entries treat a packet alike whatever the order in which they came: on both targets, after a restart, after a
batch that was taken back. One number says both, since the printed C compares it with each entry that it finds.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.ir.entries import MatchValue, numbers_of
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
        for number in numbers_of(match):
            yield number >> _WORD
            yield number & MASK
