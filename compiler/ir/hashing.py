"""`mix64`, the hash of selectors, stores and `Hash`: the same number in Python and in the printed C.

Inputs are laid side by side, each padded on the left to whole 32-bit words (most significant word first), and the words
are taken two at a time into 64-bit ones (a last single word is the high half). Starting from the seed, each 64-bit word
is XORed in and the state is put through the finalizer of MurmurHash3 (fmix64, public domain, A. Appleby).
"""

from __future__ import annotations

from collections.abc import Iterable

_MASK = (1 << 64) - 1


def fmix64(value: int) -> int:
    """The 64-bit finalizer of MurmurHash3."""
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & _MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & _MASK
    return value ^ value >> 33


def words_of(value: int, width_bits: int) -> list[int]:
    """The 32-bit words of a value, most significant first."""
    count = (width_bits + 31) // 32
    return [value >> 32 * (count - 1 - index) & 0xFFFFFFFF for index in range(count)]


def mix64(seed: int, inputs: Iterable[tuple[int, int]]) -> int:
    """The 64-bit hash of (value, width in bits) pairs."""
    words = [word for value, width in inputs for word in words_of(value, width)]
    if len(words) % 2:
        words.append(0)
    state = seed & _MASK
    for high, low in zip(words[::2], words[1::2], strict=True):
        state = fmix64(state ^ (high << 32 | low))
    return state
