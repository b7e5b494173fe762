"""Services as clients see them: who answers, from which address, what is counted, what other networks notice."""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import ExitStack

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import (
    ADDRESSES,
    BLUE_CLIENT,
    BLUE_WEB,
    CLIENT,
    GATEWAY,
    SINGLE,
    WEB,
    WEB_1,
    WEB_2,
    WEB_3,
    Shop,
    turnout,
)
from tests.root.end_to_end.traffic import TIMEOUT_S, ask, capture, echo, family_of

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _both_settings(offloads: bool) -> None:
    """Every test of this module runs with offloads on and off."""


def web_connections(shop: Shop) -> dict[tuple[str, str, str], int]:
    """New connections to service shop/web by device, address and protocol."""
    rows = (row for row in shop.show("services") if row["service"].startswith("DpuService shop/web:"))
    return {(row["device"], row["address"], row["protocol"]): row["connections"] for row in rows}


@pytest.mark.parametrize("host", [WEB[0], f"[{WEB[1]}]"], ids=["ipv4", "ipv6"])
def test_curl(shop: Shop, host: str) -> None:
    answer = turnout("lab", "exec", "--name", shop.name, "client", "--", "curl", "-sS", "-m", "5", f"http://{host}/")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.split()[0] in {"web-1", "web-2", "web-3"}
    assert answer.stdout.split()[1] in ADDRESSES[CLIENT]


@pytest.mark.parametrize("version", [4, 6])
def test_a_hundred_requests_reach_all_backends_and_are_counted(shop: Shop, version: int) -> None:
    address = WEB[version == 6]

    before = web_connections(shop)
    with capture(shop.namespace(CLIENT)) as seen:
        answers = [ask(shop.namespace(CLIENT), address) for _ in range(100)]
    servers = Counter(answer.server for answer in answers)
    assert servers.keys() == {"web-1", "web-2", "web-3"}
    assert min(servers.values()) > 10
    assert {answer.seen for answer in answers} == {ADDRESSES[CLIENT][version == 6]}
    layer = IPv6 if version == 6 else IP
    packets = [packet[layer] for packet in seen.packets() if layer in packet and "TCP" in packet]
    assert len(packets) >= 800
    assert {packet.src for packet in packets} == {address, ADDRESSES[CLIENT][version == 6]}
    expected = before | {("dpu-a", address, "TCP"): before["dpu-a", address, "TCP"] + 100}
    assert web_connections(shop) == expected


@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_come_back_from_the_service(shop: Shop, version: int) -> None:
    address = WEB[version == 6]
    before = echo_counts(shop, address)
    back = {echo(shop.namespace(CLIENT), address, 5300, b"%d" % number * 100) for number in range(30)}
    assert back == {address}
    after = echo_counts(shop, address)
    assert [now - then for now, then in zip(after, before, strict=True)] == [30, 30, 30]


def echo_counts(shop: Shop, address: str) -> tuple[int, int, int]:
    rows = {(r["device"], r["service"], r["address"]): r for r in shop.show("services")}
    row = rows["dpu-a", "DpuService shop/web:echo", address]
    return row["connections"], row["requests"], row["replies"]


def test_networks_with_equal_addresses_never_meet(shop: Shop) -> None:
    """Both clients are 10.1.0.10 and ask 10.96.0.10."""
    with capture(shop.namespace(BLUE_CLIENT)) as client, capture(shop.namespace(BLUE_WEB)) as web:
        for _ in range(20):
            assert ask(shop.namespace(CLIENT), WEB[0]).server in {"web-1", "web-2", "web-3"}
    assert [packet.summary() for side in (client, web) for packet in side.packets() if IP in packet] == []
    with capture(shop.namespace(CLIENT)) as client, capture(shop.namespace(WEB_1)) as web:
        for _ in range(5):
            assert ask(shop.namespace(BLUE_CLIENT), ADDRESSES[WEB_1][0], 8080).server == "blue-web"
            assert ask(shop.namespace(BLUE_CLIENT), WEB[0]).server == "blue-web"
    assert [packet.summary() for side in (client, web) for packet in side.packets() if IP in packet] == []
    with pytest.raises(OSError):
        ask(shop.namespace(BLUE_CLIENT), ADDRESSES[WEB_2][0], 8080, timeout_s=0.5)


@pytest.mark.parametrize("version", [4, 6])
def test_a_backend_calls_its_own_service(shop: Shop, version: int) -> None:
    answers = [ask(shop.namespace(WEB_1), WEB[version == 6]) for _ in range(40)]
    seen = {answer.server: answer.seen for answer in answers}
    own = ADDRESSES[WEB_1][version == 6]
    assert seen == {"web-1": GATEWAY[version == 6], "web-2": own, "web-3": own}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("backend", [WEB_1, WEB_3], ids=["same-node", "other-node"])
def test_one_socket_asks_a_service_and_its_backend(shop: Shop, version: int, backend: str) -> None:
    """Both get the same port of the client's, and each answer comes from where it was asked."""
    service = SINGLE["near" if backend == WEB_1 else "far"][version == 6]
    asked = [(service, 53), (ADDRESSES[backend][version == 6], 5300)] * 3
    with entered(shop.namespace(CLIENT)), socket.socket(family_of(service), socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT_S)
        for number, (address, port) in enumerate(asked):
            client.sendto(b"datagram %d" % number, (address, port))
            answer, sender = client.recvfrom(100)
            assert (answer, sender[:2]) == (b"datagram %d" % number, (address, port))


@pytest.mark.parametrize("directly_first", [False, True], ids=["service-first", "direct-first"])
@pytest.mark.parametrize("version", [4, 6])
def test_one_port_for_connections_to_a_service_and_to_its_backends(
    shop: Shop, version: int, directly_first: bool
) -> None:
    """All are open at once: one of the direct ones would be the service's, seen from the backend."""
    service, source = WEB[version == 6], ("", 9_100 + version + 10 * directly_first)
    backends = {name.partition(".")[2]: ADDRESSES[name][version == 6] for name in (WEB_1, WEB_2, WEB_3)}
    places = [("", (service, 80)), *((name, (address, 8080)) for name, address in backends.items())]
    with ExitStack() as opened, entered(shop.namespace(CLIENT)):
        clients: dict[str, socket.socket] = {}
        for name, place in reversed(places) if directly_first else places:
            client = opened.enter_context(socket.socket(family_of(service), socket.SOCK_STREAM))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.settimeout(TIMEOUT_S)
            client.bind(source)
            client.connect(place)
            clients[name] = client
        found: dict[str, str] = {}
        for name, client in reversed(clients.items()):
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda client=client: client.recv(4096), b""))
            found[name] = answer.rpartition(b"\r\n")[2].decode().split()[0]
    assert found.pop("") in backends
    assert found == {name: name for name in backends}
