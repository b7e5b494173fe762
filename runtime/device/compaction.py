"""Long journals become snapshots, beside everything else that the device does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

from runtime.device.configs import Configs
from runtime.device.failpoints import Point, reached
from runtime.device.journal.journal import Recorder, Snapshot
from runtime.device.journal.records import Record
from runtime.device.journal.snapshots import records_of

LOG = logging.getLogger("turnout.device")
RETRY_S = 60.0
CALM_BYTES = 256 << 10
"""Of the log, between two ticks: who writes more is in a hurry, and a snapshot takes a third of the device's time."""
REST = 3
"""So many times as long as a piece has taken the device rests before the next, for writes that come one by one."""


class Compaction:
    """At most one snapshot at a time."""

    def __init__(self, configs: Configs, journal: Recorder) -> None:
        self._configs = configs
        self._journal = journal
        self._running: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._seen_bytes = 0
        """How long the logs were at the last tick."""

    @property
    def is_running(self) -> bool:
        return self._running is not None and not self._running.done()

    def tick(self) -> None:
        """About once a second, between two changes."""
        length = self._journal.log_bytes
        is_calm, self._seen_bytes = length - self._seen_bytes < CALM_BYTES, length
        if self.is_running or time.monotonic() < self._not_before:
            return
        if self._journal.is_too_long or (is_calm and self._journal.is_long):
            self.begin()

    def begin(self) -> None:
        """From what is true now."""
        try:
            snapshot = self._journal.begin_snapshot()
            records = self._records()
            reached(Point.SNAPSHOT_BEGUN)
        except OSError as problem:
            self._failed(problem)
            return
        self._running = asyncio.create_task(self._write(snapshot, records))

    async def close(self) -> None:
        """One that is not finished is given up: the logs say the same."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _records(self) -> Iterator[Record]:
        """References to everything are taken here; what comes out of it is encoded piece by piece."""
        parts: list[Iterator[Record]] = []
        configs = self._configs
        for action, loaded in (("VERIFY_AND_COMMIT", configs.committed), ("VERIFY_AND_SAVE", configs.saved)):
            if loaded is not None:
                parts.append(iter([self._journal.describe(action, loaded.config, loaded.instance.place)]))
                parts.append(records_of(loaded))
        return (record for part in parts for record in part)

    async def _write(self, snapshot: Snapshot, records: Iterator[Record]) -> None:
        try:
            begun_s = time.monotonic()
            for record in records:
                snapshot.add(record)
                reached(Point.SNAPSHOT_PIECE)
                await asyncio.sleep(self._rest_s(time.monotonic() - begun_s))
                begun_s = time.monotonic()
            snapshot.finish()
        except OSError as problem:
            snapshot.abandon()
            self._failed(problem)
        except BaseException:
            snapshot.abandon()
            raise

    def _rest_s(self, took_s: float) -> float:
        return 0.0 if self._journal.is_too_long else REST * took_s

    def _failed(self, problem: OSError) -> None:
        self._not_before = time.monotonic() + RETRY_S
        LOG.warning("journal: no snapshot could be written (%s); it is tried again in a minute", problem)
