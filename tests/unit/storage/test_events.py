"""What the agent's metrics make of events."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from agents.storage.io.events import Event, Kind, Value
from agents.storage.metrics import Metrics

FIELDS: dict[str, Value] = {
    "method": "Prepare",
    "code": "OK",
    "seconds": 0.5,
    "at": "",
    "why": "trace",
    "bytes": 12_345,
    "purpose": "disks",
    "reason": "needed",
}


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_is_counted(kind: Kind) -> None:
    metrics = Metrics()
    before = generate_latest(metrics.registry)
    metrics.hear(Event(kind, FIELDS))
    assert generate_latest(metrics.registry) != before


def test_bytes_brought_into_memory() -> None:
    metrics = Metrics()
    metrics.hear(Event(Kind.PRELOADED, FIELDS))
    assert b"turnout_storage_preloaded_bytes_total 12345.0\n" in generate_latest(metrics.registry)
