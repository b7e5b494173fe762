"""A service gateway: one service, backends in two networks of equal addresses, and the source that they see."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether

from compiler.pipeline.assembly import pipeline
from runtime.verification import wire
from runtime.verification.comparison import Comparison
from runtime.verification.fabric import End, Fabric, Journey
from runtime.verification.frames import recomputed
from runtime.verification.gateways import CLIENTS, Call, Gateways, Place, call_frame, gateway_address, policies_of
from runtime.verification.outsiders import DEVICES, UPLINK, answered_to, backend, external, node_address, port_of
from runtime.verification.speaking import Ends, ends_of

BOTH = pytest.mark.parametrize("version", [4, 6])
EVERYWHERE = frozenset((device, network) for device in (0, 1) for network in (0, 1))
NONE = frozenset[int]()
EDGE = Gateways(families=(frozenset({4, 6}), NONE), backends=EVERYWHERE)
"""Device A is the gateway, and has backends of its own; device B has others."""


def fabric_of(world: Gateways) -> Fabric:
    return Fabric({name: Comparison((), pipeline=pipeline()) for name in DEVICES}, policies_of(world))


def send(fabric: Fabric, call: Call) -> Journey:
    journey = fabric.send(DEVICES[call.device], UPLINK, call.frame())
    assert journey is not None
    return journey


def got(journey: Journey) -> Ends:
    assert journey.end is End.DELIVERED, journey
    ends = ends_of(journey.frame)
    assert ends is not None
    return ends


def place_of(journey: Journey) -> Place:
    return DEVICES.index(journey.last.device), (journey.last.outcome.egress_port or 0) - port_of(0)


def answer(fabric: Fabric, journey: Journey) -> Ends:
    """What leaves the fabric when the backend answers what it got."""
    device, network = place_of(journey)
    back = fabric.send(DEVICES[device], port_of(network), answered_to(got(journey), network, "SA"))
    assert back is not None
    assert (back.end, back.last.device) == (End.LEFT, DEVICES[0]), back
    assert recomputed(back.frame) == back.frame
    ends = ends_of(back.frame)
    assert ends is not None
    return ends


def call(version: int, src_port: int = 4000, client: int = 0, port: int = 80) -> Call:
    return Call(device=0, version=version, client=client, src_port=src_port, port=port)


@BOTH
def test_backends_of_all_networks_see_the_gateway_and_answers_find_back(version: int) -> None:
    fabric, places = fabric_of(EDGE), set[Place]()
    for src_port in range(4000, 4040):
        journey = send(fabric, call(version, src_port))
        places.add(place_of(journey))
        seen = got(journey)
        assert (seen.src, seen.src_port) == (gateway_address(0, version), src_port)
        assert (seen.dst, seen.dst_port) == (backend(place_of(journey)[0], version), 8080)
        assert answer(fabric, journey) == call(version, src_port).ends.turned
        assert recomputed(journey.frame) == journey.frame
    assert places == EVERYWHERE


@BOTH
def test_udp(version: int) -> None:
    fabric = fabric_of(EDGE)
    journey = send(fabric, call(version, port=53))
    assert (got(journey).src, got(journey).dst_port) == (gateway_address(0, version), 5353)
    assert answer(fabric, journey) == call(version, port=53).ends.turned


@BOTH
def test_two_clients_with_one_port_are_told_apart_by_another_one(version: int) -> None:
    fabric = fabric_of(replace(EDGE, backends=frozenset({(1, 1)})))
    first, second = (send(fabric, call(version, client=client)) for client in (0, 1))
    assert got(first).src_port == 4000
    assert got(second).src_port not in (4000, got(first).src_port)
    assert got(second).src_port >= 1024
    for client, journey in enumerate((first, second)):
        assert answer(fabric, journey).dst == CLIENTS[version][client]


@BOTH
def test_one_port_may_go_to_backends_of_both_networks(version: int) -> None:
    """They have one address, and are told apart by their networks."""
    fabric = fabric_of(replace(EDGE, backends=frozenset({(0, 0), (0, 1)}), algorithm="RoundRobin"))
    journeys = [send(fabric, call(version, client=client)) for client in (0, 1)]
    assert {place_of(journey) for journey in journeys} == {(0, 0), (0, 1)}
    assert [got(journey).src_port for journey in journeys] == [4000, 4000]
    for client, journey in enumerate(journeys):
        assert answer(fabric, journey).dst == CLIENTS[version][client]


def opened(fabric: Fabric, version: int, client: int, src_ports: range) -> set[Place]:
    """Where the connections of a client go."""
    return {place_of(send(fabric, call(version, src_port, client))) for src_port in src_ports}


@BOTH
def test_a_client_that_is_remembered_stays_with_a_backend_of_one_network(version: int) -> None:
    """Backends of both networks have one address: it is the crossing that tells them apart."""
    fabric = fabric_of(replace(EDGE, algorithm="RoundRobin", affinity_s=60))
    first, second = (opened(fabric, version, client, range(4000, 4020)) for client in (0, 1))
    assert (len(first), len(second)) == (1, 1)
    assert first != second
    for comparison in fabric.comparisons.values():
        comparison.wait(60_001)
    assert len({next(iter(opened(fabric, version, 0, range(port, port + 1)))) for port in (5000, 5001)}) == 1


@BOTH
def test_a_client_does_not_stay_with_another_backend_of_the_same_address(version: int) -> None:
    """Nor with one that the service has no longer."""
    world = replace(EDGE, algorithm="RoundRobin", affinity_s=60)
    fabric = fabric_of(world)
    (place,) = opened(fabric, version, 0, range(4000, 4001))
    fabric.adopt(policies_of(replace(world, backends=EVERYWHERE - {place})))
    for name in DEVICES:
        fabric.write(name)
    (other,) = opened(fabric, version, 0, range(4001, 4010))
    assert other != place
    assert opened(fabric, version, 0, range(4010, 4020)) == {other}


@BOTH
def test_clients_call_node_ports_at_gateways(version: int) -> None:
    world = replace(EDGE, at_nodes=True)
    fabric, at_node = fabric_of(world), replace(call(version), is_at_node=True)
    journey = send(fabric, at_node)
    assert (got(journey).src, got(journey).dst_port) == (gateway_address(0, version), 8080)
    assert answer(fabric, journey) == at_node.ends.turned
    elsewhere = replace(at_node, device=1)
    assert send(fabric, elsewhere).end is End.UNTOUCHED, "no gateway: it is the host's"
    fabric.adopt(policies_of(EDGE))
    for name in DEVICES:
        fabric.write(name)
    assert send(fabric, replace(at_node, src_port=5000)).end is End.UNTOUCHED


@BOTH
def test_what_is_sent_to_the_host_of_a_gateway_and_to_no_node_port_is_left_to_it(version: int) -> None:
    fabric = fabric_of(replace(EDGE, at_nodes=True))
    ends = replace(call(version).ends, dst=node_address(0, version), dst_port=22)
    for flags in ("S", "A"):
        journey = fabric.send(DEVICES[0], UPLINK, call_frame(ends, 0, flags))
        assert journey is not None
        assert journey.end is End.UNTOUCHED


@BOTH
def test_a_local_policy_keeps_to_the_backends_behind_the_gateway(version: int) -> None:
    fabric = fabric_of(replace(EDGE, algorithm="RoundRobin", is_local=True))
    assert opened(fabric, version, 0, range(4000, 4010)) == {(0, 0), (0, 1)}
    assert got(send(fabric, call(version, 4100))).src == gateway_address(0, version)


@BOTH
def test_a_local_policy_without_a_backend_behind_the_gateway_refuses(version: int) -> None:
    fabric = fabric_of(replace(EDGE, backends=frozenset({(1, 0)}), is_local=True))
    assert send(fabric, call(version)).end is End.ANSWERED


@BOTH
def test_a_port_below_1024_is_not_kept(version: int) -> None:
    fabric = fabric_of(EDGE)
    journey = send(fabric, call(version, src_port=80))
    assert got(journey).src_port >= 1024
    assert answer(fabric, journey) == call(version, src_port=80).ends.turned


@BOTH
def test_the_client_may_have_the_address_of_a_backend(version: int) -> None:
    fabric = fabric_of(replace(EDGE, backends=frozenset({(0, 0)})))
    journey = send(fabric, call(version, client=2))
    assert CLIENTS[version][2] == got(journey).dst
    assert answer(fabric, journey).dst == CLIENTS[version][2]


@BOTH
def test_without_backends_it_is_refused(version: int) -> None:
    journey = send(fabric_of(replace(EDGE, backends=frozenset[Place]())), call(version))
    built = Ether(journey.frame)
    assert (journey.end, built[TCP].flags, (built[IP] if version == 4 else built[IPv6]).src) == (
        End.ANSWERED,
        "RA",
        str(external(0, version)),
    )


@BOTH
def test_without_a_way_into_its_network_a_backend_gets_nothing(version: int) -> None:
    fabric = fabric_of(EDGE)
    for entry in fabric.held[DEVICES[0]].table_entries:
        if entry.table.startswith("crossing_"):
            fabric.comparisons[DEVICES[0]].delete(entry)
    journey = send(fabric, call(version))
    assert (journey.end, journey.last.outcome.drop_reason) == (End.DROPPED, "no_route")


@BOTH
def test_who_is_no_gateway_leaves_it_alone(version: int) -> None:
    fabric = fabric_of(EDGE)
    assert send(fabric, replace(call(version), device=1)).end is End.UNTOUCHED


@BOTH
def test_workloads_do_not_reach_it(version: int) -> None:
    """Its address is in no network, so it is as any other that nobody has."""
    fabric = fabric_of(EDGE)
    ends = Ends(protocol=wire.TCP, src=backend(0, version), src_port=4000, dst=external(0, version), dst_port=80)
    journey = fabric.send(DEVICES[0], port_of(0), answered_to(ends.turned, 0, "S"))
    assert journey is not None
    assert journey.end is End.UNTOUCHED


@BOTH
def test_too_large_for_the_tunnel_the_gateway_tells(version: int) -> None:
    fabric = fabric_of(replace(EDGE, backends=frozenset({(1, 0)})))
    send(fabric, call(version))
    built = Ether(call(version).frame())
    built[TCP].payload.load = bytes(1460)
    network = IP if version == 4 else IPv6
    if version == 4:
        built[IP].flags = "DF"
        del built[IP].len, built[IP].chksum
    else:
        del built[IPv6].plen
    del built[TCP].chksum
    journey = fabric.send(DEVICES[0], UPLINK, bytes(built))
    assert journey is not None
    told = Ether(journey.frame)
    assert (journey.end, told[network].src) == (End.ANSWERED, str(gateway_address(0, version)))
    assert (told[ICMP].nexthopmtu if version == 4 else told[ICMPv6PacketTooBig].mtu) == 1450
    assert told[network].dst == str(CLIENTS[version][0])


@BOTH
def test_network_policies_of_backends_hold_the_gateway_for_the_peer(version: int) -> None:
    """Wherever the backend is; one that lets nobody in gets nothing."""
    for place in ((0, 0), (1, 0)):
        alone = replace(EDGE, backends=frozenset({place}))
        assert got(send(fabric_of(replace(alone, isolated=frozenset({place}))), call(version))).src == gateway_address(
            0, version
        )
        journey = send(fabric_of(replace(alone, closed=frozenset({place}))), call(version))
        assert (journey.end, journey.last.outcome.drop_reason) == (End.DROPPED, "ingress_denied")


@BOTH
def test_a_connection_that_is_open_stays_with_its_backend_and_port(version: int) -> None:
    fabric = fabric_of(replace(EDGE, backends=frozenset({(1, 0)})))
    first = got(send(fabric, call(version)))
    fabric.adopt(policies_of(EDGE))
    for name in DEVICES:
        fabric.write(name)
    assert got(send(fabric, replace(call(version), flags="A"))) == first


def test_a_gateway_of_one_family_lets_in_that_one_alone() -> None:
    fabric = fabric_of(replace(EDGE, families=(frozenset({4}), NONE)))
    assert send(fabric, call(4)).end is End.DELIVERED
    assert send(fabric, call(6)).end is End.UNTOUCHED


def test_two_gateways_do_not_take_each_others_connections() -> None:
    """One port of one client, to one backend, by either: the backend sees two sources, and each answer its own way."""
    world = replace(EDGE, families=(frozenset({4}), frozenset({4})), backends=frozenset({(1, 0)}))
    fabric = fabric_of(world)
    one, other = send(fabric, call(4)), send(fabric, replace(call(4), device=1))
    assert {got(one).src, got(other).src} == {gateway_address(0, 4), gateway_address(1, 4)}
    assert answer(fabric, one).dst == ip_address("198.51.100.1")
    back = fabric.send(DEVICES[1], port_of(0), answered_to(got(other), 0, "SA"))
    assert back is not None
    assert (back.end, back.last.device) == (End.LEFT, DEVICES[1])
