"""ICMP errors about packets of known connections: who gets one sees its own packet quoted, and no other address."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from compiler.entries.vocabulary import mac_number
from compiler.ir.interpreter import Outcome, VerdictKind
from compiler.pipeline.assembly import pipeline
from runtime.verification import wire
from runtime.verification.comparison import Comparison
from runtime.verification.fabric import End, Fabric, Journey
from runtime.verification.gateways import Call, Gateways, gateway_address, policies_of
from runtime.verification.outsiders import (
    DEVICES,
    UPLINK,
    answered_to,
    backend,
    port_of,
)
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    MACS,
    OTHER_PORT,
    ROUTER_MAC,
    VIP,
    WEB_1_PORT,
    Node,
)
from runtime.verification.speaking import Ends, ends_of, framed
from runtime.verification.telling import (
    TOO_BIG,
    TOO_OLD,
    UNREACHABLE,
    Told,
    complain,
    error_about,
    is_about,
    one_hop_later,
    packet_of,
    told,
)

BOTH = pytest.mark.parametrize("version", [4, 6])
EACH = pytest.mark.parametrize("protocol", [wire.TCP, wire.UDP])
KINDS = pytest.mark.parametrize("kind", [UNREACHABLE, TOO_BIG, TOO_OLD])
QUOTES = pytest.mark.parametrize("keep", [8, 20, 200])
ROUTER = {4: "10.0.0.1", 6: "fd00::1"}
"""Some router's address, that of the shop's gateway for one."""
PORTS = {wire.TCP: (81, 8081), wire.UDP: (53, 5353)}


def frame_of(src: str, src_port: int, dst: str, dst_port: int, protocol: int, src_mac: str, flags: str = "A") -> bytes:
    ends = Ends(protocol=protocol, src=ip_address(src), src_port=src_port, dst=ip_address(dst), dst_port=dst_port)
    return framed(ends, flags, b"payload", mac_number(ROUTER_MAC), mac_number(src_mac))


def call_of(version: int, protocol: int, sport: int = 40000, flags: str = "S") -> bytes:
    addresses = ADDRESSES[version]
    return frame_of(addresses["client"], sport, VIP[version], PORTS[protocol][0], protocol, MACS["client"], flags)


def opened(node: Node, version: int, protocol: int) -> Outcome:
    """The client's first packet as web-1 gets it; UDP goes from one port to the next until it does."""
    for sport in range(40000, 40040):
        outcome = node.interpreter.process(CLIENT_PORT, call_of(version, protocol, sport))
        if outcome.egress_port == WEB_1_PORT:
            return outcome
    raise AssertionError("web-1 gets nothing")


def asked(version: int, got: bytes) -> bytes:
    """The packet that the client has sent, for what web-1 got of it."""
    ends = ends_of(got)
    assert ends is not None
    return packet_of(call_of(version, ends.protocol, ends.src_port))


def tell(
    node: Node,
    port: int,
    frame: bytes,
    teller: str,
    *,
    kind: dict[int, tuple[int, int]] = UNREACHABLE,
    keep: int = 8,
    rest: int = 0,
) -> Outcome:
    mac = {CLIENT_PORT: "client", WEB_1_PORT: "web-1"}.get(port, "client")
    version = packet_of(frame)[0] >> 4
    error = error_about(
        frame,
        ip_address(teller),
        kind=kind[version],
        dst_mac=mac_number(ROUTER_MAC),
        src_mac=mac_number(MACS[mac]),
        rest=rest,
        keep=keep,
    )
    return node.interpreter.process(port, error)


def heard(outcome: Outcome, port: int) -> Told:
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, port), outcome
    return told(outcome.packet)


@BOTH
@EACH
@KINDS
@QUOTES
def test_a_client_is_told_about_its_own_packet(
    version: int, protocol: int, kind: dict[int, tuple[int, int]], keep: int
) -> None:
    node = Node()
    got = opened(node, version, protocol)
    told_by = ADDRESSES[version]["web-1"]
    error = heard(tell(node, WEB_1_PORT, got.packet, told_by, kind=kind, keep=keep, rest=1400), CLIENT_PORT)
    assert (str(error.src), str(error.dst)) == (VIP[version], ADDRESSES[version]["client"])
    assert (error.kind, error.code, error.rest) == (*kind[version], 1400)
    sent = one_hop_later(asked(version, got.packet))
    header = 20 if version == 4 else 40
    if protocol == wire.UDP:
        assert error.quoted == sent[: header + keep]
    else:
        assert error.quoted[: header + 8] == sent[: header + 8]
        assert len(error.quoted) == len(sent[: header + keep])


