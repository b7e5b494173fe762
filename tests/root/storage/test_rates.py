"""Rates of portals with real streams of TCP: what arrives is what the policy says, within 5 %, in both directions."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import Shop, an_object

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
ADDRESS, PORT = "10.3.255.9", 9000
STREAMS = 8
WARM_S, MEASURED_S = 2.0, 5.0


@dataclass(slots=True)
class Streams:
    """Bytes that have arrived over all connections together."""

    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while part := connection.recv(1 << 18):
                with self._lock:
                    self.count += len(part)


def give(connection: socket.socket) -> None:
    data = bytes(1 << 18)
    with suppress(OSError):
        while True:
            connection.sendall(data)


@contextmanager
def streaming(lab: Shop, host: str, target: str, *, to_host: bool) -> Generator[Streams]:
    """`STREAMS` connections of a host to the portal, all of them as fast as they can."""
    streams, open_sockets = Streams(), list[socket.socket]()
    with entered(lab.namespace(target)):
        listener = socket.create_server(("0.0.0.0", PORT), backlog=STREAMS)
    with listener:
        for _ in range(STREAMS):
            with entered(lab.namespace(host)):
                client = socket.create_connection((ADDRESS, PORT), 10)
            server, _ = listener.accept()
            client.settimeout(None)
            open_sockets += [client, server]
            ends = (server, client) if to_host else (client, server)
            threading.Thread(target=give, args=(ends[0],), daemon=True).start()
            threading.Thread(target=streams.take, args=(ends[1],), daemon=True).start()
        try:
            yield streams
        finally:
            for each in open_sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()


def measured_bps(streams: Streams) -> float:
    """Bits a second that applications get. A device counts headers as well, of what the kernel gives it at once."""
    time.sleep(WARM_S)
    began, before = time.monotonic(), streams.count
    time.sleep(MEASURED_S)
    return (streams.count - before) * 8 / (time.monotonic() - began)


@pytest.mark.parametrize("to_host", [False, True], ids=["writes", "reads"])
@pytest.mark.parametrize("target", ["target-1", "target-2"], ids=["near", "far"])
@pytest.mark.parametrize("rate_bps", [100_000_000, 250_000_000], ids=["100M", "250M"])
def test_the_rate_of_a_portal_holds(restored: Shop, rate_bps: int, target: str, to_host: bool) -> None:
    spec = {
        "network": "san",
        "portals": [{"addresses": [ADDRESS], "port": PORT}],
        "targets": [{"workload": f"san/{target}"}],
        "rate": rate_bps,
    }
    restored.applied([*restored.changed(), an_object("StorageSteering", "bulk", spec)])
    with streaming(restored, "san.host-1", f"san.{target}", to_host=to_host) as streams:
        found = measured_bps(streams)
    print(f"{target} {'reads' if to_host else 'writes'} {rate_bps / 1e6:.0f}M: {found / rate_bps:.4f}")
    assert 0.95 * rate_bps <= found <= 1.05 * rate_bps
