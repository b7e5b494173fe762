"""Connections through a real Envoy: what it sees, who passes it, and what becomes of them when it or a policy goes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from compiler.policy.policyset import Address
from runtime.bpf.namespaces import entered
from runtime.lab import netns
from runtime.lab.state import RUN
from runtime.proxy.steering import set_link
from tests.root.end_to_end.shop import Policies, Shop
from tests.root.end_to_end.traffic import Answer, ask

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.peer]
CLIENT, PLAIN, WEB_1, WEB_2 = "shop.client", "shop.plain", "shop.web-1", "shop.web-2"
ENVOY_A, ENVOY_B = "shop.envoy-a", "shop.envoy-b"
BLUE_CLIENT, ENVOY_BLUE = "blue.blue-client", "blue.envoy-blue"
VIP = {4: "10.96.0.10", 6: "fd00:10:96::10"}
ADDRESSES = {
    4: {CLIENT: "10.1.0.10", PLAIN: "10.1.0.11", WEB_1: "10.1.0.12", WEB_2: "10.1.0.13", ENVOY_A: "10.1.0.250"},
    6: {
        CLIENT: "fd00:10:1::10",
        PLAIN: "fd00:10:1::11",
        WEB_1: "fd00:10:1::12",
        WEB_2: "fd00:10:1::13",
        ENVOY_A: "fd00:10:1::250",
    },
}
ENVOY_B_ADDRESS = {4: "10.1.0.251", 6: "fd00:10:1::251"}
PATIENCE_S = 60.0
TOTAL_RETRANS = slice(100, 104)
"""`tcpi_total_retrans` of `struct tcp_info`."""


def log_of(mesh: Shop, proxy: str) -> list[dict[str, Any]]:
    text = (RUN / f"lab-{mesh.name}" / f"{proxy}.access.log").read_text()
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def is_logged(mesh: Shop, proxy: str, client: str, destination: str) -> bool:
    found = [e for e in log_of(mesh, proxy) if e["original_destination"] == destination]
    return any(e["client"].rpartition(":")[0].strip("[]") == client for e in found)


def logged(mesh: Shop, proxy: str, client: str, destination: str) -> None:
    """Envoy writes its log now and then."""
    until(lambda: is_logged(mesh, proxy, client, destination), f"{proxy} has logged {client} to {destination}")


@contextmanager
def connected(namespace: str, address: str, port: int) -> Generator[socket.socket]:
    with entered(namespace):
        connection = socket.create_connection((address, port), PATIENCE_S)
    with connection:
        yield connection


def echoed(connection: socket.socket, message: bytes) -> bool:
    connection.sendall(message)
    back = b""
    while len(back) < len(message):
        part = connection.recv(4096)
        if not part:
            return False
        back += part
    return back == message


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("destination", ["service", WEB_1, WEB_2])
def test_http_of_the_client_passes_its_proxy(mesh: Shop, version: int, destination: str) -> None:
    own = ADDRESSES[version]
    address, port = (VIP[version], 80) if destination == "service" else (own[destination], 8080)
    answer = ask(mesh.namespace(CLIENT), address, port, PATIENCE_S)
    logged(mesh, ENVOY_A, own[CLIENT], place(address, port))
    remote = answer.server == "web-2"
    assert answer == Answer(
        server=answer.server, seen=ENVOY_B_ADDRESS[version] if remote else own[ENVOY_A], peer=address
    )
    assert destination in ("service", f"shop.{answer.server}")
    if remote:
        logged(mesh, ENVOY_B, own[ENVOY_A], place(own[WEB_2], 8080))


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_of_the_client_passes_its_proxy(mesh: Shop, version: int) -> None:
    own = ADDRESSES[version]
    with connected(mesh.namespace(CLIENT), own[WEB_1], 9000) as connection:
        assert echoed(connection, b"turnout" * 20_000)
        client = connection.getsockname()
    logged(mesh, ENVOY_A, own[CLIENT], place(own[WEB_1], 9000))
    entry = next(e for e in log_of(mesh, ENVOY_A) if e["client"] == place(client[0], client[1]))
    assert (entry["bytes_sent"], entry["upstream"]) == (140_000, place(own[WEB_1], 9000))


def test_a_connection_at_a_proxy_is_explained(mesh: Shop) -> None:
    """It is known, and no service's."""
    own = ADDRESSES[4]
    with connected(mesh.namespace(CLIENT), own[WEB_1], 9000) as connection:
        assert echoed(connection, b"turnout")
        port = str(connection.getsockname()[1])
        told = CliRunner().invoke(app, ["explain", "shop/client", f"{own[WEB_1]}:9000", "--source-port", port])
    assert (told.exit_code, told.stderr) == (0, ""), told.output
    assert re.search(r"\n    a known connection, idle for \d+\.\d s, of no service\n", told.stdout), told.stdout


