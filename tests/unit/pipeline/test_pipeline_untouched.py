"""What concerns no policy, or cannot be read, goes on as it came."""

from __future__ import annotations

import random

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from compiler.ir.interpreter import VerdictKind
from runtime.verification.frames import frame, tcp, tunnelled, udp
from runtime.verification.shop import (
    CLIENT_PORT,
    GATEWAY,
    MACS,
    ROUTER_MAC,
    TAG,
    TAGGED_PORT,
    UPLINK,
    VIP,
    WEB_1_PORT,
    Node,
)

HEAD = Ether(src=MACS["client"], dst=ROUTER_MAC)
PACKETS = {
    "tcp to a service, IPv4": (CLIENT_PORT, frame("10.0.0.10", VIP[4], tcp(1, 81)), 54),
    "tcp to a service, IPv6": (CLIENT_PORT, frame("fd00::10", VIP[6], tcp(1, 81)), 74),
    "udp to a service, IPv4": (CLIENT_PORT, frame("10.0.0.10", VIP[4], udp(1, 53)), 42),
    "through a tunnel": (UPLINK, tunnelled(frame("10.0.0.12", "10.0.0.10", tcp(1, 81))), 104),
    "tagged": (TAGGED_PORT, HEAD / Dot1Q(vlan=TAG) / IP(src="10.0.0.13", dst="10.0.0.10") / TCP(), 58),
}


@pytest.mark.parametrize("name", PACKETS)
def test_a_packet_cut_anywhere_in_its_headers_is_left_alone(name: str) -> None:
    node = Node()
    port, packet, headers = PACKETS[name]
    whole = bytes(packet)
    assert node.interpreter.process(port, whole).verdict is VerdictKind.FORWARD
    node = Node()
    for length in range(headers):
        outcome = node.interpreter.process(port, whole[:length])
        assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, whole[:length]), length
    assert node.model.learned("flow_ipv4") == ()


@pytest.mark.parametrize(
    ("port", "packet"),
    [
        (99, frame("10.0.0.10", VIP[4], tcp(1, 81))),
        (UPLINK, frame("10.0.0.10", VIP[4], tcp(1, 81))),
        (CLIENT_PORT, frame("10.0.0.10", "10.7.7.7", tcp(1, 2))),
        (CLIENT_PORT, HEAD / Raw(b"\x88\xb5" + b"x" * 60)),
        (CLIENT_PORT, HEAD / IP(src="10.0.0.10", dst="10.0.0.11", version=5) / TCP()),
        (CLIENT_PORT, HEAD / IP(src="10.0.0.10", dst="10.0.0.11", ihl=4) / TCP()),
        (CLIENT_PORT, HEAD / IPv6(src="fd00::10", dst="fd00::11", version=4) / TCP()),
    ],
    ids=["unknown port", "underlay", "no route", "EtherType", "version 5", "header too short", "version 4 in IPv6"],
)
def test_what_is_left_alone(port: int, packet: Packet) -> None:
    outcome = Node().interpreter.process(port, bytes(packet))
    assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, bytes(packet))


def fragments(dst: str) -> list[Packet]:
    """Three fragments of a UDP packet from the client."""
    network = IP(src="10.0.0.10", dst=dst) / UDP(sport=1, dport=53) / Raw(b"f" * 3000)
    return [*network.fragment(1000)]


def test_fragments_and_options_that_concern_nobody_are_routed() -> None:
    node = Node()
    with_options = IP(src="10.0.0.10", dst="10.0.0.11", options=[IPOption_NOP()] * 4) / TCP(sport=1, dport=81)
    hop_by_hop = IPv6(src="fd00::10", dst="fd00::11") / IPv6ExtHdrHopByHop() / TCP(sport=1, dport=81)
    fragment_6 = IPv6(src="fd00::10", dst="fd00::11") / IPv6ExtHdrFragment(m=1) / Raw(b"f" * 64)
    for network in (*fragments("10.0.0.11"), with_options, hop_by_hop, fragment_6):
        sent = bytes(HEAD / network)
        outcome = node.interpreter.process(CLIENT_PORT, sent)
        assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, WEB_1_PORT)
        behind = 34 if IP in network else 54
        assert outcome.packet[behind:] == sent[behind:]


def test_later_fragments_and_extension_headers_to_a_service_are_left_alone() -> None:
    node = Node()
    hop_by_hop = IPv6(src="fd00::10", dst=VIP[6]) / IPv6ExtHdrHopByHop() / TCP(sport=1, dport=81)
    for network in (*fragments(VIP[4])[1:], hop_by_hop):
        sent = bytes(HEAD / network)
        outcome = node.interpreter.process(CLIENT_PORT, sent)
        assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, sent)


def test_random_bytes_never_raise() -> None:
    source, node = random.Random(7), Node()
    seeds = [bytes(packet) for _, packet, _ in PACKETS.values()]
    for _ in range(2000):
        data = bytearray(source.choice(seeds))
        for _ in range(source.randrange(6)):
            data[source.randrange(len(data))] = source.randrange(256)
        data = data[: source.randrange(len(data) + 1)] if source.random() < 0.2 else data
        port = source.choice((UPLINK, CLIENT_PORT, TAGGED_PORT))
        outcome = node.interpreter.process(port, bytes(data))
        if outcome.verdict is VerdictKind.TO_KERNEL:
            assert outcome.packet == bytes(data)
    for length in range(200):
        data = source.randbytes(length)
        assert node.interpreter.process(UPLINK, data).packet == data


def test_ping_passes_between_workloads() -> None:
    sent = HEAD / IP(src="10.0.0.10", dst="10.0.0.11") / ICMP() / Raw(b"ping")
    outcome = Node().interpreter.process(CLIENT_PORT, bytes(sent))
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, WEB_1_PORT)
    to_gateway = bytes(HEAD / IP(src="10.0.0.10", dst=GATEWAY[4]) / ICMP())
    assert Node().interpreter.process(CLIENT_PORT, to_gateway).verdict is VerdictKind.TO_KERNEL
