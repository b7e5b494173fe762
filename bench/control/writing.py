"""What is asked of a device, one kind of write after the other, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from finsy.proto import p4r

from bench.control.device_process import Client, Device
from bench.control.updates import (
    DELETE,
    INSERT,
    MODIFY,
    SERVICE,
    Make,
    backend,
    group,
    host,
    member,
    mixed,
    neighbor,
    route,
    service,
)

BATCH = 1000
PAUSE_S = 0.002
"""Between single writes: nobody sends them back to back for long."""
MOST_MEMBERS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One kind of write. `batches_s` is how long the client waited for each answer."""

    what: str
    updates: int
    batches_s: list[float]
    device_cpu_s: float
    memory_mb: float

    @property
    def per_s(self) -> float:
        return self.updates / sum(self.batches_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A table filled, read, and had again by a device that was killed."""

    entries: int
    load_s: float
    read_s: float
    journal_mb: float
    memory_mb: float
    restart_s: float
    memory_after_mb: float
    is_whole: bool
    """All entries were there after the restart."""


def kinds(device: Device, client: Client, count: int) -> Iterator[Written]:
    """Batches of every kind, `count` updates each; fewer where a table holds less. All is deleted again at the end."""
    members = min(count, MOST_MEMBERS)
    neighbors = min(count, 60_000)
    yield measured(device, client, "insert exact", _all(service, INSERT, count))
    yield measured(device, client, "insert exact, arguments differ", _all(host, INSERT, count))
    yield measured(device, client, "insert prefixes", _all(route, INSERT, count))
    yield measured(device, client, "insert into an array", _all(neighbor, INSERT, neighbors))
    yield measured(device, client, "insert members", _all(member, INSERT, members))
    yield measured(device, client, "insert groups of two", _all(group, INSERT, members // 2))
    yield measured(device, client, "insert entries to groups", _all(backend, INSERT, members // 2))
    yield measured(device, client, "modify exact", _all(host, MODIFY, count))
    yield measured(device, client, "mixed kinds and tables", mixed(count // 5))
    yield measured(device, client, "delete exact", _all(host, DELETE, count))
    rest = [*_all(backend, DELETE, members // 2), *_all(group, DELETE, members // 2), *_all(member, DELETE, members)]
    yield measured(device, client, "delete entries, groups, members", rest)


def singles(device: Device, client: Client, count: int) -> Iterator[Written]:
    """One update a request: with a pause in between, and back to back."""
    first = 5_000_000
    yield measured(device, client, "single write, spaced", _all(service, INSERT, count, first), size=1, pause_s=PAUSE_S)
    yield measured(device, client, "single write, back to back", _all(service, INSERT, count, first + count), size=1)


def measured(
    device: Device,
    client: Client,
    what: str,
    updates: Iterable[p4r.Update],
    *,
    size: int = BATCH,
    pause_s: float = 0,
) -> Written:
    waits: list[float] = []
    total, before, given = 0, device.cpu_s(), iter(updates)
    while batch := list(islice(given, size)):
        waits.append(client.write(batch))
        total += len(batch)
        if pause_s:
            time.sleep(pause_s)
    used = device.cpu_s() - before
    return Written(what=what, updates=total, batches_s=waits, device_cpu_s=used, memory_mb=device.memory_mb())


def kept(device: Device, client: Client, entries: int) -> Kept:
    """Fill a table up to so many, read, kill, start: the client is of no use any more then."""
    count = entries - client.count(SERVICE)
    loaded = measured(device, client, "load", _all(service, INSERT, count, first=10_000_000))
    begun = time.perf_counter()
    found = client.count(SERVICE)
    read_s = time.perf_counter() - begun
    journal_mb, memory_mb = device.journal_mb(), device.memory_mb()
    client.close()
    device.kill()
    restart_s = device.start()
    again = Client(device.address, election_id=2)
    is_whole = again.count(SERVICE) == found == entries
    again.close()
    return Kept(
        entries=entries,
        load_s=sum(loaded.batches_s),
        read_s=read_s,
        journal_mb=journal_mb,
        memory_mb=memory_mb,
        restart_s=restart_s,
        memory_after_mb=device.memory_mb(),
        is_whole=is_whole,
    )


def _all(make: Make, kind: p4r.Update.Type.ValueType, count: int, first: int = 0) -> Iterator[p4r.Update]:
    return (make(kind, number) for number in range(first, first + count))
