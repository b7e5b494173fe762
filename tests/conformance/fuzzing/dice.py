"""Choices: the first of anything is the simplest, so that Hypothesis shrinks towards it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[int]], int]


@cache
def _below(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


class Dice:
    """Chance, drawn from Hypothesis."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def below(self, count: int) -> int:
        return self._draw(_below(count)) if count > 1 else 0

    def rarely(self, once_in: int) -> bool:
        return self.below(once_in) == once_in - 1

    def one(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def number(self, width_bits: int) -> int:
        """Mostly one of a few, so that keys meet again; also the borders, and any."""
        highest = (1 << width_bits) - 1
        shape = self.below(10)
        if shape < 6:
            return min(self.below(5), highest)
        if shape < 9:
            return (highest, highest - 1 if highest > 1 else 0, 1 << (width_bits - 1))[shape - 6]
        return self.below(highest + 1)

    def bytes(self, longest: int) -> bytes:
        return bytes(self.below(256) for _ in range(self.below(longest + 1)))