@BOTH
@EACH
def test_a_backend_is_told_about_its_own_answer(version: int, protocol: int) -> None:
    node = Node()
    got = ends_of(opened(node, version, protocol).packet)
    assert got is not None
    back = got.turned
    answer = frame_of(str(back.src), back.src_port, str(back.dst), back.dst_port, protocol, MACS["web-1"])
    outcome = node.interpreter.process(WEB_1_PORT, answer)
    assert outcome.egress_port == CLIENT_PORT
    error = heard(tell(node, CLIENT_PORT, outcome.packet, ADDRESSES[version]["client"], kind=TOO_BIG), WEB_1_PORT)
    assert (str(error.src), str(error.dst)) == (ADDRESSES[version]["client"], ADDRESSES[version]["web-1"])
    sent = one_hop_later(packet_of(answer))
    assert error.quoted == sent[: len(error.quoted)]


@BOTH
def test_a_router_keeps_its_address_where_answers_do(version: int) -> None:
    """Towards the backend, who sees the client; towards the client it is the service that speaks."""
    node = Node()
    got = opened(node, version, wire.TCP)
    inward = heard(tell(node, WEB_1_PORT, got.packet, ROUTER[version], kind=TOO_OLD), CLIENT_PORT)
    assert str(inward.src) == VIP[version]
    addresses = ADDRESSES[version]
    answer = frame_of(addresses["web-1"], 8081, addresses["client"], 40000, wire.TCP, MACS["web-1"])
    outcome = node.interpreter.process(WEB_1_PORT, answer)
    outward = heard(tell(node, CLIENT_PORT, outcome.packet, ROUTER[version], kind=TOO_OLD), WEB_1_PORT)
    assert str(outward.src) == ROUTER[version]


@BOTH
def test_udp_without_a_checksum_has_none_in_the_quote(version: int) -> None:
    node = Node()
    got = opened(node, version, wire.UDP)
    packet = packet_of(got.packet)
    at = len(got.packet) - len(packet) + (20 if version == 4 else 40) + 6
    frame = got.packet[:at] + b"\0\0" + got.packet[at + 2 :]
    error = heard(tell(node, WEB_1_PORT, frame, ADDRESSES[version]["web-1"]), CLIENT_PORT)
    sent = one_hop_later(asked(version, got.packet))
    assert error.quoted == sent[: len(error.quoted) - 2] + b"\0\0"


@BOTH
@pytest.mark.parametrize("is_answer", [False, True])
def test_an_error_is_no_packet_of_the_connection(version: int, is_answer: bool) -> None:
    node = Node()
    got = opened(node, version, wire.UDP)
    if is_answer:
        ends = ends_of(got.packet)
        assert ends is not None
        back = ends.turned
        frame = frame_of(str(back.src), back.src_port, str(back.dst), back.dst_port, wire.UDP, MACS["web-1"])
        got = node.interpreter.process(WEB_1_PORT, frame)
    before = state_of(node, version)
    port = CLIENT_PORT if is_answer else WEB_1_PORT
    heard(tell(node, port, got.packet, ROUTER[version]), WEB_1_PORT if is_answer else CLIENT_PORT)
    assert state_of(node, version) == before


def state_of(node: Node, version: int) -> object:
    """Connections with their profiles, and the counters of services."""
    model = node.model
    entries = [e for table in ("flow", "flow_reverse") for e in model.learned(f"{table}_ipv{version}")]
    counters = ("service_requests", "service_replies", "drops")
    counted = {name: [model.indexed_counter(name, index) for index in model.counted(name)] for name in counters}
    return [(e.key, e.action, e.profile) for e in entries], counted


def without_service(node: Node, version: int, frame: bytes, teller: str) -> None:
    """The error goes on as any packet without ports: changed in nothing but its hops."""
    outcome = tell(node, WEB_1_PORT, frame, teller)
    error = heard(outcome, CLIENT_PORT)
    assert str(error.src) == teller
    packet = packet_of(frame)
    assert error.quoted == packet[: (20 if version == 4 else 40) + 8]


@BOTH
@EACH
def test_what_names_no_known_connection_goes_on_as_it_is(version: int, protocol: int) -> None:
    node = Node()
    got = opened(node, version, protocol)
    ends = ends_of(got.packet)
    assert ends is not None
    addresses = ADDRESSES[version]
    other = frame_of(str(ends.src), ends.src_port + 1000, str(ends.dst), ends.dst_port, protocol, MACS["client"])
    without_service(node, version, other, addresses["web-1"])
    turned = {wire.TCP: wire.UDP, wire.UDP: wire.TCP}[protocol]
    other = frame_of(str(ends.src), ends.src_port, str(ends.dst), ends.dst_port, turned, MACS["client"])
    without_service(node, version, other, addresses["web-1"])


