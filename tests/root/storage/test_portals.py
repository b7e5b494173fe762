"""Portals with real sockets: which target a host gets, that all of its connections get it, and what becomes of both."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import Shop, find, turnout
from tests.root.end_to_end.test_algorithms import asked_again
from tests.root.end_to_end.traffic import TIMEOUT_S, ask, capture

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


@contextmanager
def queues(lab: Shop, host: str, address: str) -> Generator[list[socket.socket]]:
    """Connections that stay open, as those of a controller do."""
    with ExitStack() as stack:
        with entered(lab.namespace(host)):
            opened = [socket.create_connection((address, PORT), TIMEOUT_S) for _ in range(QUEUES)]
        yield [stack.enter_context(connection) for connection in opened]


def served_by(connections: list[socket.socket]) -> set[str]:
    return {asked_again(connection) for connection in connections}


def is_cut(connection: socket.socket) -> bool:
    try:
        asked_again(connection)
    except (OSError, AssertionError):
        return True
    return False


@pytest.mark.parametrize("address", PORTAL, ids=["ipv4", "ipv6"])
def test_a_target_dies_and_comes_back(restored: Shop, address: str) -> None:
    before = {host: targets_of(restored, host, address) for host in HOSTS}
    host = HOSTS[0]
    (mine,) = before[host]
    dead = {mine.replace("-", "_"): "down"}
    with queues(restored, host, address) as connections:
        assert served_by(connections) == {mine}
        with_health(restored, **dead)
        assert all(map(is_cut, connections)), "none is left behind"
    moved = {each: targets_of(restored, each, address) for each in HOSTS}
    assert all(len(targets) == 1 and mine not in targets for targets in moved.values()), moved
    assert {h: t for h, t in moved.items() if before[h] != {mine}} == {h: t for h, t in before.items() if t != {mine}}
    with queues(restored, host, address) as connections:
        with_health(restored)
        assert served_by(connections) == moved[host], "who has connections keeps them"
        assert {each: targets_of(restored, each, address) for each in HOSTS} == moved, "and its target"


def test_a_target_that_drains_keeps_its_hosts(restored: Shop) -> None:
    before = {host: targets_of(restored, host, PORTAL[0]) for host in HOSTS}
    with queues(restored, HOSTS[0], PORTAL[0]) as connections:
        for each in TARGETS:
            with_health(restored, **{each.replace("-", "_"): "draining"})
            assert served_by(connections) == before[HOSTS[0]]
            assert {host: targets_of(restored, host, PORTAL[0]) for host in HOSTS} == before


def test_what_is_shown_of_a_portal(storage: Shop) -> None:
    shown = {record["address"]: record for record in storage.show("portals") if record["device"] == "dpu-a"}
    assert set(shown) == {*PORTAL, *REGISTRY}
    for address in PORTAL:
        assert {name: shown[address][name] for name in ("policy", "port", "targets", "class", "rate_bps")} == {
            "policy": "san/volumes:4420",
            "port": PORT,
            "targets": 3,
            "class": AF21,
            "rate_bps": 200_000_000,
        }
    assert not any(record["address"] in PORTAL for record in storage.show("services"))


def test_what_is_explained_of_a_host(storage: Shop) -> None:
    (mine,) = targets_of(storage, HOSTS[0], PORTAL[0])
    done = turnout("explain", "san/host-1", f"{PORTAL[0]}:{PORT}", *storage.device_options())
    assert done.returncode == 0, done.stderr
    assert f"delivered to san/{mine} " in done.stdout, done.stdout
    view = turnout("explain", "san/volumes", *storage.device_options())
    assert view.returncode == 0, view.stderr
    for line in (
        "hosts: each keeps its target while it has connections; targets share their data",
        "class: DSCP 18",
        "rate: 200000000 bit/s each way, burst 6250000 bytes",
    ):
        assert line in view.stdout
