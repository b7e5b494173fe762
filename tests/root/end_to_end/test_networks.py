"""What networks do besides services: direct traffic, neighbours, ICMP errors, path MTU."""

from __future__ import annotations

import json

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6

from compiler.policy.loading import load
from tests.root.end_to_end.shop import (
    ADDRESSES,
    BIG_A,
    BIG_B,
    CLIENT,
    GATEWAY,
    IPERF_PORT,
    SINGLE,
    SINK_PORT,
    WEB_1,
    WEB_3,
    Shop,
)
from tests.root.end_to_end.traffic import IcmpError, ask, capture, echo, path_mtu, ping, provoke, sink, upload

pytestmark = [pytest.mark.root, pytest.mark.slow]
versions = pytest.mark.parametrize("version", [4, 6])
servers = pytest.mark.parametrize("server", [WEB_1, WEB_3], ids=["same-node", "other-node"])


@pytest.fixture(autouse=True)
def _both_settings(offloads: bool) -> None:
    """Every test of this module runs with offloads on and off."""


@versions
@servers
def test_workloads_reach_each_other(shop: Shop, server: str, version: int) -> None:
    address, own = ADDRESSES[server][version == 6], ADDRESSES[BIG_A][version == 6]
    answer = ask(shop.namespace(BIG_A), address, 8080)
    assert (answer.server, answer.seen, answer.peer) == (server.partition(".")[2], own, address)
    assert echo(shop.namespace(BIG_A), address, 5300, b"direct") == address


@versions
@servers
def test_pings_are_answered(shop: Shop, server: str, version: int) -> None:
    assert ping(shop.namespace(BIG_A), ADDRESSES[server][version == 6])


def macs(shop: Shop) -> dict[str, str]:
    return {f"{w.namespace}.{w.name}": w.mac for w in load([shop.path]).policies.workloads}


def neighbors(shop: Shop, workload: str) -> dict[str, str]:
    shown = json.loads(shop.run_in(workload, "ip", "-json", "neigh", "show").stdout)
    return {entry["dst"]: entry["lladdr"] for entry in shown if "lladdr" in entry}


def test_neighbors_are_answered_by_the_device(shop: Shop) -> None:
    """The workload itself never hears the question."""
    shop.run_in(CLIENT, "ip", "neigh", "flush", "all")
    with capture(shop.namespace(WEB_3)) as heard:
        for address in (*ADDRESSES[WEB_1], *ADDRESSES[WEB_3]):
            assert ping(shop.namespace(CLIENT), address)
    known = neighbors(shop, CLIENT)
    own = macs(shop)
    assert {known[address] for address in ADDRESSES[WEB_1]} == {own[WEB_1]}
    assert {known[address] for address in ADDRESSES[WEB_3]} == {own[WEB_3]}
    asked = (packet["ARP"].pdst for packet in heard.packets() if packet.type == 0x0806)
    assert ADDRESSES[WEB_3][0] not in asked, "its own questions are no matter"


def test_arping(shop: Shop) -> None:
    for address, mac in ((ADDRESSES[WEB_3][0], macs(shop)[WEB_3]), (GATEWAY[0], "0a:54:00:00:00:64")):
        answer = shop.run_in(CLIENT, "arping", "-c", "1", "-w", "2", "-i", "eth0", address)
        assert answer.returncode == 0
        assert mac in answer.stdout
    assert shop.run_in(CLIENT, "arping", "-c", "1", "-w", "1", "-i", "eth0", "10.1.99.99").returncode != 0


@versions
@servers
def test_the_gateway_says_when_a_packet_is_too_old(shop: Shop, server: str, version: int) -> None:
    address, gateway = ADDRESSES[server][version == 6], GATEWAY[version == 6]
    expected = IcmpError(type=3 if version == 6 else 11, code=0, info=0, sender=gateway)
    assert provoke(shop.namespace(CLIENT), address, 33434, ttl=1) == expected


@versions
def test_the_gateway_says_when_a_packet_to_a_service_is_too_old(shop: Shop, version: int) -> None:
    expected = IcmpError(type=3 if version == 6 else 11, code=0, info=0, sender=GATEWAY[version == 6])
    assert provoke(shop.namespace(CLIENT), SINGLE["far"][version == 6], 53, ttl=1) == expected


@versions
@pytest.mark.parametrize("through", ["direct", "service"])
def test_too_large_a_datagram_learns_the_path_mtu(shop: Shop, version: int, through: str) -> None:
    address = (ADDRESSES[BIG_B] if through == "direct" else SINGLE["big"])[version == 6]
    port = 5300 if through == "direct" else 53
    forget_paths(shop, version)
    error = provoke(shop.namespace(BIG_A), address, port, size=1500 - (48 if version == 6 else 28))
    is_ipv6 = version == 6
    assert error == IcmpError(type=2 if is_ipv6 else 3, code=0 if is_ipv6 else 4, info=1450, sender=GATEWAY[is_ipv6])
    assert path_mtu(shop.namespace(BIG_A), address) == 1450
    forget_paths(shop, version)


def forget_paths(shop: Shop, version: int) -> None:
    for workload in (BIG_A, BIG_B):
        assert shop.run_in(workload, "ip", f"-{version}", "route", "flush", "cache").returncode == 0


@versions
@pytest.mark.parametrize("through", ["direct", "service"])
def test_tcp_recovers_from_too_large_segments(shop: Shop, version: int, through: str) -> None:
    """Both ends believe in 1500, the tunnel between them takes 1450."""
    layer = IPv6 if version == 6 else IP
    address = (ADDRESSES[BIG_B] if through == "direct" else SINGLE["big"])[version == 6]
    forget_paths(shop, version)
    data = bytes(range(256)) * 8192
    with sink(shop.namespace(BIG_B), SINK_PORT) as taken, capture(shop.namespace(BIG_A)) as seen:
        upload(shop.namespace(BIG_A), address, SINK_PORT if through == "direct" else 90, data)
        taken.wait()
    told = [p for p in seen.packets() if layer in p and p[layer].src == GATEWAY[version == 6]]
    assert told, "the gateway said nothing"
    assert path_mtu(shop.namespace(BIG_A), address) == 1450
    forget_paths(shop, version)


@versions
@pytest.mark.parametrize("backend", ["near", "far"])
def test_a_client_of_a_service_is_told_that_nobody_listens(shop: Shop, version: int, backend: str) -> None:
    """By the service: the backend is nobody to the client's socket. Without that it would wait for ever."""
    address = SINGLE[backend][version == 6]
    kind, code = (1, 4) if version == 6 else (3, 3)
    assert provoke(shop.namespace(CLIENT), address, IPERF_PORT) == IcmpError(
        type=kind, code=code, info=0, sender=address
    )
