"""How to take changes back, in the order in which they were made: what makes a batch all or nothing.

Whoever changes something that a Write can change, in the device or in a target, says right behind the change how to
undo it (`note`, or `put` and `pop` for a dictionary). Undoing runs backwards, so an inverse finds everything as its
change left it. What packets write too, as counters, is set when everything else has succeeded (`at_commit`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeAlias, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_ABSENT = object()
Inverse = Callable[[], object]
Was: TypeAlias = tuple[dict[Any, Any], Hashable, object]
"""What a dictionary held by a key, or `_ABSENT`: one object where a function that sets it would be four."""


class UndoLog:
    """Of one instance of a pipeline, from one commit to the next."""

    def __init__(self) -> None:
        self._inverses: list[Inverse | Was] = []
        self._finals: list[Callable[[], Inverse | None]] = []
        self._is_undoing = False

    def note(self, inverse: Inverse | Was) -> None:
        """`inverse` undoes what has just been done. It does not fail; what it does is not noted in its turn."""
        if not self._is_undoing:
            self._inverses.append(inverse)

    def put(self, held: dict[K, V], key: K, value: V) -> None:
        """Set `held[key]`, and note what it was."""
        self.note((held, key, held.get(key, _ABSENT)))
        held[key] = value

    def pop(self, held: dict[K, V], key: K) -> V:
        """Take `held[key]` out, and note what it was."""
        value = held.pop(key)
        self.note((held, key, value))
        return value

    def at_commit(self, final: Callable[[], Inverse | None]) -> None:
        """Have `final` run when everything else has succeeded; it returns how to undo it, if that can be.

        It may raise `RefusedError`, which undoes the rest.
        """
        self._finals.append(final)
        self.note(self._finals.pop)

    @property
    def mark(self) -> int:
        """Where `back_to` can come back to."""
        return len(self._inverses)

    def back_to(self, mark: int) -> None:
        """Undo everything since `mark`."""
        self._is_undoing = True
        try:
            while len(self._inverses) > mark:
                _undo(self._inverses.pop())
        finally:
            self._is_undoing = False

    def finish(self) -> None:
        """Do what waits for the end. Raises `RefusedError`."""
        for final in self._finals:
            inverse = final()
            if inverse is not None:
                self.note(inverse)

    def clear(self) -> None:
        """Nothing of what was noted will be undone any more."""
        self._inverses.clear()
        self._finals.clear()


def _undo(inverse: Inverse | Was) -> None:
    if callable(inverse):
        inverse()
        return
    held, key, old = inverse
    if old is _ABSENT:
        del held[key]
    else:
        held[key] = old
