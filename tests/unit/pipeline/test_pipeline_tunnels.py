"""VXLAN between two devices, VLAN ports, and what may not enter a tunnel."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN

from compiler.ir.interpreter import VerdictKind
from runtime.verification.frames import INNER, frame, recomputed, tcp, tunnelled
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    MACS,
    OTHER_PORT,
    ROUTER_MAC,
    SHOP,
    TAG,
    TAGGED_PORT,
    UNDERLAY_A,
    UNDERLAY_B,
    UNDERLAY_MAC_A,
    UNDERLAY_MAC_B,
    UPLINK,
    VIP,
    VNI,
    WEB_2_PORT,
    Node,
)

BOTH = pytest.mark.parametrize("version", [4, 6])


def remote_port(node: Node, version: int) -> tuple[int, bytes]:
    """A source port whose connection goes to web-2 on the other device, and the packet that leaves for it."""
    for port in range(40000, 40100):
        packet = bytes(frame(ADDRESSES[version]["client"], VIP[version], tcp(port, 80), payload=b"x" * 100))
        outcome = node.interpreter.process(CLIENT_PORT, packet)
        if outcome.egress_port == UPLINK:
            return port, outcome.packet
    raise AssertionError("no connection left through the tunnel")


@BOTH
def test_encapsulation(version: int) -> None:
    _, packet = remote_port(Node(), version)
    outer = Ether(packet)
    assert (outer.src, outer.dst) == (UNDERLAY_MAC_A, UNDERLAY_MAC_B)
    assert (outer[IP].src, outer[IP].dst, outer[IP].flags) == (UNDERLAY_A, UNDERLAY_B, "DF")
    assert outer[IP].len == len(packet) - 14
    assert (outer[UDP].dport, outer[UDP].len, outer[UDP].chksum) == (4789, len(packet) - 34, 0)
    assert outer[UDP].sport >= 49152
    assert (outer[VXLAN].flags.value, outer[VXLAN].vni) == (8, VNI[SHOP])
    assert recomputed(packet)[:34] == packet[:34]
    inner = packet[INNER:]
    assert (Ether(inner).src, Ether(inner).dst) == (ROUTER_MAC, MACS["web-2"])
    assert recomputed(inner) == inner


@BOTH
def test_a_connection_over_two_devices(version: int) -> None:
    a, b = Node("A"), Node("B")
    port, packet = remote_port(a, version)
    arrived = b.interpreter.process(UPLINK, packet)
    assert (arrived.verdict, arrived.egress_port) == (VerdictKind.FORWARD, WEB_2_PORT)
    network = Ether(arrived.packet)[IP if version == 4 else IPv6]
    assert (network.dst, network[TCP].dport) == (ADDRESSES[version]["web-2"], 8080)
    assert recomputed(arrived.packet) == arrived.packet
    reply = frame(ADDRESSES[version]["web-2"], network.src, tcp(8080, port, "SA"), mac=MACS["web-2"])
    sent = b.interpreter.process(WEB_2_PORT, bytes(reply))
    assert sent.egress_port == UPLINK
    back = a.interpreter.process(UPLINK, sent.packet)
    assert (back.verdict, back.egress_port) == (VerdictKind.FORWARD, CLIENT_PORT)
    network = Ether(back.packet)[IP if version == 4 else IPv6]
    assert (network.src, network[TCP].sport) == (VIP[version], 80)
    assert recomputed(back.packet) == back.packet


def test_equal_addresses_of_two_networks_stay_apart() -> None:
    inner = frame(ADDRESSES[4]["web-2"], ADDRESSES[4]["client"], tcp(1, 2))
    for vni, port in ((1001, CLIENT_PORT), (1002, OTHER_PORT)):
        outcome = Node().interpreter.process(UPLINK, bytes(tunnelled(inner, vni=vni)))
        assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, port)


@pytest.mark.parametrize("version", [4, 6])
def test_a_packet_from_a_tunnel_does_not_go_into_one(version: int) -> None:
    inner = frame(ADDRESSES[version]["client"], ADDRESSES[version]["web-2"], tcp(1, 2))
    outcome = Node().interpreter.process(UPLINK, bytes(tunnelled(inner)))
    assert (outcome.verdict, outcome.drop_reason) == (VerdictKind.DROP, "tunnel_loop")


def test_from_a_tunnel_to_nowhere_is_dropped() -> None:
    outcome = Node().interpreter.process(UPLINK, bytes(tunnelled(frame("10.0.0.12", "10.7.7.7", tcp(1, 2)))))
    assert (outcome.verdict, outcome.drop_reason) == (VerdictKind.DROP, "no_route")


@pytest.mark.parametrize(("to", "vni"), [("A", 999), ("B", 1001)], ids=["unknown VNI", "other address"])
def test_a_tunnel_that_does_not_end_here_is_left_alone(to: str, vni: int) -> None:
    packet = bytes(tunnelled(frame("10.0.0.12", "10.0.0.10", tcp(1, 2)), to=to, vni=vni))
    outcome = Node("A").interpreter.process(UPLINK, packet)
    assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, packet)


def test_vxlan_of_a_workload_is_plain_udp() -> None:
    packet = bytes(tunnelled(frame("10.0.0.12", "10.0.0.10", tcp(1, 2))))
    outcome = Node().interpreter.process(CLIENT_PORT, packet)
    assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, packet)


@BOTH
def test_to_a_tagged_port_and_back(version: int) -> None:
    node, addresses = Node(), ADDRESSES[version]
    packet = bytes(frame(addresses["client"], addresses["tagged"], tcp(1, 2)))
    outcome = node.interpreter.process(CLIENT_PORT, packet)
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, TAGGED_PORT)
    built = Ether(outcome.packet)
    assert (built.type, built[Dot1Q].vlan, built[Dot1Q].prio) == (0x8100, TAG, 0)
    assert len(outcome.packet) == len(packet) + 4
    assert recomputed(outcome.packet) == outcome.packet
    reply = Ether(bytes(frame(addresses["tagged"], addresses["client"], tcp(2, 1), mac=MACS["tagged"])))
    tagged = Ether(src=reply.src, dst=reply.dst) / Dot1Q(vlan=TAG, prio=5) / reply.payload
    back = node.interpreter.process(TAGGED_PORT, bytes(tagged))
    assert back.egress_port == CLIENT_PORT
    assert Ether(back.packet).type in (0x0800, 0x86DD)
    assert recomputed(back.packet) == back.packet


@pytest.mark.parametrize("vlan", [0, 101])
def test_another_tag_is_left_alone(vlan: int) -> None:
    inner = Ether(bytes(frame("10.0.0.13", "10.0.0.10", tcp(2, 1))))
    packet = bytes(Ether(src=inner.src, dst=inner.dst) / Dot1Q(vlan=vlan) / inner.payload)
    outcome = Node().interpreter.process(TAGGED_PORT, packet)
    assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, packet)