@contextmanager
def ending_at_once(namespace: str, address: str, port: int) -> Generator[None]:
    """A server that ends every connection, before its client does."""
    with entered(namespace), socket.create_server((address, port), family=family_of(address)) as server:

        def serve() -> None:
            while True:
                try:
                    accepted, _ = server.accept()
                except OSError:
                    return
                accepted.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@pytest.mark.parametrize("version", [4, 6])
def test_a_port_that_is_used_again_opens_a_connection_at_once(mesh: Shop, version: int) -> None:
    """Though it is the proxy that has ended the last one: nothing has to be sent twice."""
    own, port = ADDRESSES[version], 0
    with ending_at_once(mesh.namespace(WEB_1), own[WEB_1], 9100):
        for _ in range(3):
            with entered(mesh.namespace(CLIENT)):
                connection = socket.socket(family_of(own[CLIENT]))
            with connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                connection.bind((own[CLIENT], port))
                connection.connect((own[WEB_1], 9100))
                assert connection.recv(1) == b""
                told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                assert int.from_bytes(told[TOTAL_RETRANS], sys.byteorder) == 0
                port = connection.getsockname()[1]
    logged(mesh, ENVOY_A, own[CLIENT], place(own[WEB_1], 9100))


def test_others_pass_no_proxy(mesh: Shop) -> None:
    own = ADDRESSES[4]
    answer = ask(mesh.namespace(WEB_1), own[PLAIN], 8080, PATIENCE_S)
    assert (answer.server, answer.seen) == ("plain", own[WEB_1])


def test_what_is_opened_to_a_server_passes_its_proxy(mesh: Shop) -> None:
    own = ADDRESSES[4]
    answer = ask(mesh.namespace(PLAIN), own[WEB_2], 8080, PATIENCE_S)
    assert (answer.server, answer.seen) == ("web-2", ENVOY_B_ADDRESS[4])
    logged(mesh, ENVOY_B, own[PLAIN], place(own[WEB_2], 8080))


def test_two_networks_with_equal_addresses(mesh: Shop) -> None:
    own = ADDRESSES[4]
    for client, proxy, server in ((CLIENT, ENVOY_A, "web-1"), (BLUE_CLIENT, ENVOY_BLUE, "blue-web")):
        before = len(log_of(mesh, proxy))
        answer = ask(mesh.namespace(client), own[WEB_1], 8080, PATIENCE_S)
        assert (answer.server, answer.seen) == (server, own[ENVOY_A])
        until(lambda proxy=proxy, before=before: len(log_of(mesh, proxy)) > before, f"{proxy} logs it")


def test_denied_connections_are_dropped_and_counted(mesh: Shop) -> None:
    with pytest.raises(TimeoutError):
        ask(mesh.namespace(CLIENT), ADDRESSES[4][WEB_2], 7001, 1.5)
    assert {(d["device"], d["reason"]) for d in mesh.show("drops")} >= {("dpu-a", "mesh_denied")}
    rules = [r for r in mesh.show("redirects") if r["decision"] == "deny"]
    assert len(rules) == 1
    assert rules[0].pop("connections") >= 1
    assert rules == [
        {
            "device": "dpu-a",
            "network": "shop",
            "policy": "shop/clients",
            "direction": "outbound",
            "workload": ADDRESSES[4][CLIENT],
            "peer": f"{ADDRESSES[4][WEB_2]}/32",
            "ports": "7000-7999",
            "decision": "deny",
        }
    ]


