"""Rates of portals with real streams of TCP: what arrives is what the policy says, within 5 %, in both directions."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import pytest

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import Shop, an_object, find

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
Address = tuple[str, int]
BULK: Address = ("10.3.255.9", 9000)
PORTAL: Address = ("10.3.255.1", 4420)
TARGET_PORT = 9000
HOSTS = tuple(f"san.host-{number}" for number in range(1, 7))
"""Those of dpu-a: a rate is that of a portal on one device."""
TARGETS = ("san.target-1", "san.target-2", "san.target-3")
QUEUES = 8
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
def streaming(
    lab: Shop, hosts: Sequence[str], targets: Sequence[str], to: Address, *, to_host: bool
) -> Generator[Streams]:
    """`QUEUES` connections of each host to a portal, as fast as they can; targets listen at `TARGET_PORT`."""
    streams = Streams()
    with ExitStack() as stack:

        def begin(connection: socket.socket, *, gives: bool) -> None:
            stack.callback(ended, connection)
            threading.Thread(target=give if gives else streams.take, args=(connection,), daemon=True).start()

        for target in targets:
            with entered(lab.namespace(target)):
                listener = socket.create_server(("0.0.0.0", TARGET_PORT), backlog=64)
            stack.callback(ended, listener)
            threading.Thread(target=accept, args=(listener, partial(begin, gives=to_host)), daemon=True).start()
        for host in hosts:
            for _ in range(QUEUES):
                with entered(lab.namespace(host)):
                    client = socket.create_connection(to, 10)
                client.settimeout(None)
                begin(client, gives=not to_host)
        yield streams


def accept(listener: socket.socket, begin: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            begin(listener.accept()[0])


def ended(one: socket.socket) -> None:
    """Whoever waits for it in another thread goes on, too."""
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def measured_bps(streams: Streams) -> float:
    """Bits a second that applications get. A device counts headers as well, of what the kernel gives it at once."""
    time.sleep(WARM_S)
    began, before = time.monotonic(), streams.count
    time.sleep(MEASURED_S)
    return (streams.count - before) * 8 / (time.monotonic() - began)


def holds(found_bps: float, rate_bps: int) -> bool:
    return 0.95 * rate_bps <= found_bps <= 1.05 * rate_bps


@pytest.mark.parametrize("to_host", [False, True], ids=["writes", "reads"])
@pytest.mark.parametrize("target", ["target-1", "target-2"], ids=["near", "far"])
@pytest.mark.parametrize("rate_bps", [100_000_000, 500_000_000], ids=["100M", "500M"])
def test_the_rate_of_a_portal_holds(restored: Shop, rate_bps: int, target: str, to_host: bool) -> None:
    spec = {
        "network": "san",
        "portals": [{"addresses": [BULK[0]], "port": BULK[1]}],
        "targets": [{"workload": f"san/{target}", "port": TARGET_PORT}],
        "rate": rate_bps,
    }
    restored.applied([*restored.changed(), an_object("StorageSteering", "bulk", spec)])
    with streaming(restored, ["san.host-1"], [f"san.{target}"], BULK, to_host=to_host) as streams:
        found = measured_bps(streams)
    print(f"{target} {'reads' if to_host else 'writes'} {rate_bps / 1e6:.0f}M: {found / rate_bps:.4f}")
    assert holds(found, rate_bps)


@pytest.mark.parametrize("to_host", [False, True], ids=["writes", "reads"])
def test_hosts_of_a_device_share_the_rate_of_the_example(restored: Shop, to_host: bool) -> None:
    """Six hosts with eight connections each, spread over three targets, two of them behind the other device.

    All is as in examples/storage.yaml but the port at the targets, where the lab's servers have the example's.
    """
    policies = restored.changed()
    spec = find(policies, "StorageSteering", "volumes", "san")["spec"]
    for target in spec["targets"]:
        target["port"] = TARGET_PORT
    restored.applied(policies)
    rate_bps = int(spec["rate"].removesuffix("M")) * 1_000_000
    with streaming(restored, HOSTS, TARGETS, PORTAL, to_host=to_host) as streams:
        found = measured_bps(streams)
    print(f"example {'reads' if to_host else 'writes'} {spec['rate']}: {found / rate_bps:.4f}")
    assert holds(found, rate_bps)
