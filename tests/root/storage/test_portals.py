"""Portals with real sockets: which target a host gets, that all of its connections get it, and what becomes of both."""

from __future__ import annotations

import time
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from tests.root.end_to_end.shop import Shop, find
from tests.root.end_to_end.traffic import ask, capture

pytestmark = [pytest.mark.root, pytest.mark.slow]
PORTAL = ("10.3.255.1", "fd00:10:3::ff:1")
PORT, REGISTRY_PORT = 4420, 5000
REGISTRY = ("10.3.2.1", "fd00:10:3::2:1")
HOSTS = tuple(f"san.host-{number}" for number in range(1, 8))
TARGETS = {"target-1", "target-2", "target-3"}
AF21 = 18
QUEUES = 8


def targets_of(lab: Shop, host: str, address: str) -> set[str]:
    return {ask(lab.namespace(host), address, PORT).server for _ in range(QUEUES)}


def spec_of(policies: list[dict[str, Any]]) -> dict[str, Any]:
    return find(policies, "StorageSteering", "volumes", "san")["spec"]


def with_health(lab: Shop, **health: str) -> None:
    policies = lab.changed()
    for target in spec_of(policies)["targets"]:
        target["health"] = health.get(target["workload"].replace("-", "_"), "up")
    lab.applied(policies)


@pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])
def test_all_connections_of_a_host_reach_one_target(storage: Shop, family: int) -> None:
    found = {host: targets_of(storage, host, PORTAL[family]) for host in HOSTS}
    assert all(len(targets) == 1 for targets in found.values()), found
    assert set().union(*found.values()) <= TARGETS


def test_packets_have_the_class_of_the_policy(storage: Shop) -> None:
    for address in (*PORTAL, *REGISTRY):
        port = REGISTRY_PORT if address in REGISTRY else PORT
        with capture(storage.namespace("san.host-1")) as at_host:
            ask(storage.namespace("san.host-1"), address, port)
            time.sleep(0.1)
        replies = [p for p in at_host.packets() if TCP in p and p[TCP].sport == port]
        assert replies
        for packet in replies:
            marked = packet[IP].tos if IP in packet else packet[IPv6].tc
            assert marked >> 2 == AF21, packet.summary()
