"""A lock that threads get in the order in which they came.

One of `threading` goes to whoever asks at the right moment: of fifty containers that start at once, some waited for a
second behind calls that take milliseconds and had come later. Used by the snapshotter.
"""

from __future__ import annotations

from collections import deque
from threading import Lock


class FairLock:
    """A context manager. Not to be entered again by the thread that has it."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._waiting: deque[Lock] = deque()
        self._is_held = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._is_held:
                self._is_held = True
                return
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def __exit__(self, *_: object) -> None:
        """It is given to the next one while it is held, so that nobody comes between."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_held = False
