"""What a fault is, and how several make one frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Change = Callable[[bytes, int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong or unusual in a frame, in `cases` ways.

    `change` takes a frame as a device receives it and the number of a case; it gives the frame back as it is when it
    has not the header that the fault is in.
    """

    name: str
    cases: int
    change: Change

    def __call__(self, frame: bytes, case: int) -> bytes:
        """Any number is a case."""
        return self.change(frame, case % self.cases)


def damaged(frame: bytes, faults: Iterable[tuple[str, int]], known: Mapping[str, Fault]) -> bytes:
    """The frame with faults by name and case, one after the other."""
    for name, case in faults:
        frame = known[name](frame, case)
    return frame
