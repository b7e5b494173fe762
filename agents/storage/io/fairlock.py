"""A lock that threads get in the order in which they came.

One of `threading` goes to whoever asks at the right moment: of fifty containers that start at once, some waited for a
second behind calls that take milliseconds and had come later. Used by the snapshotter.
"""

from __future__ import annotations

from collections import deque
from threading import Lock


class FairLock:
    """A context manager. Not to be entered again by the thread that has it. Whoever is interrupted while it waits (a
    signal's exception, KeyboardInterrupt) has no turn any more, and the others have theirs."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._waiting: deque[Lock] = deque()
        self._holder: Lock | None = None
        """The turn of who has it; nobody's where it is free."""

    def __enter__(self) -> None:
        turn = Lock()
        turn.acquire()
        try:
            with self._guard:
                if self._holder is None:
                    self._holder = turn
                    return
                self._waiting.append(turn)
            turn.acquire()
        except BaseException:
            self._leave(turn)
            raise

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._give_on()

    def _give_on(self) -> None:
        """It is given to the next one while it is held, so that nobody comes between."""
        if self._waiting:
            self._holder = self._waiting.popleft()
            self._holder.release()
        else:
            self._holder = None

    def _leave(self, turn: Lock) -> None:
        """It may have been given to us just now."""
        with self._guard:
            if self._holder is turn:
                self._give_on()
            elif turn in self._waiting:
                self._waiting.remove(turn)
