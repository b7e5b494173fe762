"""A service written by finsy, and a connection that follows it: learned entries, counters, deletion."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import finsy as fy
import pytest
from finsy.proto import p4r

from runtime.bpf.namespaces import entered
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import Device
from tests.conformance.kernel import ADDRESS

CLIENT, BACKEND = 16, 17
VIP, VIP_PORT, TARGET_PORT = "10.96.0.10", 80, 8080
GATEWAY_MAC = "02:00:00:00:00:fe"
FLOW, REVERSE, SERVICE = "0x02000011", "0x02000012", "0x02000013"


def service_entities() -> list[list[fy.P4TableEntry | fy.P4ActionProfileMember | fy.P4ActionProfileGroup]]:
    """Batches, in an order in which each finds what it refers to."""

    def deliver(port: int) -> fy.Action:
        mac = f"02:00:00:00:00:{port:02x}"
        return fy.Action("deliver", network=1, port=port, mtu=1500, dst_mac=mac, src_mac=GATEWAY_MAC, vlan=0)

    workloads = (CLIENT, BACKEND)
    entries = [
        *(fy.P4TableEntry("port", match=fy.Match(port=p, vlan=0), action=fy.Action("set_workload", network=1, nexthop=p)) for p in workloads),
        *(fy.P4TableEntry("arp", match=fy.Match(network=1, address=ADDRESS.format(n)), action=fy.Action("answer", mac=GATEWAY_MAC)) for n in (CLIENT, BACKEND, 254)),
        *(fy.P4TableEntry("neighbor", match=fy.Match(nexthop=p), action=deliver(p)) for p in workloads),
        *(fy.P4TableEntry("route_ipv4", match=fy.Match(network=1, dst=f"{ADDRESS.format(p)}/32"), action=fy.Action("via", nexthop=p)) for p in workloads),
        fy.P4TableEntry("backend_ipv4", match=fy.Match(service_id=1), action=fy.P4IndirectAction(group_id=1)),
    ]  # fmt: skip
    service = fy.P4TableEntry(
        "service_ipv4",
        match=fy.Match(network=1, address=VIP, protocol=6, port=VIP_PORT),
        action=fy.Action("to_service_ipv4", service_id=1, hairpin=VIP, affinity_ms=0),
    )
    backend = fy.Action("to_backend_ipv4", address=ADDRESS.format(BACKEND), port=TARGET_PORT)
    return [
        [fy.P4ActionProfileMember("backends_ipv4", member_id=1, action=backend)],
        [fy.P4ActionProfileGroup("backends_ipv4", group_id=1, members=[fy.P4Member(1, weight=1)], max_size=10)],
        list(entries),
        [service],
    ]


async def write_with_finsy(device: Device, election_id: int, folder: Path) -> None:
    info, blob = folder / "p4info.txt", folder / "bundle"
    info.write_text(str(device.config.p4info))
    blob.write_bytes(device.config.p4_device_config)
    options = fy.SwitchOptions(
        p4info=info, p4blob=blob, p4force=True, initial_election_id=election_id, channel_credentials=None
    )
    async with fy.Switch("device", device.address, options) as switch:
        assert switch.is_primary
        for batch in service_entities():
            await switch.insert(batch)
        read: Any = switch.read  # its overloads are not those of an async generator
        found = [entry async for entry in read(fy.P4TableEntry("service_ipv4"))]
        wanted = {"network": 1, "address": IPv4Address(VIP), "protocol": 6, "port": VIP_PORT}
        assert [dict(entry.match or {}) for entry in found] == [wanted]


@pytest.fixture
def served(device: Device, connect: Callable[[], Client], next_id: int, tmp_path: Path) -> Client:
    """A device with the service, and a client that reads."""
    asyncio.run(write_with_finsy(device, next_id, tmp_path))
    client = connect()
    client.become_primary(next_id)
    return client


@contextmanager
def answering(namespace: str) -> Generator[None]:
    """A server on `TARGET_PORT` that says who asked."""
    with entered(namespace):
        listener = socket.create_server(("0.0.0.0", TARGET_PORT))

    def serve() -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(f"{peer[0]} {connection.recv(100).decode()}".encode())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def ask(namespace: str) -> str:
    with entered(namespace):
        connection = socket.socket()
    with connection:
        connection.settimeout(5)
        connection.connect((VIP, VIP_PORT))
        connection.sendall(b"hello")
        return connection.recv(100).decode()


def test_a_connection_to_the_service(served: Client, device: Device) -> None:
    if device.ports is None:
        return  # the model has no wire; writing and reading the service was the test
    with answering(device.ports.behind(BACKEND)):
        assert ask(device.ports.behind(CLIENT)) == f"{ADDRESS.format(CLIENT)} hello"
    (flow,) = served.read(f"table_entry {{ table_id: {FLOW} time_since_last_hit {{ }} counter_data {{ }} }}")
    (reverse,) = served.read(f"table_entry {{ table_id: {REVERSE} counter_data {{ }} }}")
    entry = flow.table_entry
    assert entry.counter_data.packet_count >= 4
    assert entry.counter_data.byte_count > 4 * 54
    assert entry.idle_timeout_ns in (60_000_000_000, 10_000_000_000, 7_440_000_000_000)
    assert 0 <= entry.time_since_last_hit.elapsed_ns < 5_000_000_000
    assert [match.exact.value for match in entry.match][2:5] == [b"\6", bytes((10, 0, 0, 16)), bytes((10, 96, 0, 10))]
    assert reverse.table_entry.counter_data.packet_count >= 3
    (service,) = served.read(f"table_entry {{ table_id: {SERVICE} counter_data {{ }} }}")
    assert service.table_entry.counter_data.packet_count == 1
    requests = served.read("counter_entry { counter_id: 0x12000002 index { index: 1 } }")
    assert requests[0].counter_entry.data.packet_count == entry.counter_data.packet_count + 1
    _delete_flow(served, flow.table_entry.match)


def _delete_flow(client: Client, matches: Iterable[p4r.FieldMatch]) -> None:
    """One half is deleted, in one step with a table, and both are gone; but not in a batch that fails."""
    update = p4r.Update(type=p4r.Update.DELETE)
    update.entity.table_entry.table_id = int(FLOW, 16)
    update.entity.table_entry.match.extend(matches)
    (service,) = client.read(f"table_entry {{ table_id: {SERVICE} }}")
    taken = p4r.Update(type=p4r.Update.DELETE, entity=service)
    again = p4r.Update(type=p4r.Update.INSERT, entity=service)
    flows = (f"table_entry {{ table_id: {FLOW} }}", f"table_entry {{ table_id: {REVERSE} }}")
    atomic = p4r.WriteRequest.DATAPLANE_ATOMIC
    with pytest.raises(RpcRefusedError):
        client.write_request(p4r.WriteRequest(device_id=1, atomicity=atomic, updates=[update, taken, taken]))
    assert len(client.read(*flows)) == 2
    client.write_request(p4r.WriteRequest(device_id=1, atomicity=atomic, updates=[update, taken, again]))
    assert client.read(*flows) == []
