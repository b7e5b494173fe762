"""Datagrams larger than a frame, over real sockets: whole at a service's backend, and whole back from its address."""

from __future__ import annotations

import socket

import pytest

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import ADDRESSES, BIG_A, CLIENT, SINGLE, WEB, WEB_1, WEB_3, Shop
from tests.root.end_to_end.traffic import TIMEOUT_S, echo, family_of

pytestmark = [pytest.mark.root, pytest.mark.slow]
BOTH = pytest.mark.parametrize("version", [4, 6])
SIZES = (1_473, 2_000, 9_000, 60_000)
ECHO = 53


@pytest.fixture(autouse=True)
def _both_settings(offloads: bool) -> None:
    """Every test of this module runs with offloads on and off."""


def message(length: int) -> bytes:
    return bytes(at * 7 & 255 for at in range(length))


@BOTH
@pytest.mark.parametrize("name", ["near", "far"])
def test_datagrams_in_fragments_reach_a_service_and_come_back(shop: Shop, name: str, version: int) -> None:
    """On the client's node, and through the tunnel; of one connection and of new ones."""
    address = SINGLE[name][version == 6]
    for length in SIZES:
        assert echo(shop.namespace(CLIENT), address, ECHO, message(length)) == address
    with entered(shop.namespace(CLIENT)), socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT_S)
        client.connect((address, ECHO))
        for length in SIZES[::-1]:
            client.send(message(length))
            assert client.recv(65_536) == message(length)


@BOTH
@pytest.mark.parametrize("server", [WEB_1, WEB_3], ids=["same-node", "other-node"])
def test_direct_ones_do_so_as_well(shop: Shop, server: str, version: int) -> None:
    address = ADDRESSES[server][version == 6]
    for length in SIZES:
        assert echo(shop.namespace(CLIENT), address, 5_300, message(length)) == address


@BOTH
def test_many_at_once_each_to_its_own_backend(shop: Shop, version: int) -> None:
    """Fragments of fifty connections between each other; nothing is mixed up, nothing is dropped."""
    before = dropped(shop)
    address = WEB[version == 6]
    with entered(shop.namespace(CLIENT)):
        clients = [socket.socket(family_of(address), socket.SOCK_DGRAM) for _ in range(50)]
        try:
            for client in clients:
                client.settimeout(TIMEOUT_S)
                client.connect((address, 5_300))
            for _ in range(3):
                for number, client in enumerate(clients):
                    client.send(message(4_000 + number))
                for number, client in enumerate(clients):
                    assert client.recv(65_536) == message(4_000 + number)
        finally:
            for client in clients:
                client.close()
    assert dropped(shop) == before


def test_ipv6_learns_how_large_a_fragment_may_be(shop: Shop) -> None:
    """Of a workload whose own MTU is larger than the tunnel's the first one is told, and the next one fits."""
    address = SINGLE["far"][1]
    shop.run_in(BIG_A, "ip", "-6", "route", "flush", "cache")
    with entered(shop.namespace(BIG_A)), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.connect((address, ECHO))
        for attempt in range(4):
            try:
                client.send(message(5_000))
                assert client.recv(65_536) == message(5_000)
            except (TimeoutError, OSError):
                assert attempt < 3, "nobody said how large"
            else:
                break
    shop.run_in(BIG_A, "ip", "-6", "route", "flush", "cache")


def dropped(shop: Shop) -> int:
    return sum(row["packets"] for row in shop.show("drops"))
