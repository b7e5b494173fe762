"""Notifications of entries that have been idle (specification, "Table Idle Timeout Notification").

About once a second the entries that may be over are looked at, some hundreds at a time, and the event loop goes on in
between. An entry stays: to take it away is the controller's decision. It is told again when it has been idle for its
timeout once more. What a slow client does not take is lost, as the specification allows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from finsy.proto import p4r

from compiler.ir.interpreter.matching import IDLE_GRANULARITY_MS
from runtime.device.contents import TableContents
from runtime.device.loaded import Loaded
from runtime.device.records import Row, RowKey
from runtime.device.timers import NS_PER_MS

AT_ONCE = 500
"""Entries that are looked at without letting go of the event loop, and in one notification at most."""
Tell = Callable[[p4r.StreamMessageResponse], object]


def monotonic_ms() -> int:
    return time.monotonic_ns() // NS_PER_MS


class Idling:
    """`running` gives the config that packets pass, None when there is none or when it is being changed."""

    def __init__(
        self, running: Callable[[], Loaded | None], tell: Tell, *, clock_ms: Callable[[], int] = monotonic_ms
    ) -> None:
        self._running, self._tell, self._clock_ms = running, tell, clock_ms
        self._scan: asyncio.Task[None] | None = None

    def tick(self) -> None:
        """Begin to look, unless the last look is still going on."""
        if self._scan is None or self._scan.done():
            self._scan = asyncio.create_task(self.scan())

    async def close(self) -> None:
        if self._scan is not None:
            self._scan.cancel()
            await asyncio.gather(self._scan, return_exceptions=True)

    async def scan(self) -> None:
        """Look at all entries that are due."""
        loaded, now_ms = self._running(), self._clock_ms()
        tables = [] if loaded is None else [t for t in loaded.contents.tables.values() if t.timers is not None]
        for table in tables:
            if table.timers is not None:
                table.timers.begin(now_ms)
            while loaded is not None and self._running() is loaded and self._look(loaded, table, now_ms):
                await asyncio.sleep(0)

    def _look(self, loaded: Loaded, table: TableContents, now_ms: int) -> bool:
        """At some of those that are due; False when none is left."""
        keys = table.timers.take_due(now_ms, AT_ONCE) if table.timers is not None else []
        if keys:
            over = self._over(loaded, table, keys, now_ms)
            if over:
                self._tell(p4r.StreamMessageResponse(idle_timeout_notification=_notification(table, over)))
        return len(keys) == AT_ONCE

    def _over(self, loaded: Loaded, table: TableContents, keys: list[RowKey], now_ms: int) -> list[Row]:
        timers, codec = table.timers, table.codec
        if timers is None:
            return []
        idle = loaded.instance.idle_ms(codec.name, [codec.entry_key(key) for key in keys])
        # A hit is written down up to IDLE_GRANULARITY_MS late; nothing is called idle that may not be.
        return [
            table.rows[key]
            for key, idle_ms in zip(keys, idle, strict=True)
            if timers.look(key, idle_ms - IDLE_GRANULARITY_MS, now_ms)
        ]


def _notification(table: TableContents, rows: list[Row]) -> p4r.IdleTimeoutNotification:
    made = p4r.IdleTimeoutNotification(timestamp=time.time_ns())
    for row in rows:
        entry = table.codec.encode(row)
        entry.ClearField("action")
        made.table_entry.append(entry)
    return made
