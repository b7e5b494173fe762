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


@dataclass(slots=True)
class _Timer:
    """`since_ms` is when it last began: at the first look after the entry came, or when its idleness was last told."""

    timeout_ms: int
    since_ms: int = 0
    second: int = -1
    """Where in the wheel it is, -1 for nowhere yet."""


@dataclass(slots=True)
class IdleTimers:
    """Told of rows as they come, change and go. A MODIFY goes on with the timer, but for another timeout."""

    _timers: dict[RowKey, _Timer] = field(default_factory=lambda: {})
    _new: dict[RowKey, None] = field(default_factory=lambda: {})
    _wheel: defaultdict[int, list[RowKey]] = field(default_factory=lambda: defaultdict(list))

    def __len__(self) -> int:
        return len(self._timers)

    def add(self, row: Row) -> None:
        if row.idle_timeout_ns:
            self._timers[row.key] = _Timer(-(-row.idle_timeout_ns // NS_PER_MS))
            self._new[row.key] = None

    def replace(self, old: Row, new: Row) -> None:
        if old.idle_timeout_ns != new.idle_timeout_ns:
            self.remove(old.key)
            self.add(new)

    def remove(self, key: RowKey) -> None:
        self._timers.pop(key, None)
        self._new.pop(key, None)

    def begin(self, now_ms: int) -> None:
        """Those that are new begin now: never earlier than they came."""
        for key in self._new:
            timer = self._timers[key]
            timer.since_ms = now_ms
            self._wait(key, timer, now_ms + timer.timeout_ms)
        self._new.clear()

    def take_due(self, now_ms: int, most: int) -> list[RowKey]:
        """Entries to look at now. Each goes back by `look`, or is forgotten until then."""
        found: list[RowKey] = []
        for second in sorted(second for second in self._wheel if second <= now_ms // MS_PER_S):
            waiting = self._wheel[second]
            while waiting and len(found) < most:
                key = waiting.pop()
                timer = self._timers.get(key)
                if timer is not None and timer.second == second:
                    timer.second = -1
                    found.append(key)
            if waiting:
                break
            del self._wheel[second]
        return found

    def look(self, key: RowKey, idle_ms: int, now_ms: int) -> bool:
        """Whether the entry, which has not been hit for so long, has been idle for its timeout. It waits again then."""
        timer = self._timers.get(key)
        if timer is None:
            return False
        idle = min(idle_ms, now_ms - timer.since_ms)
        is_over = idle >= timer.timeout_ms
        if is_over:
            timer.since_ms, idle = now_ms, 0
        self._wait(key, timer, now_ms + timer.timeout_ms - idle)
        return is_over

    def _wait(self, key: RowKey, timer: _Timer, until_ms: int) -> None:
        """Until the first whole second that is not earlier."""
        timer.second = -(-until_ms // MS_PER_S)
        self._wheel[timer.second].append(key)
