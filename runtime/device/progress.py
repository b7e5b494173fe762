"""How far the start of a device is: the thread that does it tells, and whoever answers clients meanwhile asks.

It is also how that thread hears that the device is to end: the next step that it tells of is its last.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from runtime.device.failpoints import Point, reached
from runtime.device.journal.records import Record, update_count


class StoppedError(Exception):
    """The start is not to go on; what it has done so far is what a kill would have left."""


@dataclass(slots=True)
class Step:
    """`done` of `of_all` parts; 0 of 0 where there is nothing to count."""

    what: str
    of_all: int = 0
    unit: str = ""
    done: int = 0

    def __str__(self) -> str:
        return f"{self.what}, {self.done} of {self.of_all} {self.unit}" if self.of_all else self.what


@dataclass(slots=True)
class Progress:
    """Of one start."""

    step: Step = field(default_factory=lambda: Step("looks at its folder"))
    begun_s: float = field(default_factory=time.monotonic)
    _is_stopped: bool = False

    def begin(self, what: str, of_all: int = 0, unit: str = "") -> None:
        """Raises `StoppedError`."""
        self.step = Step(what, of_all, unit)
        self.advance(0)

    def advance(self, count: int) -> None:
        """So many more are done. Raises `StoppedError`."""
        if self._is_stopped:
            raise StoppedError
        self.step.done += count

    def stop(self) -> None:
        """Called from another thread."""
        self._is_stopped = True

    def replaying(self, records: Iterable[Record]) -> Iterator[Record]:
        """The same records, counted by their updates when they have been done. Raises `StoppedError`."""
        for record in records:
            reached(Point.REPLAYING)
            yield record
            self.advance(update_count(memoryview(record)) if isinstance(record, bytes) else 0)
