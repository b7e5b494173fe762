"""Connections to a ClusterIP through the interpreter: both directions, both families, both transports."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from compiler.ir.entries import EntryKey, Exact
from compiler.ir.interpreter import Outcome, Tally, VerdictKind, trace_to_text
from runtime.verification.book import number
from runtime.verification.frames import frame, recomputed, tcp, udp
from runtime.verification.shop import (
    ADDRESSES,
    CLIENT_PORT,
    GATEWAY,
    LOCAL_SERVICE,
    LOST_SERVICE,
    MACS,
    OTHER_PORT,
    ROUTER_MAC,
    SHOP,
    VIP,
    WEB_1_PORT,
    Node,
)

BOTH = pytest.mark.parametrize("version", [4, 6])


def ip_of(packet: bytes) -> Packet:
    built = Ether(packet)
    return built[IP] if IP in built else built[IPv6]


def open_local(node: Node, version: int, *, sport: int = 40000, flags: str = "S") -> Outcome:
    """The client's packet to the service that has web-1 alone."""
    packet = frame(ADDRESSES[version]["client"], VIP[version], tcp(sport, 81, flags), payload=b"hello")
    return node.interpreter.process(CLIENT_PORT, bytes(packet))


def answer(node: Node, version: int, *, dport: int = 40000, flags: str = "SA") -> Outcome:
    packet = frame(
        ADDRESSES[version]["web-1"], ADDRESSES[version]["client"], tcp(8081, dport, flags), mac=MACS["web-1"]
    )
    return node.interpreter.process(WEB_1_PORT, bytes(packet))


@BOTH
def test_the_first_packet_goes_to_the_backend(version: int) -> None:
    outcome = open_local(Node(), version)
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, WEB_1_PORT)
    built, network = Ether(outcome.packet), ip_of(outcome.packet)
    assert (built.src, built.dst) == (ROUTER_MAC, MACS["web-1"])
    assert (network.src, network.dst) == (ADDRESSES[version]["client"], ADDRESSES[version]["web-1"])
    assert (network[TCP].sport, network[TCP].dport) == (40000, 8081)
    assert (network.ttl if version == 4 else network.hlim) == 63
    assert bytes(network[TCP].payload) == b"hello"
    assert recomputed(outcome.packet) == outcome.packet


@BOTH
def test_the_reply_comes_from_the_service(version: int) -> None:
    node = Node()
    open_local(node, version)
    outcome = answer(node, version)
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, CLIENT_PORT)
    network = ip_of(outcome.packet)
    assert (network.src, network.dst) == (VIP[version], ADDRESSES[version]["client"])
    assert (network[TCP].sport, network[TCP].dport) == (81, 40000)
    assert recomputed(outcome.packet) == outcome.packet


@BOTH
def test_udp_and_its_reply(version: int) -> None:
    node = Node()
    packet = frame(ADDRESSES[version]["client"], VIP[version], udp(5000, 53), payload=b"q")
    names = {ADDRESSES[version]["web-1"]: "web-1", ADDRESSES[version]["web-2"]: "web-2"}
    outcome = node.interpreter.process(CLIENT_PORT, bytes(packet))
    inner = outcome.packet if outcome.egress_port == WEB_1_PORT else outcome.packet[50:]
    network = ip_of(inner)
    assert network.dst in names
    assert (network[UDP].sport, network[UDP].dport) == (5000, 5353)
    assert recomputed(inner) == inner
    if names[network.dst] == "web-1":
        reply = frame(network.dst, network.src, udp(5353, 5000), mac=MACS["web-1"], payload=b"a")
        back = ip_of(node.interpreter.process(WEB_1_PORT, bytes(reply)).packet)
        assert (back.src, back[UDP].sport) == (VIP[version], 53)


def test_a_udp_checksum_of_zero_stays_zero() -> None:
    packet = frame(ADDRESSES[4]["client"], VIP[4], UDP(sport=5000, dport=53, chksum=0), payload=b"q")
    outcome = Node().interpreter.process(CLIENT_PORT, bytes(packet))
    inner = outcome.packet if outcome.egress_port == WEB_1_PORT else outcome.packet[50:]
    assert Ether(inner)[UDP].chksum == 0


@pytest.mark.parametrize("error", [1, 0x00FF, 0x8000])
def test_a_wrong_checksum_stays_equally_wrong(error: int) -> None:
    packet = Ether(bytes(frame(ADDRESSES[4]["client"], VIP[4], tcp(40000, 81))))
    packet[TCP].chksum ^= error
    outcome = Node().interpreter.process(CLIENT_PORT, bytes(packet))
    right = Ether(recomputed(outcome.packet))[TCP].chksum
    sums = (Ether(outcome.packet)[TCP].chksum - right) % 0xFFFF, (packet[TCP].chksum - (packet[TCP].chksum ^ error))
    assert sums[0] == sums[1] % 0xFFFF