def test_the_proxy_does_not_go_to_itself(mesh: Shop) -> None:
    """To its own listener: the connection is accepted, and ended at once."""
    with connected(mesh.namespace(CLIENT), ADDRESSES[4][ENVOY_A], 15001) as connection:
        assert connection.recv(1) == b""


@pytest.fixture
def without_envoy(mesh: Shop) -> Iterator[None]:
    """The proxy's port of dpu-a is down, as while its Envoy does not listen."""
    namespace = mesh.namespace(ENVOY_A)
    with entered(namespace):
        set_link("eth0", (), is_up=False)
    try:
        yield
    finally:
        with entered(namespace):
            set_link("eth0", gateways(), is_up=True)
        until(lambda: answers(mesh, CLIENT, ADDRESSES[4][WEB_1]), "the proxy is back")


def gateways() -> tuple[Address, ...]:
    return ip_address("10.1.0.1"), ip_address("fd00:10:1::1")


def answers(mesh: Shop, client: str, address: str, seen: str | None = None) -> bool:
    try:
        answer = ask(mesh.namespace(client), address, 8080, 2.0)
    except OSError:
        return False
    return seen is None or answer.seen == seen


@pytest.mark.usefixtures("without_envoy")
def test_without_a_proxy_what_is_open_goes_on_and_what_is_closed_ends(mesh: Shop) -> None:
    own = ADDRESSES[4]
    until(lambda: answers(mesh, PLAIN, own[WEB_1], seen=own[PLAIN]), "open: straight to the server")
    with pytest.raises(TimeoutError):
        ask(mesh.namespace(CLIENT), own[WEB_1], 8080, 1.5)
    assert {(d["device"], d["reason"]) for d in mesh.show("drops")} >= {("dpu-a", "no_proxy")}


def test_an_envoy_that_is_killed_comes_back(mesh: Shop) -> None:
    own, name = ADDRESSES[4], mesh.namespace(ENVOY_A)
    killed = envoys(name)
    assert len(killed) == 1
    os.kill(killed[0], signal.SIGKILL)
    until(lambda: envoys(name) not in ([], killed), "another Envoy")
    until(lambda: answers(mesh, CLIENT, own[WEB_1], seen=own[ENVOY_A]), "it serves")


def envoys(namespace: str) -> list[int]:
    found = netns.processes_in([namespace])
    return sorted(pid for pid in found if Path(f"/proc/{pid}/comm").read_text().startswith("envoy"))


def without_redirects(mesh: Shop) -> Policies:
    return [document for document in mesh.changed() if document["kind"] != "MeshRedirect"]


def test_policies_come_and_go_without_cutting_a_connection(mesh: Shop) -> None:
    own, failures = ADDRESSES[4], list[str]()
    stop = threading.Event()

    def talk(name: str, connection: socket.socket) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            if not echoed(connection, f"{name} {count}".encode()):
                failures.append(f"{name} ended after {count}")
                return

    def open_by(seen: str) -> socket.socket:
        """The policies are in force when a new connection goes the way they say."""
        until(lambda: answers(mesh, CLIENT, own[WEB_1], seen=seen), f"new connections come from {seen}")
        with entered(mesh.namespace(CLIENT)):
            return socket.create_connection((own[WEB_1], 9000), PATIENCE_S)

    threads: list[threading.Thread] = []
    opened: list[socket.socket] = []
    try:
        for policies, seen in (
            (without_redirects(mesh), own[CLIENT]),
            (mesh.policies, own[ENVOY_A]),
            (without_redirects(mesh), own[CLIENT]),
        ):
            mesh.applied(policies)
            opened.append(open_by(seen))
            threads.append(threading.Thread(target=talk, args=(f"connection {len(opened)}", opened[-1])))
            threads[-1].start()
        assert all(thread.is_alive() for thread in threads)
    finally:
        mesh.applied()
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        for connection in opened:
            connection.close()
    assert failures == []
