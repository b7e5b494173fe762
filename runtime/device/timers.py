"""When the entries of one table are to be looked at for having been idle: a wheel of seconds. Pure.

Entries are found by the second in which they may have been idle long enough, so a look costs what is due and not what
there is. What is looked at and was hit in the meantime goes to a later second. Times are milliseconds of any clock.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from runtime.device.records import Row, RowKey

MS_PER_S = 1000
NS_PER_MS = 1_000_000
_SECOND_BITS = 32
_NEW, _TAKEN = 0, 1
"""Instead of a second: not begun, and in the hands of `take_due`'s caller."""


def timeout_ms(row: Row) -> int:
    """At least what was asked for, and above 0."""
    return -(-row.idle_timeout_ns // NS_PER_MS)


@dataclass(slots=True)
class IdleTimers:
    """Told of rows as they come, change and go. A MODIFY goes on with the timer, but for another timeout."""

    _timers: dict[RowKey, int] = field(default_factory=lambda: {})
    """When the timer last began, and the second in which it is looked at, as one number: there may be a million.

    It begins at the first look after the entry came, and when the entry's idleness is told.
    """
    _new: list[RowKey] = field(default_factory=lambda: [])
    _wheel: defaultdict[int, list[RowKey]] = field(default_factory=lambda: defaultdict(list))

    def __len__(self) -> int:
        return len(self._timers)

    def add(self, row: Row) -> None:
        if row.idle_timeout_ns:
            self._timers[row.key] = _NEW
            self._new.append(row.key)

    def replace(self, old: Row, new: Row) -> None:
        if old.idle_timeout_ns != new.idle_timeout_ns:
            self.remove(old.key)
            self.add(new)

    def remove(self, key: RowKey) -> None:
        self._timers.pop(key, None)

    def take_new(self, most: int) -> list[RowKey]:
        """Entries whose time is to `begin`, never earlier than they came."""
        found: list[RowKey] = []
        while self._new and not found:
            found = [key for key in self._new[-most:] if self._timers.get(key) == _NEW]
            del self._new[-most:]
        return found

    def begin(self, row: Row, now_ms: int) -> None:
        self._wait(row.key, now_ms, now_ms + timeout_ms(row))

    def take_due(self, now_ms: int, most: int) -> list[RowKey]:
        """Entries to `look` at now."""
        found: list[RowKey] = []
        for second in sorted(second for second in self._wheel if second <= now_ms // MS_PER_S):
            waiting = self._wheel[second]
            while waiting and len(found) < most:
                key = waiting.pop()
                timer = self._timers.get(key, _NEW)
                if timer & (1 << _SECOND_BITS) - 1 == second:
                    self._timers[key] = timer - second + _TAKEN
                    found.append(key)
            if waiting:
                break
            del self._wheel[second]
        return found

    def look(self, row: Row, idle_ms: int, now_ms: int) -> bool:
        """Whether the entry, which has not been hit for so long, has been idle for its timeout. It waits again then."""
        since_ms = self._timers[row.key] >> _SECOND_BITS
        timeout, idle = timeout_ms(row), min(idle_ms, now_ms - since_ms)
        if idle < timeout:
            self._wait(row.key, since_ms, now_ms + timeout - idle)
            return False
        self._wait(row.key, now_ms, now_ms + timeout)
        return True

    def _wait(self, key: RowKey, since_ms: int, until_ms: int) -> None:
        """Until the first whole second that is not earlier."""
        second = max(_TAKEN + 1, -(-until_ms // MS_PER_S))
        self._timers[key] = since_ms << _SECOND_BITS | second
        self._wheel[second].append(key)
