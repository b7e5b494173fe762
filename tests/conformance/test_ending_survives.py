"""Connections that a DATAPLANE_ATOMIC batch ends, and a device that is killed meanwhile, or gets a new layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from finsy.proto import p4r

from compiler.pipeline.assembly import pipeline
from runtime.device.failpoints import Point
from tests.conformance.client import Client, RpcRefusedError, entity
from tests.conformance.kernel import Topology, config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.serving import serving
from tests.conformance.talking import Talk
from tests.conformance.test_atomicity import ARP
from tests.conformance.test_relaid import take_service_away
from tests.conformance.test_traffic import CLIENT, FLOW, REVERSE, VIP, VIP_PORT
from tests.pipelines.relaid import relaid_pipeline

pytestmark = [pytest.mark.root, pytest.mark.slow]
UNSEEN = (Point.INTENT, Point.STAGED)
SEEN = (Point.TURNED, Point.LEFT, Point.ALIKE, Point.APPLIED)


@pytest.fixture
def ports() -> Iterator[Topology]:
    with topology("ces") as made:
        yield made


@pytest.fixture
def device(ports: Topology, tmp_path: Path) -> Iterator[Killable]:
    """Running, with a service and a backend that echoes."""
    with serving(tmp_path, ports) as made:
        yield made


def flows(client: Client) -> list[p4r.Entity]:
    return client.read(f"table_entry {{ table_id: {FLOW} }}")


def opened(client: Client, ports: Topology, count: int) -> list[tuple[Talk, p4r.Entity]]:
    """Connections, each with its entry."""
    made: list[tuple[Talk, p4r.Entity]] = []
    for _ in range(count):
        before = flows(client)
        talk = Talk(ports.behind(CLIENT), VIP, VIP_PORT)
        (entry,) = (one for one in flows(client) if _key(one) not in map(_key, before))
        made.append((talk, entry))
    return made


def _key(entity: p4r.Entity) -> list[bytes]:
    return [match.exact.value for match in entity.table_entry.match]


def ending(client: Client, entry: p4r.Entity, number: int) -> p4r.WriteRequest:
    """A batch that ends a connection and inserts an entry."""
    request = p4r.WriteRequest(device_id=1, atomicity=p4r.WriteRequest.DATAPLANE_ATOMIC)
    deleted = request.updates.add(type=p4r.Update.DELETE).entity.table_entry
    deleted.table_id = entry.table_entry.table_id
    deleted.match.extend(entry.table_entry.match)
    request.updates.add(type=p4r.Update.INSERT).entity.CopyFrom(inserted(number))
    return request


def inserted(number: int) -> p4r.Entity:
    return entity(ARP % (100 + number, number))


def is_whole(client: Client, ended: list[p4r.Entity], number: int) -> bool:
    """Both parts of the batch are there: no such connection, neither half, and the entry."""
    left = flows(client)
    halves = client.read(f"table_entry {{ table_id: {REVERSE} }}")
    keys = [_key(one) for one in left]
    return not any(_key(one) in keys for one in ended) and len(halves) == len(left) and _is_there(client, number)


def _is_there(client: Client, number: int) -> bool:
    wanted = inserted(number).table_entry
    return any(one.table_entry.match == wanted.match for one in client.read("table_entry { table_id: 0x02000003 }"))


def test_killed_between_the_steps(device: Killable, ports: Topology) -> None:
    """Packets meet the connection until the word has turned; then nobody does any more, whoever comes next."""
    points = UNSEEN + SEEN
    client = device.primary(100)
    (kept, _), *talks = opened(client, ports, 1 + len(points))
    take_service_away(client)
    for at, (point, (talk, entry)) in enumerate(zip(points, talks, strict=True)):
        device.die_at(point)
        with suppress(RpcRefusedError):  # it may have answered before the last of the steps
            client.write_request(ending(client, entry, at))
        device.dies()
        client.close()
        if point in UNSEEN:
            assert talk.goes_on(), f"while it is down, after {point}"
            assert kept.goes_on()
        else:
            answers = talk.answers
            assert kept.goes_on()
            assert talk.answers <= answers + 1, f"while it is down, after {point}"
        device.start()
        client = device.primary(101 + at)
        assert is_whole(client, [one for _, one in talks[: at + 1]], at), f"after {point}"
        assert len(flows(client)) == len(points) - at, f"after {point}"
        answers = talk.answers
        assert kept.goes_on()
        assert talk.answers <= answers + 1, f"after {point}"
        assert "Traceback" not in device.said
    kept.end()
    assert kept.failed is None
    for talk, _ in talks:
        talk.end()
        assert talk.failed is not None
    client.close()


def test_another_layout_right_behind_the_batch(device: Killable, ports: Topology) -> None:
    """RECONCILE_AND_COMMIT waits for what the batch has left to do: nothing that has ended is brought over."""
    client = device.primary(100)
    (kept, _), *talks = opened(client, ports, 5)
    take_service_away(client)
    configs = [config_of(relaid_pipeline(), "kernel"), config_of(pipeline(), "kernel")] * 2
    for at, ((talk, entry), config) in enumerate(zip(talks, configs, strict=True)):
        client.write_request(ending(client, entry, at))
        client.set_config("RECONCILE_AND_COMMIT", config)
        answers = talk.answers
        assert is_whole(client, [entry], at)
        assert len(flows(client)) == len(talks) - at
        assert kept.goes_on()
        assert talk.answers <= answers + 1
    kept.end()
    assert kept.failed is None
    for talk, _ in talks:
        talk.end()
        assert talk.failed is not None
    assert "Traceback" not in device.said
    client.close()
