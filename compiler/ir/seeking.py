"""The values that a `Seek` tries, which model and device share to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

MAX_SOUGHT_BITS: Final = 16
MAX_TRIES: Final = 64


def sought(number: int, width_bits: int, first: int, tries: int) -> Iterator[int]:
    """`tries` values from `first` on, hardly any twice, by a drawn 32-bit number (`compiler.ir.statements.Seek`)."""
    step, size = number >> 16 | 1, 1 << width_bits
    for at in range(tries):
        value = (number + at * step) % size
        yield value if value >= first else value + size - first
