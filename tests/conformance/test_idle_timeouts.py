"""Idle timeouts of a small pipeline's entries, on both targets: notifications to the primary, and reads."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from finsy.proto import p4r

from runtime.bpf.namespaces import entered
from runtime.device.idling import AT_ONCE
from tests.conformance.client import Client, Session, entity
from tests.conformance.conftest import Device
from tests.conformance.kernel import config_of
from tests.differential.metered import frame, metered

ENTRY = r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\%03o" } } %s }'
POLICE = "action { action { action_id: 0x01000001 } }"
S = 1_000_000_000


@dataclass(frozen=True)
class Watched:
    """A primary and its stream."""

    client: Client
    session: Session

    def hear(self, within_s: float) -> list[list[int]]:
        """The sources of the entries of each notification that comes in a time."""
        found: list[list[int]] = []
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            for message in self.session.heard(0.1):
                told = message.idle_timeout_notification
                assert abs(told.timestamp - time.time_ns()) < 20 * S
                found.append([int.from_bytes(one.match[0].exact.value, "big") for one in told.table_entry])
        return found


@pytest.fixture
def watched(connect: Callable[[], Client], device: Device, next_id: int) -> Watched:
    client = connect()
    session = client.become_primary(next_id)
    client.set_config("VERIFY_AND_COMMIT", config_of(metered(), device.target))
    return Watched(client, session)


def timed(source: int, timeout_ns: int) -> str:
    return ENTRY % (source, f'{POLICE} idle_timeout_ns: {timeout_ns} metadata: "m"')


def test_the_primary_is_told_again_and_again_and_the_entry_stays(watched: Watched) -> None:
    watched.client.write(f"INSERT {timed(1, S)}", f"INSERT {ENTRY % (2, POLICE)}", f"INSERT {timed(3, 600 * S)}")
    heard = watched.hear(5.5)
    assert len(heard) >= 2
    assert all(sources == [1] for sources in heard)
    wanted = [entity(timed(1, S)), entity(ENTRY % (2, POLICE)), entity(timed(3, 600 * S))]
    assert watched.client.read("table_entry { }") == wanted
    watched.client.write(f"MODIFY {timed(1, 0)}")
    assert watched.hear(2.5) == []


def test_time_since_the_last_hit_is_read_when_it_is_asked_for(watched: Watched) -> None:
    watched.client.write(f"INSERT {timed(1, 0)}")
    time.sleep(0.6)
    (found,) = watched.client.read(ENTRY % (1, "time_since_last_hit { }"))
    assert 0.4 * S <= found.table_entry.time_since_last_hit.elapsed_ns <= 5 * S
    (found,) = watched.client.read(ENTRY % (1, ""))
    assert not found.table_entry.HasField("time_since_last_hit")


def test_packets_keep_an_entry_from_being_idle(watched: Watched, device: Device) -> None:
    if device.ports is None:
        return  # the model has no wire; its clock and packets are in tests/unit/device/test_idling.py
    watched.client.write(f"INSERT {timed(1, 2 * S)}", f"INSERT {timed(2, 2 * S)}")
    with entered(device.ports.behind(16)):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with wire:
        wire.bind(("eth0", 0))
        heard: list[list[int]] = []
        for _ in range(20):
            wire.send(frame(1))
            heard += watched.hear(0.25)
    assert heard
    assert all(sources == [2] for sources in heard)
    (found,) = watched.client.read(ENTRY % (1, "time_since_last_hit { } counter_data { }"))
    assert found.table_entry.time_since_last_hit.elapsed_ns < 2 * S
    assert found.table_entry.counter_data.packet_count == 20


def test_thousands_of_entries_that_are_idle_at_once(watched: Watched, device: Device) -> None:
    """They come in pieces, every one of them, and clients need not raise the limits that gRPC has."""
    pipeline, count = metered(), 8000
    large = replace(pipeline, tables=tuple(replace(table, size=count) for table in pipeline.tables))
    watched.client.set_config("VERIFY_AND_COMMIT", config_of(large, device.target))
    template = entity(timed(1, 3 * S)).table_entry
    template.metadata = b"m" * 1000
    for first in range(0, count, 1000):
        request = p4r.WriteRequest(device_id=1)
        for source in range(first, first + 1000):
            template.match[0].exact.value = source.to_bytes(2, "big").lstrip(b"\0") or b"\0"
            request.updates.add(type=p4r.Update.INSERT).entity.table_entry.CopyFrom(template)
        watched.client.write_request(request)
    heard: list[int] = []
    end = time.monotonic() + 60
    while len(set(heard)) < count:
        assert time.monotonic() < end, len(set(heard))
        for sources in watched.hear(0.5):
            assert 1 <= len(sources) <= AT_ONCE
            heard += sources
    assert set(heard) == set(range(count))


def test_a_backup_is_not_told(watched: Watched, connect: Callable[[], Client], next_id: int) -> None:
    backup = connect().session()
    backup.arbitrate(next_id - 1)
    assert backup.told()[1] == next_id
    watched.client.write(f"INSERT {timed(1, S)}")
    assert [1] in watched.hear(4)
    assert backup.is_silent()