@BOTH
def test_a_backend_that_calls_itself_sees_the_gateway(version: int) -> None:
    node = Node()
    client = ADDRESSES[version]["client"]
    outcome = node.interpreter.process(CLIENT_PORT, bytes(frame(client, VIP[version], tcp(40000, 83))))
    network = ip_of(outcome.packet)
    assert outcome.egress_port == CLIENT_PORT
    assert (network.src, network.dst, network[TCP].dport) == (GATEWAY[version], client, 9000)
    reply = frame(client, GATEWAY[version], tcp(9000, 40000, "SA"))
    back = node.interpreter.process(CLIENT_PORT, bytes(reply))
    network = ip_of(back.packet)
    assert (back.egress_port, network.src, network.dst) == (CLIENT_PORT, VIP[version], client)
    assert network[TCP].sport == 83
    assert recomputed(back.packet) == back.packet


@BOTH
def test_learned_entries_and_counters(version: int) -> None:
    node = Node()
    first = open_local(node, version)
    open_local(node, version, flags="A")
    reply = answer(node, version)
    (flow,) = node.model.learned(f"flow_ipv{version}")
    (reverse,) = node.model.learned(f"flow_reverse_ipv{version}")
    client, vip = number(ADDRESSES[version]["client"]), number(VIP[version])
    web = number(ADDRESSES[version]["web-1"])
    assert [m.value for m in flow.matches] == [SHOP, 2, 6, client, vip, 40000, 81]
    assert [m.value for m in reverse.matches] == [SHOP, 2, 6, web, client, 8081, 40000]
    assert flow.action.arguments == (client, web, 40000, 8081, 11, LOCAL_SERVICE)
    assert reverse.action.arguments == (vip, client, 81, 40000, 10, LOCAL_SERVICE)
    length = len(first.packet)
    assert (flow.profile, flow.packets, flow.bytes) == ("tcp_established", 1, length)
    assert (reverse.profile, reverse.packets, reverse.bytes) == ("tcp_established", 1, len(reply.packet))
    assert node.model.indexed_counter("service_requests", LOCAL_SERVICE) == Tally(2, 2 * length)
    assert node.model.indexed_counter("service_replies", LOCAL_SERVICE) == Tally(1, len(reply.packet))
    service = EntryKey(table=f"service_ipv{version}", matches=tuple(Exact(value=v) for v in (SHOP, vip, 6, 81)))
    assert node.model.direct_counter(service) == Tally(1, length)


@BOTH
def test_a_backend_without_a_route_leads_nowhere(version: int) -> None:
    node, reason = Node(), "no_route"
    packet = bytes(frame(ADDRESSES[version]["client"], VIP[version], tcp(40000, 84)))
    outcome = node.interpreter.process(CLIENT_PORT, packet)
    assert (outcome.verdict, outcome.drop_reason, outcome.packet) == (VerdictKind.DROP, reason, b"")
    assert node.model.learned(f"flow_ipv{version}") == ()
    reason_id = node.model.names.drop_reasons[reason].id
    assert node.model.indexed_counter("drops", reason_id) == Tally(1, len(packet))
    assert node.model.indexed_counter("service_requests", LOST_SERVICE) == Tally(0, 0)


@BOTH
def test_another_network_does_not_see_the_service(version: int) -> None:
    packet = bytes(frame(ADDRESSES[version]["client"], VIP[version], tcp(40000, 81)))
    outcome = Node().interpreter.process(OTHER_PORT, packet)
    assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, packet)


@BOTH
def test_a_direct_connection_is_routed_untranslated(version: int) -> None:
    node = Node()
    packet = frame(ADDRESSES[version]["client"], ADDRESSES[version]["web-1"], tcp(40000, 8081))
    outcome = node.interpreter.process(CLIENT_PORT, bytes(packet))
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, WEB_1_PORT)
    assert ip_of(outcome.packet).src == ADDRESSES[version]["client"]
    assert recomputed(outcome.packet) == outcome.packet
    assert node.model.learned(f"flow_ipv{version}") == ()


def test_connections_spread_over_the_backends() -> None:
    node = Node()
    ports = [
        node.interpreter.process(CLIENT_PORT, bytes(frame("10.0.0.10", VIP[4], tcp(port, 80)))).egress_port
        for port in range(40000, 40100)
    ]
    assert 25 <= ports.count(WEB_1_PORT) <= 75


def test_the_trace_names_tables_keys_actions_and_policy_lines() -> None:
    text = trace_to_text(open_local(Node(), 4).trace)
    assert (
        "table service_ipv4 (network=1, address=10.96.0.10, protocol=6, port=81): "
        "hit, to_service_ipv4(service_id=3, hairpin=10.0.0.1, affinity_ms=0)  [shop.yaml:103:1]\n"
    ) in text
    assert (
        "table backend_ipv4 (service_id=3): hit member 5 of group 3, to_backend_ipv4(address=10.0.0.11, port=8081)\n"
        in text
    )
    assert (
        "learn flow_ipv4 (network=1, leg=2, protocol=6, src=10.0.0.10, dst=10.96.0.10, src_port=40000, dst_port=81)"
        in text
    )
    assert "set ipv4.dst: 10.96.0.10 -> 10.0.0.11\n" in text
    assert text.startswith("parse start\nparse ethernet\nparse ipv4\nparse tcp\ncontrol ingress\n")
    assert text.endswith("forward to port 17\n")
