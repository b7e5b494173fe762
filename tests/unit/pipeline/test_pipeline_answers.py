"""What the pipeline answers by itself: ARP, neighbour discovery, ICMP errors."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from compiler.ir.interpreter import VerdictKind
from runtime.verification.frames import frame, recomputed, tcp, tunnelled, udp
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    GATEWAY,
    MACS,
    MTU,
    ROUTER_MAC,
    TAG,
    TAGGED_PORT,
    TUNNEL_MTU,
    UPLINK,
    VIP,
    Node,
)

CLIENT_MAC = MACS["client"]


def arp(**fields: object) -> Packet:
    asked = {"op": 1, "hwsrc": CLIENT_MAC, "psrc": "10.0.0.10", "pdst": GATEWAY[4], **fields}
    return Ether(src=CLIENT_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(**asked)


@pytest.mark.parametrize("address", [GATEWAY[4], VIP[4]])
def test_arp_is_answered(address: str) -> None:
    outcome = Node().interpreter.process(CLIENT_PORT, bytes(arp(pdst=address)))
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.REPLY, CLIENT_PORT)
    built = Ether(outcome.packet)
    assert (built.src, built.dst) == (ROUTER_MAC, CLIENT_MAC)
    reply = built[ARP]
    assert (reply.op, reply.hwsrc, reply.psrc, reply.hwdst, reply.pdst) == (
        *(2, ROUTER_MAC, address),
        *(CLIENT_MAC, "10.0.0.10"),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"pdst": "10.0.0.11"},
        {"psrc": "0.0.0.0"},
        {"psrc": GATEWAY[4]},
        {"op": 2},
        {"hwtype": 6},
        {"ptype": 0x86DD},
        {"hwlen": 8},
        {"plen": 16},
    ],
    ids=["unknown address", "probe", "announcement", "reply", "hardware", "protocol", "hardware length", "length"],
)
def test_other_arp_is_left_alone(fields: dict[str, object]) -> None:
    if "hwlen" in fields or "plen" in fields:
        raw = bytearray(bytes(arp()))
        raw[18 if "hwlen" in fields else 19] = next(int(str(v)) for v in fields.values())
        packet = bytes(raw)
    else:
        packet = bytes(arp(**fields))
    outcome = Node().interpreter.process(CLIENT_PORT, packet)
    assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, packet)


def solicitation(target: str = GATEWAY[6], *, src: str = "fd00::10", hop_limit: int = 255, code: int = 0) -> Packet:
    network = IPv6(src=src, dst="ff02::1:ff00:1", hlim=hop_limit)
    message = ICMPv6ND_NS(tgt=target, code=code) / ICMPv6NDOptSrcLLAddr(lladdr=CLIENT_MAC)
    return Ether(src=CLIENT_MAC, dst="33:33:ff:00:00:01") / network / message


@pytest.mark.parametrize("target", [GATEWAY[6], VIP[6]])
def test_a_solicitation_is_answered(target: str) -> None:
    outcome = Node().interpreter.process(CLIENT_PORT, bytes(solicitation(target)))
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.REPLY, CLIENT_PORT)
    built = Ether(outcome.packet)
    assert (built.src, built.dst) == (ROUTER_MAC, CLIENT_MAC)
    assert (built[IPv6].src, built[IPv6].dst, built[IPv6].hlim) == (target, "fd00::10", 255)
    answer = built[ICMPv6ND_NA]
    assert (answer.R, answer.S, answer.O, answer.tgt) == (0, 1, 1, target)
    assert built[ICMPv6NDOptDstLLAddr].lladdr == ROUTER_MAC
    assert recomputed(outcome.packet) == outcome.packet


@pytest.mark.parametrize(
    "packet",
    [
        solicitation("fd00::11"),
        solicitation(hop_limit=64),
        solicitation(src="::"),
        solicitation(src=GATEWAY[6]),
        solicitation(code=1),
        Ether(src=CLIENT_MAC, dst=ROUTER_MAC)
        / IPv6(src="fd00::10", dst=GATEWAY[6], hlim=255)
        / ICMPv6ND_NS(tgt=GATEWAY[6]),
    ],
    ids=["unknown address", "from afar", "duplicate address detection", "own address", "code", "no option"],
)
def test_other_solicitations_are_left_alone(packet: Packet) -> None:
    outcome = Node().interpreter.process(CLIENT_PORT, bytes(packet))
    assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, bytes(packet))


def test_neither_is_answered_in_a_tunnel() -> None:
    for inner in (arp(), solicitation()):
        outcome = Node().interpreter.process(UPLINK, bytes(tunnelled(inner)))
        assert outcome.verdict is VerdictKind.DROP


def check_quote(packet: bytes, original: Packet, version: int) -> Packet:
    """The error is well formed, goes back to the client, and quotes the original's first bytes."""
    built = Ether(packet)
    assert (built.src, built.dst) == (ROUTER_MAC, CLIENT_MAC)
    network = built[IP if version == 4 else IPv6]
    assert (network.src, network.dst) == (GATEWAY[version], ADDRESSES[version]["client"])
    length = 28 if version == 4 else 48
    assert packet[-length:] == bytes(original)[14 : 14 + length]
    assert recomputed(packet) == packet
    return network


