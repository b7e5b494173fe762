"""Clients outside: from the underlay without a tunnel to the address of a service, and back by the entry's way."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from compiler.entries.vocabulary import mac_number
from compiler.ir.entries import ActionCall
from compiler.ir.interpreter import Interpreter, Outcome, VerdictKind
from runtime.verification.frames import INNER, frame, recomputed, tcp, tunnelled
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    MACS,
    ROUTER_MAC,
    SHOP,
    UNDERLAY_A,
    UNDERLAY_B,
    UNDERLAY_MAC_A,
    UNDERLAY_MAC_B,
    UPLINK,
    VIP,
    VNI,
    WEB_1_PORT,
    WEB_2_PORT,
    Node,
)

BOTH = pytest.mark.parametrize("version", [4, 6])
OUTSIDE = {4: "203.0.113.9", 6: "2001:db8::9"}
GATEWAY_MAC = "02:00:00:00:01:fe"
WAY_OUT, BACK = 90, 91
SIGNATURE = (mac_number(UNDERLAY_MAC_A) - mac_number(ROUTER_MAC)) % (1 << 48)
"""Makes of the router's address, from which frames come, that of device A."""


@pytest.fixture
def device() -> Interpreter:
    """Device A of the shop, whose service address clients outside may call."""
    return entrance(Node())


def entrance(node: Node) -> Interpreter:
    book = node.book
    enter = book.call("enter_from_outside", network=SHOP, nexthop=WAY_OUT, signature=SIGNATURE)
    out = book.call("deliver", network=SHOP, port=UPLINK, mtu=1500, dst_mac=GATEWAY_MAC, src_mac=UNDERLAY_MAC_A, vlan=0)
    node.model.insert(book.entry("neighbor", out, nexthop=WAY_OUT))
    node.model.insert(book.entry("arp", book.call("answer", mac=UNDERLAY_MAC_A), network=0, address=VIP[4]))
    for version in (4, 6):
        node.model.insert(book.entry(f"eip_ipv{version}", enter, address=VIP[version], mac=UNDERLAY_MAC_A))
    return node.interpreter


def ip_of(packet: bytes) -> Packet:
    built = Ether(packet)
    return built[IP] if IP in built else built[IPv6]


def call(
    device: Interpreter,
    version: int,
    port: int,
    flags: str = "S",
    to: str = "",
    *,
    mac: str = UNDERLAY_MAC_A,
    src_port: int = 40000,
) -> Outcome:
    built = frame(OUTSIDE[version], to or VIP[version], tcp(src_port, port, flags))
    built[Ether].dst = mac
    return device.process(UPLINK, bytes(built))


@BOTH
def test_a_client_outside_reaches_the_backend_and_is_answered_by_the_uplink(device: Interpreter, version: int) -> None:
    outcome = call(device, version, 81)
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, WEB_1_PORT)
    asked = ip_of(outcome.packet)
    assert (asked.src, asked.dst, asked[TCP].dport) == (OUTSIDE[version], ADDRESSES[version]["web-1"], 8081)
    reply = frame(ADDRESSES[version]["web-1"], OUTSIDE[version], tcp(8081, 40000, "SA"), mac=MACS["web-1"])
    answered = device.process(WEB_1_PORT, bytes(reply))
    assert (answered.verdict, answered.egress_port) == (VerdictKind.FORWARD, UPLINK)
    built, network = Ether(answered.packet), ip_of(answered.packet)
    assert (built.src, built.dst) == (UNDERLAY_MAC_A, GATEWAY_MAC)
    assert (network.src, network.dst, network[TCP].sport) == (VIP[version], OUTSIDE[version], 81)
    assert recomputed(answered.packet) == answered.packet


@BOTH
def test_what_a_switch_sends_everywhere_is_for_one_device_alone(device: Interpreter, version: int) -> None:
    assert call(device, version, 81, mac=UNDERLAY_MAC_B).verdict is VerdictKind.TO_KERNEL


