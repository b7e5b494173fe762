"""A service that has lost its backends: clients hear of it at once, and who is connected stays connected."""

from __future__ import annotations

import socket

import pytest

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import CLIENT, SINGLE, SINK_PORT, WEB_1, Shop, find
from tests.root.end_to_end.traffic import digest_of, family_of, sink

pytestmark = [pytest.mark.root, pytest.mark.slow]
PATIENCE_S = 60
"""Far longer than a refusal takes; the kernel gives a silent service up later still."""


def refused_tcp(namespace: str, address: str) -> None:
    with entered(namespace), pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 90), PATIENCE_S)


def refused_udp(namespace: str, address: str) -> None:
    with entered(namespace), socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect((address, 53))
        client.send(b"anybody there?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(1)


@pytest.mark.parametrize("offloads", [True, False], ids=["offloads", "no-offloads"])
def test_new_connections_are_refused_and_old_ones_go_on(restored: Shop, offloads: bool) -> None:
    assert restored.up(offloads=offloads).returncode == 0
    namespace, address = restored.namespace(CLIENT), SINGLE["near"][0]
    with sink(restored.namespace(WEB_1), SINK_PORT) as server:
        with entered(namespace):
            client = socket.create_connection((address, 90), PATIENCE_S)
        with client:
            client.sendall(b"before, ")
            less = restored.changed()
            find(less, "Workload", "web-1")["metadata"]["labels"].pop("single")
            restored.applied(less)
            for each in SINGLE["near"]:
                refused_tcp(namespace, each)
                refused_udp(namespace, each)
            client.sendall(b"and after")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        server.wait()
    assert server.digest == digest_text(b"before, and after")


def digest_text(text: bytes) -> str:
    """What `digest_of` says of a connection that sends this."""
    here, there = socket.socketpair()
    with here, there:
        here.sendall(text)
        here.shutdown(socket.SHUT_WR)
        return digest_of(there)
