"""From everything that was done to the few acts that still show what was found. Knows nothing of devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.verification.findings import Finding
from runtime.verification.proof.acts import Act

Again = Callable[[Sequence[Act]], Finding | None]
"""Does acts on new devices; what is found then."""
MOST_TRIES = 200


def shrink(acts: Sequence[Act], again: Again, *, tries: int = MOST_TRIES) -> tuple[list[Act], Finding | None]:
    """The fewest acts found within that many tries, and what they show; None when not even all of them show it again.

    What was found last shows after few acts as a rule, so it begins with the last one and doubles; what is left is
    halved and halved again (Zeller's ddmin). The last act stays.
    """
    search = _Search(again, tries)
    kept, found = search.tail(list(acts))
    if found is None:
        return kept, None
    return search.thin_out(kept, found)


class _Search:
    def __init__(self, again: Again, tries: int) -> None:
        self._again, self._left = again, tries

    def _try(self, acts: Sequence[Act]) -> Finding | None:
        self._left -= 1
        return self._again(acts)

    def tail(self, acts: list[Act]) -> tuple[list[Act], Finding | None]:
        """The shortest end of the list, by doubling, that shows something."""
        length = 1
        while length < len(acts):
            found = self._try(acts[-length:])
            if found is not None:
                return acts[-length:], found
            length *= 2
        return acts, self._try(acts)

    def thin_out(self, acts: list[Act], found: Finding) -> tuple[list[Act], Finding]:
        size = max(1, (len(acts) - 1) // 2)
        while len(acts) > 1 and self._left > 0:
            shorter, at = acts, 0
            while at < len(shorter) - 1 and self._left > 0:
                candidate = [*shorter[:at], *shorter[min(at + size, len(shorter) - 1) :]]
                other = self._try(candidate)
                if other is None:
                    at += size
                else:
                    shorter, found = candidate, other
            if size == 1 and len(shorter) == len(acts):
                break
            acts, size = shorter, max(1, size // 2)
        return acts, found
