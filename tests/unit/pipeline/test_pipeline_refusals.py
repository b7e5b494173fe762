"""A service that no backend is behind refuses at once: TCP by a reset, UDP by ICMP, of both families."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from compiler.ir.interpreter import Outcome, Tally, VerdictKind
from compiler.pipeline.assembly import DROP_REASONS
from compiler.pipeline.refusal import NO_BACKEND_ID
from runtime.verification.frames import frame, recomputed, tcp, tunnelled, udp
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    EMPTY_SERVICE,
    MACS,
    ROUTER_MAC,
    TAG,
    TAGGED_PORT,
    UPLINK,
    VIP,
    Node,
)
from runtime.verification.shop_frames import tagged

BOTH = pytest.mark.parametrize("version", [4, 6])
EMPTY_PORT = 82


def sent(version: int, transport: Packet, payload: bytes = b"") -> Packet:
    return frame(ADDRESSES[version]["client"], VIP[version], transport, payload=payload)


def refused(node: Node, packet: Packet) -> Packet:
    """What the client gets back: by its own port, from its router, checksums right, counted, nothing learned."""
    outcome = node.interpreter.process(CLIENT_PORT, bytes(packet))
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.REPLY, CLIENT_PORT)
    assert recomputed(outcome.packet) == outcome.packet
    assert node.model.indexed_counter("drops", NO_BACKEND_ID) == Tally(1, len(bytes(packet)))
    assert node.model.indexed_counter("service_requests", EMPTY_SERVICE) == Tally(0, 0)
    assert node.model.learned("flow_ipv4") == node.model.learned("flow_ipv6") == ()
    answer = Ether(outcome.packet)
    assert (answer.src, answer.dst) == (ROUTER_MAC, MACS["client"])
    return answer


def test_what_is_refused_counts_as_no_backend() -> None:
    assert [reason.id for reason in DROP_REASONS if reason.name == "no_backend"] == [NO_BACKEND_ID]


@BOTH
@pytest.mark.parametrize(
    ("flags", "payload", "sequence", "acknowledgement", "answered"),
    [
        ("S", b"", 0, 1001, "RA"),
        ("S", b"early", 0, 1006, "RA"),
        ("SEC", b"", 0, 1001, "RA"),
        ("F", b"", 0, 1001, "RA"),
        ("SF", b"both", 0, 1006, "RA"),
        ("", b"bare", 0, 1004, "RA"),
        ("A", b"late", 7, 0, "R"),
        ("SA", b"", 7, 0, "R"),
        ("FPA", b"", 7, 0, "R"),
    ],
)
def test_tcp_is_reset(
    version: int, flags: str, payload: bytes, sequence: int, acknowledgement: int, answered: str
) -> None:
    segment = TCP(sport=40000, dport=EMPTY_PORT, flags=flags, seq=1000, ack=7, options=[("MSS", 1400)])
    answer = refused(Node(), sent(version, segment, payload))
    network = answer[IP] if version == 4 else answer[IPv6]
    assert (network.src, network.dst) == (VIP[version], ADDRESSES[version]["client"])
    assert (network.ttl if version == 4 else network.hlim) == 64
    reset = network[TCP]
    assert (reset.sport, reset.dport) == (EMPTY_PORT, 40000)
    assert (reset.seq, reset.ack, str(reset.flags), reset.window) == (sequence, acknowledgement, answered, 0)


@BOTH
def test_udp_is_told_that_the_port_is_unreachable(version: int) -> None:
    original = sent(version, udp(40000, EMPTY_PORT), b"q" * 30)
    answer = refused(Node(), original)
    network = answer[IP] if version == 4 else answer[IPv6]
    assert (network.src, network.dst) == (VIP[version], ADDRESSES[version]["client"])
    if version == 4:
        assert (network[ICMP].type, network[ICMP].code) == (3, 3)
    else:
        assert network[ICMPv6DestUnreach].code == 4
    quoted = 28 if version == 4 else 48
    assert bytes(answer)[-quoted:] == bytes(original)[14 : 14 + quoted]


@BOTH
@pytest.mark.parametrize("transport", [tcp(5000, EMPTY_PORT), udp(5000, EMPTY_PORT)], ids=["tcp", "udp"])
def test_a_tag_stays(version: int, transport: Packet) -> None:
    packet = frame(ADDRESSES[version]["tagged"], VIP[version], transport, mac=MACS["tagged"])
    outcome = Node().interpreter.process(TAGGED_PORT, bytes(tagged(packet)))
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.REPLY, TAGGED_PORT)
    answer = Ether(outcome.packet)
    assert (answer.dst, answer[Dot1Q].vlan) == (MACS["tagged"], TAG)


def check_dropped(node: Node, outcome: Outcome, length: int) -> None:
    assert (outcome.verdict, outcome.drop_reason, outcome.packet) == (VerdictKind.DROP, "no_backend", b"")
    assert node.model.indexed_counter("drops", NO_BACKEND_ID) == Tally(1, length)


@BOTH
@pytest.mark.parametrize("flags", ["R", "RA"])
def test_a_reset_is_never_answered(version: int, flags: str) -> None:
    node, packet = Node(), bytes(sent(version, tcp(40000, EMPTY_PORT, flags)))
    check_dropped(node, node.interpreter.process(CLIENT_PORT, packet), len(packet))


@BOTH
@pytest.mark.parametrize("transport", [tcp(40000, EMPTY_PORT), udp(40000, EMPTY_PORT)], ids=["tcp", "udp"])
def test_what_came_through_a_tunnel_is_dropped(version: int, transport: Packet) -> None:
    node, packet = Node(), bytes(tunnelled(sent(version, transport)))
    check_dropped(node, node.interpreter.process(UPLINK, packet), len(packet))
