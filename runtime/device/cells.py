"""Indices of counters and meters that controllers name."""

from __future__ import annotations

from runtime.device.refusals import invalid, out_of_range


def checked_index(what: str, size: int, index: int) -> int:
    """`what` is a counter or meter of so many cells. Raises INVALID_ARGUMENT (negative), OUT_OF_RANGE."""
    if index < 0:
        raise invalid(f"{what}: index {index} is negative")
    if index >= size:
        raise out_of_range(f"{what}: index {index} is outside of 0 to {size - 1}")
    return index
