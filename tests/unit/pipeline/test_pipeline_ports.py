"""Connections of one client's port that would look alike to a backend: by two services, and to the backend directly."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from compiler.entries.vocabulary import mac_number
from compiler.ir.interpreter import Outcome, VerdictKind
from compiler.pipeline.ports import FIRST_PORT, TRIES
from runtime.verification import wire
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, GATEWAY, MACS, ROUTER_MAC, SHOP, VIP, WEB_1_PORT, Node
from runtime.verification.speaking import Ends, ends_of, framed

BOTH = pytest.mark.parametrize("version", [4, 6])
OURS, OTHERS = 81, 85
"""Ports of two services, each with web-1's port 8081 alone behind it."""
SERVICE_ID = 3


def node_of(version: int, *ports: int) -> Node:
    """The second service, and others, have the first one's backend, by its group: their numbers are no matter here."""
    node = Node()
    for port in ports or (OTHERS,):
        call = node.book.call(
            f"to_service_ipv{version}", service_id=SERVICE_ID, hairpin=GATEWAY[version], affinity_ms=0
        )
        entry = node.book.entry(
            f"service_ipv{version}", call, network=SHOP, address=VIP[version], protocol=wire.TCP, port=port
        )
        node.model.insert(entry)
    return node


def ends(version: int, dst: str, dst_port: int, src_port: int, protocol: int = wire.TCP) -> Ends:
    src = ip_address(ADDRESSES[version]["client"])
    return Ends(protocol=protocol, src=src, src_port=src_port, dst=ip_address(dst), dst_port=dst_port)


def send(node: Node, called: Ends, flags: str = "S") -> Outcome:
    frame = framed(called, flags, b"", mac_number(ROUTER_MAC), mac_number(MACS["client"]))
    return node.interpreter.process(CLIENT_PORT, frame)


def seen(outcome: Outcome, port: int = WEB_1_PORT) -> Ends:
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, port), outcome
    found = ends_of(outcome.packet)
    assert found is not None
    return found


def answered(node: Node, got: Ends) -> Ends:
    """What the client gets when the backend answers what it got."""
    frame = framed(got.turned, "SA", b"", mac_number(ROUTER_MAC), mac_number(MACS["web-1"]))
    return seen(node.interpreter.process(WEB_1_PORT, frame), CLIENT_PORT)


def by_service(version: int, port: int, src_port: int = 40000) -> Ends:
    return ends(version, VIP[version], port, src_port)


def directly(version: int, src_port: int = 40000, protocol: int = wire.TCP, port: int = 8081) -> Ends:
    return ends(version, ADDRESSES[version]["web-1"], port, src_port, protocol)


@BOTH
def test_two_services_and_the_backend_itself(version: int) -> None:
    node = node_of(version)
    calls = (by_service(version, OURS), by_service(version, OTHERS), directly(version))
    got = [seen(send(node, call)) for call in calls]
    assert got[0].src_port == 40000
    assert len({one.src_port for one in got}) == len(calls)
    assert all(one.src_port >= FIRST_PORT for one in got)
    assert {(str(one.dst), one.dst_port) for one in got} == {(ADDRESSES[version]["web-1"], 8081)}
    for call, one in zip(calls, got, strict=True):
        assert answered(node, one) == call.turned
        assert seen(send(node, call, "A")) == one, "it keeps its port"


@BOTH
def test_datagrams_of_one_socket(version: int) -> None:
    """A socket that is not connected has one port for all whom it sends to, so that is no rare case."""
    node = Node()
    called = ends(version, VIP[version], 53, 5000, wire.UDP)
    outcome = send(node, called)
    first = ends_of(outcome.packet)
    assert first is not None
    at_backend = ends(version, str(first.dst), 5353, 5000, wire.UDP)
    second = ends_of(send(node, at_backend).packet)
    assert second is not None
    assert second.src_port != 5000
    if outcome.egress_port == WEB_1_PORT:
        assert answered(node, first) == called.turned
        assert answered(node, second) == at_backend.turned


@BOTH
@pytest.mark.parametrize("src_port", [40000, 80])
def test_who_meets_nobody_keeps_its_port(version: int, src_port: int) -> None:
    """Also one below those that are drawn."""
    node = node_of(version)
    assert seen(send(node, by_service(version, OURS, src_port))).src_port == src_port
    assert seen(send(node, directly(version, 50000))).src_port == 50000
    assert len(node.model.learned(f"flow_ipv{version}")) == 1, "what is direct is not learned"


