"""When a journal's logs become a snapshot: at once when they are far too long, else once little is written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from runtime.device.compaction import CALM_BYTES, REST, Compaction
from runtime.device.configs import Configs
from runtime.device.journal.journal import LONGEST_BYTES, SHORT_BYTES, Recorder, Snapshot
from runtime.device.journal.records import End, Record


@dataclass
class FakeJournal:
    """Says how long its logs are."""

    log_bytes: int = 0

    @property
    def is_long(self) -> bool:
        return self.log_bytes > SHORT_BYTES

    @property
    def is_too_long(self) -> bool:
        return self.log_bytes > LONGEST_BYTES


@dataclass
class Begun(Compaction):
    """Counts snapshots, and makes none."""

    journal: FakeJournal
    count: int = field(default=0)

    def __post_init__(self) -> None:
        super().__init__(cast("Configs", None), cast("Recorder", cast("Any", self.journal)))

    def begin(self) -> None:
        self.count += 1

    def write(self, snapshot: Snapshot, records: Iterator[Record]) -> Coroutine[Any, Any, None]:
        return self._write(snapshot, records)


def test_who_writes_fast_is_not_kept_waiting() -> None:
    journal = FakeJournal()
    compaction = Begun(journal)
    while journal.log_bytes + CALM_BYTES <= LONGEST_BYTES:
        journal.log_bytes += CALM_BYTES
        compaction.tick()
    assert compaction.count == 0
    journal.log_bytes += CALM_BYTES
    compaction.tick()
    assert compaction.count == 1


@pytest.mark.parametrize("each", [0, 1, CALM_BYTES - 1])
def test_a_long_log_becomes_a_snapshot_once_little_is_written(each: int) -> None:
    journal = FakeJournal(SHORT_BYTES)
    compaction = Begun(journal)
    compaction.tick()
    assert compaction.count == 0, "not longer than it may be"
    journal.log_bytes += 2 * CALM_BYTES
    compaction.tick()
    assert compaction.count == 0
    journal.log_bytes += each
    compaction.tick()
    assert compaction.count == 1


@dataclass
class FakeSnapshot:
    """Of pieces that take 2 ms each."""

    added: int = 0
    is_whole: bool = False

    def add(self, record: Record) -> None:
        del record
        time.sleep(0.002)
        self.added += 1

    def finish(self) -> None:
        self.is_whole = True


@pytest.mark.parametrize(("length", "rests"), [(SHORT_BYTES + 1, True), (LONGEST_BYTES + 1, False)])
def test_others_have_most_of_the_time_while_a_snapshot_is_written(
    length: int, rests: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the log is far too long already: then whoever writes is kept waiting before the disk is full."""
    slept, sleep = list[float](), asyncio.sleep

    async def noted(delay_s: float) -> None:
        slept.append(delay_s)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    snapshot = FakeSnapshot()
    written = Begun(FakeJournal(length)).write(cast("Snapshot", cast("Any", snapshot)), iter([End()] * 5))
    asyncio.run(written)
    assert (snapshot.added, snapshot.is_whole, len(slept)) == (5, True, 5)
    assert all(delay_s >= REST * 0.002 if rests else delay_s == 0 for delay_s in slept)
