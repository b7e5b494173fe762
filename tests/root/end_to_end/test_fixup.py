"""Connections whose backend is removed, or whose way changes: counted by a dry run, and treated so by the apply."""

from __future__ import annotations

import re
import socket

import pytest

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import CLIENT, Policies, Shop, an_object, find
from tests.root.end_to_end.traffic import echo

pytestmark = [pytest.mark.root, pytest.mark.slow]
PATIENCE_S = 60
ADDRESS = ("10.96.0.60", "fd00:10:96::60")
TCP_PORT, UDP_PORT = 80, 53
FIRST, SECOND, THIRD = 32_600, 32_601, 32_602
"""Source ports: a device remembers for ten seconds what has ended."""
WORDS = {"goes on": "go on", "drains": "drain", "ends": "end", "is decided anew": "are decided anew"}


def with_backend(shop: Shop, name: str) -> Policies:
    """A service `one` of one backend."""
    ports = [
        {"name": "http", "protocol": "TCP", "port": TCP_PORT, "targetPort": 8080},
        {"name": "echo", "protocol": "UDP", "port": UDP_PORT, "targetPort": 5300},
    ]
    spec = {"network": "shop", "addresses": list(ADDRESS), "ports": ports, "backends": [{"workload": f"shop/{name}"}]}
    return [*shop.changed(), an_object("DpuService", "one", spec)]


def counted(shop: Shop, policies: Policies, *options: str) -> dict[str, int]:
    """What a dry run says becomes of the connections of dpu-a, by the word for it."""
    done = shop.apply(policies, "--dry-run", *options)
    assert done.returncode == 0, done.stderr
    found = re.search(r"^dpu-a: known connections: (.*)$", done.stdout, re.MULTILINE)
    parts = [part.partition(" ") for part in found[1].split(", ")] if found is not None else []
    return {WORDS.get(word, word): int(count) for count, _, word in parts}


def begun(shop: Shop, address: str, source_port: int) -> socket.socket:
    """A connection with half a request sent."""
    with entered(shop.namespace(CLIENT)):
        client = socket.create_connection((address, TCP_PORT), PATIENCE_S, ("", source_port))
    client.sendall(b"GET / HTTP/1.0\r\n")
    return client


def ended(client: socket.socket) -> str:
    """The other half, and who answers."""
    client.sendall(b"\r\n")
    text = b""
    while part := client.recv(4096):
        text += part
    return text.rpartition(b"\r\n")[2].split()[0].decode()


def backends_of(shop: Shop, address: str, protocol: str, source_port: int) -> list[str]:
    """Addresses, of the connection from a port that a device knows."""
    shown = f"[{address}]:" if ":" in address else f"{address}:"
    wanted = [r for r in shop.show("flows") if r["service"].startswith(shown) and r["protocol"] == protocol]
    return [r["backend"].rpartition(":")[0] for r in wanted if r["source"].endswith(f":{source_port}")]


@pytest.mark.parametrize("address", ADDRESS, ids=["ipv4", "ipv6"])
def test_connections_to_a_removed_backend_drain_and_then_are_reset(restored: Shop, address: str) -> None:
    restored.applied(with_backend(restored, "web-1"))
    with begun(restored, address, FIRST) as first, begun(restored, address, SECOND) as second:
        echo(restored.namespace(CLIENT), address, UDP_PORT, b"hello", source_port=FIRST)
        (web_1,) = backends_of(restored, address, "UDP", FIRST)
        changed = with_backend(restored, "web-2")
        drained, reset = (counted(restored, changed, *options) for options in ([], ["--removed-backends", "reset"]))
        assert drained["drain"] >= 2
        assert drained["end"] >= 1
        assert reset["end"] >= 3
        assert "drain" not in reset
        restored.applied(changed)
        # TCP goes on with its backend, UDP begins anew with the other one.
        assert backends_of(restored, address, "UDP", FIRST) == []
        echo(restored.namespace(CLIENT), address, UDP_PORT, b"hello", source_port=FIRST)
        (web_2,) = backends_of(restored, address, "UDP", FIRST)
        assert web_1 != web_2
        assert ended(first) == "web-1"
        # Nothing of the policies changes any more; what drains is ended.
        assert backends_of(restored, address, "TCP", SECOND) == [web_1]
        assert counted(restored, changed, "--removed-backends", "reset")["end"] >= 1
        done = restored.apply(changed, "--removed-backends", "reset")
        assert (done.returncode, done.stderr) == (0, "")
        assert backends_of(restored, address, "TCP", SECOND) == []
        with pytest.raises(ConnectionResetError):
            ended(second)


@pytest.mark.parametrize("address", ADDRESS, ids=["ipv4", "ipv6"])
def test_a_connection_whose_next_hop_changes_goes_on(restored: Shop, address: str) -> None:
    """Its entry names the next hop, which has another MTU behind the same number."""
    restored.applied(with_backend(restored, "web-1"))
    with begun(restored, address, THIRD) as client:
        changed = with_backend(restored, "web-1")
        ports = find(changed, "Device", "dpu-a")["spec"]["ports"]
        next(port for port in ports if port["name"] == "web-1")["mtu"] = 1400
        told = counted(restored, changed)
        assert told.get("go on", 0) >= 1, told
        assert told.get("are decided anew", 0) == 0, told
        restored.applied(changed)
        assert ended(client) == "web-1"


def test_what_concerns_no_connection_reads_none(shop: Shop) -> None:
    assert counted(shop, with_backend(shop, "web-1")) == {}
