"""When a journal's logs become a snapshot: at once when they are far too long, else once little is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from runtime.device.compaction import CALM_BYTES, Compaction
from runtime.device.configs import Configs
from runtime.device.journal.journal import LONGEST_BYTES, SHORT_BYTES, Recorder


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