@BOTH
def test_a_service_without_backends_refuses_clients_outside(device: Interpreter, version: int) -> None:
    outcome = call(device, version, 82)
    assert (outcome.verdict, ip_of(outcome.packet)[TCP].flags) == (VerdictKind.REPLY, "RA")


@BOTH
def test_what_is_no_service_of_the_address_is_left_to_the_host(device: Interpreter, version: int) -> None:
    assert call(device, version, 22).verdict is VerdictKind.TO_KERNEL


@BOTH
def test_addresses_inside_are_not_reached_from_outside(device: Interpreter, version: int) -> None:
    assert call(device, version, 8081, to=ADDRESSES[version]["web-1"]).verdict is VerdictKind.TO_KERNEL


def test_a_connection_from_inside_with_the_same_ports_is_another_one(device: Interpreter) -> None:
    call(device, 4, 81)
    inside = device.process(CLIENT_PORT, bytes(frame(ADDRESSES[4]["client"], VIP[4], tcp(40000, 81, "S"))))
    assert (inside.verdict, inside.egress_port) == (VerdictKind.FORWARD, WEB_1_PORT)


@pytest.mark.parametrize(("asked", "verdict"), [(VIP[4], VerdictKind.REPLY), ("10.0.0.1", VerdictKind.TO_KERNEL)])
def test_arp_on_the_underlay_is_answered_for_addresses_of_network_0(
    device: Interpreter, asked: str, verdict: VerdictKind
) -> None:
    request = Ether(src=GATEWAY_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=GATEWAY_MAC, psrc="192.0.2.254", pdst=asked
    )
    outcome = device.process(UPLINK, bytes(request))
    assert outcome.verdict is verdict
    if verdict is VerdictKind.REPLY:
        assert Ether(outcome.packet)[ARP].hwsrc == UNDERLAY_MAC_A


def behind(node: Node) -> Interpreter:
    """Device B, with a way to device A for what that lets in."""
    book = node.book
    out = book.call(
        "encapsulate",
        network=SHOP,
        port=UPLINK,
        mtu=1450,
        dst_mac=ROUTER_MAC,
        src_mac=ROUTER_MAC,
        vni=VNI[SHOP],
        tunnel_src=UNDERLAY_B,
        tunnel_dst=UNDERLAY_A,
        tunnel_src_mac=UNDERLAY_MAC_B,
        tunnel_dst_mac=UNDERLAY_MAC_A,
    )
    node.model.insert(book.entry("neighbor", out, nexthop=BACK))
    for version in (4, 6):
        call = book.call("came_in_by", nexthop=BACK)
        node.model.insert(book.entry(f"entrance_ipv{version}", call, network=SHOP, source=UNDERLAY_MAC_A))
    return node.interpreter


@BOTH
def test_a_backend_behind_another_device_answers_by_the_one_that_let_the_client_in(version: int) -> None:
    near, far = entrance(Node("A")), behind(Node("B"))
    sent, port = remote(near, version)
    inner = Ether(sent.packet[INNER:])
    assert (inner.src, ip_of(sent.packet[INNER:]).src) == (UNDERLAY_MAC_A, OUTSIDE[version])
    arrived = far.process(UPLINK, sent.packet)
    assert (arrived.verdict, arrived.egress_port) == (VerdictKind.FORWARD, WEB_2_PORT)
    reply = frame(ADDRESSES[version]["web-2"], OUTSIDE[version], tcp(8080, port, "SA"), mac=MACS["web-2"])
    back = far.process(WEB_2_PORT, bytes(reply))
    assert (back.verdict, back.egress_port, Ether(back.packet).dst) == (VerdictKind.FORWARD, UPLINK, UNDERLAY_MAC_A)
    out = near.process(UPLINK, back.packet)
    assert (out.verdict, out.egress_port, Ether(out.packet).dst) == (VerdictKind.FORWARD, UPLINK, GATEWAY_MAC)
    assert (ip_of(out.packet).src, ip_of(out.packet)[TCP].sport) == (VIP[version], 80)
    assert recomputed(out.packet) == out.packet
    again = call(near, version, 80, "A", src_port=port)
    assert far.process(UPLINK, again.packet).egress_port == WEB_2_PORT


