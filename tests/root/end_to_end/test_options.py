"""Real sockets whose packets have IPv4 options, which the kernel puts into each packet of theirs."""

from __future__ import annotations

import socket
from hashlib import sha256

import pytest

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import BACKEND_OF, CLIENT, SINGLE, SINK_PORT, Shop
from tests.root.end_to_end.traffic import TIMEOUT_S, sink

pytestmark = [pytest.mark.root, pytest.mark.slow]
OPTIONS = {
    "no-operation": b"\x01" * 4,
    "record route": bytes([7, 7, 4, 0, 0, 0, 0, 0]),
    "time stamps": bytes([68, 12, 5, 0]) + bytes(8),
    "as many as there can be": b"\x01" * 40,
}


@pytest.fixture(autouse=True)
def _both_settings(offloads: bool) -> None:
    """Every test of this module runs with offloads on and off."""


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", ["near", "far"])
def test_a_service_is_called_with_options(shop: Shop, name: str, options: str) -> None:
    """By datagrams, whole and in fragments, and by a connection."""
    with entered(shop.namespace(CLIENT)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, OPTIONS[options])
        client.settimeout(TIMEOUT_S)
        client.connect((SINGLE[name][0], 53))
        for length in (1, 900, 5_000):
            client.send(bytes(length))
            assert client.recv(65_536) == bytes(length)
    data = bytes(at % 251 for at in range(200_000))
    with (
        sink(shop.namespace(BACKEND_OF[name]), SINK_PORT) as server,
        entered(shop.namespace(CLIENT)),
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client,
    ):
        client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, OPTIONS[options])
        client.settimeout(TIMEOUT_S)
        client.connect((SINGLE[name][0], 90))
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        server.wait()
    assert server.digest == sha256(data).hexdigest()