def serve(node: Node, version: int) -> None:
    """Services have web-1 as a backend."""
    place = f"{ADDRESSES[version]['web-1']}/{32 if version == 4 else 128}"
    entry = node.book.entry(f"served_ipv{version}", node.book.call("has_services"), network=SHOP, address=place)
    node.model.insert(entry)


@BOTH
@pytest.mark.parametrize("protocol", [wire.TCP, wire.UDP])
def test_a_direct_connection_to_a_backend_keeps_its_port(version: int, protocol: int) -> None:
    node = node_of(version)
    serve(node, version)
    direct = directly(version, protocol=protocol)
    assert seen(send(node, direct)) == direct, "it is translated to what it was"
    assert len(node.model.learned(f"flow_ipv{version}")) == 1
    called = by_service(version, OURS)
    got = seen(send(node, called))
    assert (got.src_port == 40000) == (protocol == wire.UDP)
    assert answered(node, got) == called.turned
    assert answered(node, direct) == direct.turned
    assert seen(send(node, direct, "A")) == direct
    assert seen(send(node, called, "A")) == got


@BOTH
def test_only_what_opens_a_direct_connection_is_learned(version: int) -> None:
    node = node_of(version)
    serve(node, version)
    assert seen(send(node, directly(version), "A")).src_port == 40000
    assert not node.model.learned(f"flow_ipv{version}")
    assert send(node, ends(version, ADDRESSES[version]["web-2"], 8081, 40001)).verdict is VerdictKind.FORWARD
    assert not node.model.learned(f"flow_ipv{version}"), "no service has that one"


@BOTH
def test_a_direct_connection_without_a_route_is_the_kernels(version: int) -> None:
    node = node_of(version)
    serve(node, version)
    for entry in node.model.entries(f"route_ipv{version}"):
        node.model.delete(entry.key)
    assert send(node, directly(version)).verdict is VerdictKind.TO_KERNEL
    assert not node.model.learned(f"flow_ipv{version}")


@BOTH
def test_a_direct_connection_that_nobody_knows_of_is_not_changed(version: int) -> None:
    """Only a segment that opens one is given another port."""
    node = node_of(version)
    send(node, by_service(version, OURS))
    assert seen(send(node, directly(version), "A")).src_port == 40000
    assert len(node.model.learned(f"flow_ipv{version}")) == 1


@BOTH
def test_other_ports_of_the_backend_are_no_matter(version: int) -> None:
    node = node_of(version)
    send(node, by_service(version, OURS))
    assert seen(send(node, directly(version, port=8082))).src_port == 40000


@BOTH
def test_a_connection_that_is_over_is_left_alone(version: int) -> None:
    """Its port is not given to another one before it is swept, and nothing revives it."""
    node = node_of(version)
    send(node, by_service(version, OURS))
    send(node, by_service(version, OURS), "R")
    assert seen(send(node, by_service(version, OTHERS))).src_port != 40000
    profiles = [entry.profile for entry in node.model.learned(f"flow_ipv{version}")]
    assert sorted(profiles) == ["tcp_closed", "tcp_new"]
    node.clock.now_ms += 3_600_000
    node.model.sweep(node.clock.now_ms)
    assert seen(send(node, by_service(version, OTHERS))).src_port == 40000


@BOTH
def test_ports_run_out_cleanly(version: int) -> None:
    """At one instant all draw alike: who finds none is dropped, those that have one go on. Nothing is half learned."""
    services = tuple(range(100, 100 + TRIES + 3))
    node = node_of(version, *services)
    calls = [by_service(version, port) for port in services]
    outcomes = [send(node, call) for call in calls]
    ports = [seen(outcome).src_port for outcome in outcomes[: TRIES + 1]]
    assert len(set(ports)) == TRIES + 1
    assert {outcome.drop_reason for outcome in outcomes[TRIES + 1 :]} == {"flow_clash"}
    assert send(node, directly(version)).drop_reason == "flow_clash"
    assert len(node.model.learned(f"flow_ipv{version}")) == len(ports)
    assert len(node.model.learned(f"flow_reverse_ipv{version}")) == len(ports)
    for call, port in zip(calls, ports, strict=False):
        got = ends(version, ADDRESSES[version]["web-1"], 8081, port)
        assert answered(node, got) == call.turned
    services_counted = node.model.indexed_counter("service_replies", SERVICE_ID).packets
    assert services_counted == len(ports), "asking for a port is no packet of the one who has it"