@pytest.mark.parametrize("ttl", [0, 1])
def test_time_exceeded(ttl: int) -> None:
    for version in (4, 6):
        for transport in (tcp(40000, 81), udp(40000, 53)):
            original = frame(ADDRESSES[version]["client"], VIP[version], transport, ttl=ttl, payload=b"p" * 30)
            outcome = Node().interpreter.process(CLIENT_PORT, bytes(original))
            assert (outcome.verdict, outcome.egress_port) == (VerdictKind.REPLY, CLIENT_PORT)
            network = check_quote(outcome.packet, original, version)
            if version == 4:
                assert (network[ICMP].type, network[ICMP].code) == (11, 0)
            else:
                assert network[ICMPv6TimeExceeded].code == 0


def big(version: int, length: int, *, dst: str, flags: str = "DF") -> Packet:
    """A UDP packet whose IP packet is so long."""
    headers = 28 if version == 4 else 48
    packet = frame(ADDRESSES[version]["client"], dst, udp(1, 2), payload=b"z" * (length - headers))
    if version == 4:
        packet[IP].flags = flags
    return packet


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("name", "mtu"), [("web-1", MTU), ("web-2", TUNNEL_MTU)])
def test_packets_up_to_the_mtu_pass_and_longer_ones_are_reported(version: int, name: str, mtu: int) -> None:
    dst = ADDRESSES[version][name]
    assert Node().interpreter.process(CLIENT_PORT, bytes(big(version, mtu, dst=dst))).verdict is VerdictKind.FORWARD
    original = big(version, mtu + 1, dst=dst)
    outcome = Node().interpreter.process(CLIENT_PORT, bytes(original))
    assert outcome.verdict is VerdictKind.REPLY
    network = check_quote(outcome.packet, original, version)
    if version == 4:
        assert (network[ICMP].type, network[ICMP].code, network[ICMP].nexthopmtu) == (3, 4, mtu)
    else:
        assert network[ICMPv6PacketTooBig].mtu == mtu
        assert ICMPv6DestUnreach not in network


def test_a_fragmentable_packet_that_is_too_big_is_dropped() -> None:
    packet = bytes(big(4, TUNNEL_MTU + 1, dst=ADDRESSES[4]["web-2"], flags=""))
    outcome = Node().interpreter.process(CLIENT_PORT, packet)
    assert (outcome.verdict, outcome.drop_reason) == (VerdictKind.DROP, "fragmentation_needed")


def test_no_error_about_icmp() -> None:
    packet = Ether(src=CLIENT_MAC, dst=ROUTER_MAC) / IP(src="10.0.0.10", dst="10.0.0.11", ttl=1) / ICMP()
    outcome = Node().interpreter.process(CLIENT_PORT, bytes(packet))
    assert (outcome.verdict, outcome.drop_reason) == (VerdictKind.DROP, "error_not_sent")


def test_no_error_into_a_tunnel() -> None:
    inner = frame("10.0.0.12", "10.0.0.10", udp(1, 2), ttl=1)
    outcome = Node().interpreter.process(UPLINK, bytes(tunnelled(inner)))
    assert (outcome.verdict, outcome.drop_reason) == (VerdictKind.DROP, "error_not_sent")


def test_no_error_in_a_network_without_gateway() -> None:
    node = Node()
    (entry,) = node.model.entries("network")
    node.model.delete(entry)
    packet = frame("10.0.0.10", "10.0.0.11", udp(1, 2), ttl=1)
    outcome = node.interpreter.process(CLIENT_PORT, bytes(packet))
    assert (outcome.verdict, outcome.drop_reason) == (VerdictKind.DROP, "error_not_sent")


def test_an_error_to_a_tagged_port_keeps_the_tag() -> None:
    plain = Ether(bytes(frame("10.0.0.13", "10.0.0.10", udp(1, 2), ttl=1, mac=MACS["tagged"])))
    packet = Ether(src=plain.src, dst=plain.dst) / Dot1Q(vlan=TAG) / plain.payload
    outcome = Node().interpreter.process(TAGGED_PORT, bytes(packet))
    built = Ether(outcome.packet)
    assert (outcome.verdict, built[Dot1Q].vlan, built[ICMP].type) == (VerdictKind.REPLY, TAG, 11)
    assert UDP not in built[ICMP] or built[IP].dst == "10.0.0.13"
    assert recomputed(outcome.packet) == outcome.packet
