"""Notifications of entries that have been idle (specification, "Table Idle Timeout Notification").

About once a second the entries that may be over are looked at, a hundred at a time, and the event loop goes on in
between. An entry stays: to take it away is the controller's decision. It is told again when it has been idle for its
timeout once more. What nobody takes, or a slow client does not, is lost, as the specification allows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from finsy.proto import p4r

from compiler.ir.interpreter.matching import IDLE_GRANULARITY_MS
from runtime.device.contents import TableContents
from runtime.device.loaded import Loaded
from runtime.device.records import Row, RowKey
from runtime.device.timers import NS_PER_MS, IdleTimers

AT_ONCE = 100
"""Entries that are looked at without letting go of the event loop, and in one notification at most."""
MAX_BYTES = 1 << 20
"""Of entries in one notification: metadata may be long, and clients take 4 MiB unless told otherwise.

An entry that is longer by itself comes alone.
"""
BEGIN_AT_ONCE = 1000
Tell = Callable[[p4r.StreamMessageResponse], bool]
"""False when nobody has taken the message."""


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
        loaded = self._running()
        if loaded is None:
            return
        for table in loaded.contents.tables.values():
            if table.timers is not None:
                await self._scan_table(loaded, table, table.timers)

    async def _scan_table(self, loaded: Loaded, table: TableContents, timers: IdleTimers) -> None:
        now_ms, is_heard = self._clock_ms(), True
        while self._running() is loaded and (new := timers.take_new(BEGIN_AT_ONCE)):
            for key in new:
                timers.begin(table.rows[key], now_ms)
            await asyncio.sleep(0)
        while self._running() is loaded and (due := timers.take_due(now_ms, AT_ONCE)):
            for made in _notifications(table, _over(loaded, table, timers, due, now_ms)):
                is_heard = is_heard and self._tell(p4r.StreamMessageResponse(idle_timeout_notification=made))
            await asyncio.sleep(0)


def resume(loaded: Loaded, now_ms: int) -> None:
    """Begin the time of all entries where packets last met them: they are older than this process or this pipeline.

    What had been idle for its timeout is told at the next look, since nobody may have heard of it.
    """
    for name, table in loaded.contents.tables.items():
        while table.timers is not None and (new := table.timers.take_new(BEGIN_AT_ONCE)):
            idle = loaded.instance.idle_ms(name, [table.codec.entry_key(key) for key in new])
            for key, idle_ms in zip(new, idle, strict=True):
                table.timers.begin(table.rows[key], max(0, now_ms - idle_ms))


def _over(loaded: Loaded, table: TableContents, timers: IdleTimers, keys: list[RowKey], now_ms: int) -> list[Row]:
    codec, rows = table.codec, [table.rows[key] for key in keys]
    idle = loaded.instance.idle_ms(codec.name, [codec.entry_key(key) for key in keys])
    # A hit is written down up to IDLE_GRANULARITY_MS late; nothing is called idle that may not be.
    pairs = zip(rows, idle, strict=True)
    return [row for row, idle_ms in pairs if timers.look(row, idle_ms - IDLE_GRANULARITY_MS, now_ms)]


def _notifications(table: TableContents, rows: list[Row]) -> Iterator[p4r.IdleTimeoutNotification]:
    """None of them is empty (specification), and none longer than `MAX_BYTES` if it has more than one entry."""
    made, size = p4r.IdleTimeoutNotification(timestamp=time.time_ns()), 0
    for row in rows:
        entry = table.codec.encode(row)
        entry.ClearField("action")
        if made.table_entry and size + entry.ByteSize() > MAX_BYTES:
            yield made
            made, size = p4r.IdleTimeoutNotification(timestamp=time.time_ns()), 0
        size += entry.ByteSize()
        made.table_entry.append(entry)
    if made.table_entry:
        yield made