@BOTH
def test_it_has_to_be_for_whom_it_quotes(version: int) -> None:
    """Somebody who makes errors up does not have them sent to others as the service's."""
    node = Node()
    got = opened(node, version, wire.TCP)
    addresses = ADDRESSES[version]
    quoted = packet_of(got.packet)[: (20 if version == 4 else 40) + 8]
    src, dst = ip_address(addresses["web-1"]), ip_address(addresses["tagged"])
    message = wire.icmp(src, dst, *UNREACHABLE[version], 0, quoted)
    packet = wire.ip(src, dst, wire.icmp_protocol(version), message)
    frame = wire.ethernet(mac_number(ROUTER_MAC), mac_number(MACS["web-1"]), wire.ether_type_of(version), packet)
    outcome = node.interpreter.process(WEB_1_PORT, frame)
    assert outcome.verdict is VerdictKind.FORWARD
    assert told(outcome.packet).quoted == quoted


@BOTH
def test_another_network_knows_nothing_of_it(version: int) -> None:
    """Network 2 has a client of the same address, which could make up what network 1's client gets."""
    node = Node()
    got = opened(node, version, wire.TCP)
    outcome = tell(node, OTHER_PORT, got.packet, ADDRESSES[version]["web-1"])
    assert not any(str(step).startswith("Hit") and "flow" in str(step) for step in outcome.trace)
    assert outcome.egress_port != CLIENT_PORT


ICMP_KINDS = {4: ((0, 0), (4, 0), (5, 1), (8, 0), (13, 0)), 6: ((0, 0), (100, 0), (128, 0), (137, 0))}


@BOTH
def test_what_is_no_error_is_not_looked_into(version: int) -> None:
    node = Node()
    got = opened(node, version, wire.UDP)
    for kind in ICMP_KINDS[version]:
        outcome = tell(node, WEB_1_PORT, got.packet, ADDRESSES[version]["web-1"], kind={version: kind})
        error = heard(outcome, CLIENT_PORT)
        assert str(error.src) == ADDRESSES[version]["web-1"]
        assert ip_address(VIP[version]).packed not in error.quoted


# Through tunnels, from outside, through gateways.


def sent(fabric: Fabric, device: int, port: int, frame: bytes) -> Journey:
    journey = fabric.send(DEVICES[device], port, frame)
    assert journey is not None
    return journey


def complained(fabric: Fabric, journey: Journey, teller: str | None = None) -> Journey:
    told_of = complain(fabric, journey, ip_address(teller) if teller else None)
    assert told_of is not None
    return told_of


HOMES = {"near": frozenset({(0, 0)}), "far": frozenset({(1, 0)})}


def gateways(home: str) -> Fabric:
    """Device A is a gateway; the one backend is behind it, or behind device B."""
    world = Gateways(families=(frozenset({4, 6}), frozenset()), backends=HOMES[home])
    return Fabric({name: Comparison((), pipeline=pipeline()) for name in DEVICES}, policies_of(world))


@BOTH
@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("port", [80, 53])
def test_a_gateway_translates_both_ways(version: int, home: str, port: int) -> None:
    fabric, device = gateways(home), {"near": 0, "far": 1}[home]
    call = Call(device=0, version=version, client=0, src_port=4000, port=port)
    there = sent(fabric, 0, UPLINK, call.frame())
    assert there.end is End.DELIVERED
    for teller in (None, "10.1.77.77" if version == 4 else "fd00:10:1::77"):
        journey = complained(fabric, there, teller)
        assert (journey.end, journey.last.device) == (End.LEFT, DEVICES[0])
        error = told(journey.frame)
        assert (error.src, error.dst) == (call.ends.dst, call.ends.src), "nobody outside sees an address inside"
        assert is_about(error, call.frame(), len(there.hops))
    got = ends_of(there.frame)
    assert got is not None
    answer = answered_to(got, 0, "SA")
    back = sent(fabric, device, port_of(0), answer)
    assert back.end is End.LEFT
    journey = complained(fabric, back, "192.0.2.99" if version == 4 else "2001:db8::99")
    assert (journey.end, journey.last.device) == (End.DELIVERED, DEVICES[device])
    error = told(journey.frame)
    assert (error.src, error.dst) == (gateway_address(0, version), backend(device, version))
    assert is_about(error, answer, len(back.hops))
