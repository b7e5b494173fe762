"""What was refused or lost. Since limits were met: counted by client, and said in the log once in a while.

A client that is refused a thousand times a second must not fill the log as well. What is refused for any other reason
is counted by its code alone.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping

from runtime.device.refusals import Code

LOG = logging.getLogger("turnout.device")
EVERY_S = 10.0
"""Between two lines about the same client and the same thing."""
MAX_KINDS = 256
"""Clients and things that are told apart; what comes later is of `OTHERS`."""
OTHERS = "other clients"


class Complaints:
    """Called on the event loop."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._said: Counter[tuple[str, str]] = Counter()
        self._not_before: dict[tuple[str, str], float] = {}
        self._refused: Counter[tuple[str, str]] = Counter()

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """By client and what, since the start."""
        return self._counts

    @property
    def refusals(self) -> Mapping[tuple[str, str], int]:
        """By what was refused and the name of its code, since the start."""
        return self._refused

    def refused(self, what: str, code: Code, count: int = 1) -> None:
        """`what` is the name of an RPC, or such a thing as an update."""
        self._refused[what, code.name] += count

    def note(self, client: str, what: str) -> None:
        """`what` goes with a number before it, such as `RPCs refused: 64 are open`."""
        kind = (client, what)
        if kind not in self._counts and len(self._counts) >= MAX_KINDS:
            kind = (OTHERS, what)
        self._counts[kind] += 1

    def tick(self, now_s: float | None = None) -> None:
        """About once a second: say what is new."""
        now_s = time.monotonic() if now_s is None else now_s
        for kind, count in self._counts.items():
            new = count - self._said[kind]
            if new and now_s >= self._not_before.get(kind, 0.0):
                client, what = kind
                LOG.warning("%s: %d %s (%d in all)", client, new, what, count)
                self._said[kind], self._not_before[kind] = count, now_s + EVERY_S
