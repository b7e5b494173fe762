"""`mix64`, the hash of selectors, stores and `Hash`: the same number in Python and in the printed C.

The bits of the inputs are laid side by side in order, padded with zeros on the right to whole 64-bit words. Starting
from the seed, each word is XORed into the state, which is multiplied by an odd constant and folded
(state ^= state >> 32); a last multiplication and fold end it. Keys that fill whole words (an IPv4 flow is two) cost one
multiplication each.
"""

from __future__ import annotations

from collections.abc import Iterable

MASK = (1 << 64) - 1
WORD_MULTIPLIER = 0x9E3779B97F4A7C15
FINAL_MULTIPLIER = 0xD6E8FEB86659FD93


def pack_words(inputs: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """The 64-bit words of (value, width in bits) pairs, first pair most significant."""
    value, width = 0, 0
    for part, part_width in inputs:
        value, width = value << part_width | part, width + part_width
    count = (width + 63) // 64
    value <<= 64 * count - width
    return tuple(value >> 64 * (count - 1 - index) & MASK for index in range(count))


def mix64_words(seed: int, words: Iterable[int]) -> int:
    """The 64-bit hash of whole words."""
    state = seed & MASK
    for word in words:
        state = (state ^ word) * WORD_MULTIPLIER & MASK
        state ^= state >> 32
    state = state * FINAL_MULTIPLIER & MASK
    return state ^ state >> 32


def mix64(seed: int, inputs: Iterable[tuple[int, int]]) -> int:
    """The 64-bit hash of (value, width in bits) pairs."""
    return mix64_words(seed, pack_words(inputs))