def remote(device: Interpreter, version: int) -> tuple[Outcome, int]:
    """A connection that goes to web-2 on the other device: its first packet, and the client's port."""
    for port in range(40000, 40100):
        outcome = call(device, version, 80, src_port=port)
        if outcome.egress_port == UPLINK:
            return outcome, port
    raise AssertionError("no connection left through the tunnel")


@BOTH
def test_without_an_entry_for_who_let_it_in_nothing_is_learned(version: int) -> None:
    near, node = entrance(Node("A")), Node("B")
    sent, port = remote(near, version)
    assert node.interpreter.process(UPLINK, sent.packet).egress_port == WEB_2_PORT
    reply = frame(ADDRESSES[version]["web-2"], OUTSIDE[version], tcp(8080, port, "SA"), mac=MACS["web-2"])
    assert node.interpreter.process(WEB_2_PORT, bytes(reply)).verdict is VerdictKind.TO_KERNEL


NODE = {4: UNDERLAY_A, 6: "2001:db8:50::1"}
NODE_PORT = 30080


def with_node_port(node: Node) -> Interpreter:
    """Device A of the shop; what is port 81 of the service is also called at the host's own address."""
    made, book = entrance(node), node.book
    enter = book.call("enter_from_outside", network=SHOP, nexthop=WAY_OUT, signature=SIGNATURE)
    for version in (4, 6):
        table = f"service_ipv{version}"
        served = node.model.match_table(table).lookup((SHOP, int(ip_address(VIP[version])), 6, 81))
        assert served is not None
        assert isinstance(served.entry.action, ActionCall)
        node.model.insert(book.entry(f"eip_ipv{version}", enter, address=NODE[version], mac=UNDERLAY_MAC_A))
        again = book.entry(table, served.entry.action, network=SHOP, address=NODE[version], protocol=6, port=NODE_PORT)
        node.model.insert(again)
    return made


@BOTH
def test_a_node_port_is_answered_from_the_address_and_port_that_were_called(version: int) -> None:
    device = with_node_port(Node())
    asked = call(device, version, NODE_PORT, to=NODE[version])
    assert (asked.verdict, asked.egress_port, ip_of(asked.packet)[TCP].dport) == (
        VerdictKind.FORWARD,
        WEB_1_PORT,
        8081,
    )
    reply = frame(ADDRESSES[version]["web-1"], OUTSIDE[version], tcp(8081, 40000, "SA"), mac=MACS["web-1"])
    answered = device.process(WEB_1_PORT, bytes(reply))
    network = ip_of(answered.packet)
    assert (answered.egress_port, network.src, network[TCP].sport) == (UPLINK, NODE[version], NODE_PORT)
    assert recomputed(answered.packet) == answered.packet


@BOTH
def test_all_else_that_is_sent_to_the_host_is_left_to_it(version: int) -> None:
    """Its servers' clients, answers to its own connections, and what is neither TCP nor UDP."""
    device = with_node_port(Node())
    for port, flags in ((22, "S"), (81, "S"), (45000, "SA"), (45000, "R")):
        outcome = call(device, version, port, flags, to=NODE[version])
        assert outcome.verdict is VerdictKind.TO_KERNEL
    echo = ICMP() if version == 4 else ICMPv6EchoRequest()
    ping = frame(OUTSIDE[version], NODE[version], echo)
    ping[Ether].dst = UNDERLAY_MAC_A
    assert device.process(UPLINK, bytes(ping)).verdict is VerdictKind.TO_KERNEL


def test_tunnels_end_at_an_address_with_node_ports() -> None:
    plain, device = Node().interpreter, with_node_port(Node())
    inner = frame(ADDRESSES[4]["web-2"], ADDRESSES[4]["web-1"], tcp(40000, 8080), mac=MACS["web-2"])
    wanted, got = (one.process(UPLINK, bytes(tunnelled(inner))) for one in (plain, device))
    assert got.verdict is VerdictKind.FORWARD
    assert (got.egress_port, got.packet) == (wanted.egress_port, wanted.packet) == (WEB_1_PORT, got.packet)
