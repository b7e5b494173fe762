"""Algorithms of a service with real sockets: who answers, and who stays connected when the algorithm changes."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import ADDRESSES, CLIENT, WEB, Shop, find
from tests.root.end_to_end.traffic import ask

pytestmark = [pytest.mark.root, pytest.mark.slow]
PATIENCE_S = 60
SERVERS = {"web-1", "web-2", "web-3"}


@contextmanager
def kept_open(namespace: str, address: str) -> Generator[socket.socket]:
    """A connection over which one request after the other goes."""
    with entered(namespace):
        connection = socket.create_connection((address, 80), PATIENCE_S)
    with connection:
        yield connection


def asked_again(connection: socket.socket) -> str:
    """The server that answers one more request."""
    connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
    text = b""
    while not text.endswith(b"\n") or b"\r\n\r\n" not in text:
        part = connection.recv(4096)
        assert part, "the server has closed the connection"
        text += part
    return text.rpartition(b"\r\n")[2].decode().split()[0]


def spread(shop: Shop, algorithm: str) -> None:
    policies = shop.changed()
    find(policies, "DpuService", "web")["spec"]["algorithm"] = algorithm
    shop.applied(policies)


def servers(shop: Shop, address: str, requests: int) -> Counter[str]:
    return Counter(ask(shop.namespace(CLIENT), address, timeout_s=PATIENCE_S).server for _ in range(requests))


def open_connections(shop: Shop, address: str, expected: int) -> dict[str, int]:
    """What the client's device tells of port 80's backends. The last packets of a connection may be on their way, so it
    is asked again while there are not as many as expected."""
    names = {host: name.partition(".")[2] for name, hosts in ADDRESSES.items() for host in hosts}
    rows, found = list[dict[str, Any]](), dict[str, int]()
    for _ in range(20):
        asked = ("dpu-a", address, "TCP", 80)
        rows = [r for r in shop.show("backends") if (r["device"], r["address"], r["protocol"], r["port"]) == asked]
        found = {names[row["backend"].rpartition(":")[0].strip("[]")]: row["open_connections"] for row in rows}
        if sum(found.values()) == expected:
            break
    assert [(row["service"], row["weight"]) for row in rows] == [("DpuService shop/web:http", 1)] * 2
    return found


def test_the_algorithm_of_a_service_changes_under_its_connections(restored: Shop) -> None:
    namespace = restored.namespace(CLIENT)
    with kept_open(namespace, WEB[0]) as four, kept_open(namespace, WEB[1]) as six:
        before = {four: asked_again(four), six: asked_again(six)}
        for algorithm, expected in (("SourceHash", 1), ("Random", 3), ("SourceHash", 1), ("Maglev", 3)):
            spread(restored, algorithm)
            for address in WEB:
                assert len(servers(restored, address, 40)) == expected, algorithm
            assert {each: asked_again(each) for each in before} == before
    assert set(before.values()) <= SERVERS


def test_in_turn_each_server_gets_the_same_number_of_connections(restored: Shop) -> None:
    """Of connections one after the other, and of those of three threads at once."""
    spread(restored, "RoundRobin")
    for address in WEB:
        assert servers(restored, address, 30) == dict.fromkeys(SERVERS, 10)
        with ThreadPoolExecutor(3) as pool:
            found = pool.map(partial(servers, restored, address), (20, 20, 20))
            assert sum(found, Counter[str]()) == dict.fromkeys(SERVERS, 20)


def test_in_turn_weights_are_kept(restored: Shop) -> None:
    policies = restored.changed()
    spec = find(policies, "DpuService", "web")["spec"]
    spec["algorithm"] = "RoundRobin"
    del spec["selector"]
    spec["backends"] = [{"workload": "web-1", "weight": 3}, {"workload": "web-2"}, {"workload": "web-3"}]
    restored.applied(policies)
    for address in WEB:
        assert servers(restored, address, 25) == {"web-1": 15, "web-2": 5, "web-3": 5}


def test_the_backend_with_fewer_connections_gets_the_next_one(restored: Shop) -> None:
    """Of two backends, where chance has nothing to say: what is open counts, what has been closed does not."""
    policies = restored.changed()
    spec = find(policies, "DpuService", "web")["spec"]
    spec["algorithm"] = "LeastConnections"
    del spec["selector"]
    spec["backends"] = [{"workload": "web-1"}, {"workload": "web-2"}]
    restored.applied(policies)
    for address in WEB:
        with ExitStack() as stack:
            held = [stack.enter_context(kept_open(restored.namespace(CLIENT), address)) for _ in range(10)]
            at = {connection: asked_again(connection) for connection in held}
            assert Counter(at.values()) == {"web-1": 5, "web-2": 5}
            assert open_connections(restored, address, 10) == {"web-1": 5, "web-2": 5}
            for connection in held:
                if at[connection] == "web-1":
                    connection.close()
            assert open_connections(restored, address, 5) == {"web-1": 0, "web-2": 5}
            for _ in range(5):
                assert asked_again(stack.enter_context(kept_open(restored.namespace(CLIENT), address))) == "web-1"
            assert Counter(asked_again(connection) for connection in held if at[connection] == "web-2") == {"web-2": 5}
            assert open_connections(restored, address, 10) == {"web-1": 5, "web-2": 5}
        assert open_connections(restored, address, 0) == {"web-1": 0, "web-2": 0}
