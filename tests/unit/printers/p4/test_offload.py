"""The composition for PNA against the pipeline, both on the interpreter: same verdicts, same bytes, same connections.

What PNA cannot say is excepted: packets that are answered go to the kernel.
"""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from compiler.ir.interpreter.run import Outcome, VerdictKind
from compiler.ir.verifier import verify
from compiler.pipeline.offload import offload_pipeline
from compiler.pipeline.portable import portable_pipeline
from runtime.verification.frames import frame, tcp, tunnelled, udp
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, MACS, OTHER_PORT, UPLINK, VIP, WEB_1_PORT, Node

LEARNED = ("flow", "flow_reverse")


def both() -> tuple[Node, Node]:
    return Node(), Node(source=offload_pipeline())


def send(nodes: tuple[Node, Node], port: int, packet: Packet) -> tuple[Outcome, Outcome]:
    first, second = (node.interpreter.process(port, bytes(packet)) for node in nodes)
    return first, second


def without_trace(outcome: Outcome) -> tuple[VerdictKind, bytes, int | None, str | None]:
    return outcome.verdict, outcome.packet, outcome.egress_port, outcome.drop_reason


def learned(node: Node, version: int) -> list[tuple[str, object, object]]:
    """What is kept; the profile's life differs."""
    tables = (f"{stem}_ipv{version}" for stem in LEARNED)
    return sorted((e.table, e.key, e.action) for table in tables for e in node.model.learned(table))


def test_the_composition_is_a_pipeline() -> None:
    assert verify(offload_pipeline()) == ()


def test_ids_tables_and_headers_stay() -> None:
    whole, offload = portable_pipeline(), offload_pipeline()
    assert [(a.name, a.id, a.params) for a in offload.actions] == [(a.name, a.id, a.params) for a in whole.actions]
    assert (offload.tables, offload.headers, offload.metadata) == (whole.tables, whole.headers, whole.metadata)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("port", [80, 81, 83, 84, 9999])
def test_first_packet_known_packet_and_reply(version: int, port: int) -> None:
    nodes, addresses = both(), ADDRESSES[version]
    request = frame(addresses["client"], VIP[version], tcp(40000, port))
    for packet in (request, frame(addresses["client"], VIP[version], tcp(40000, port, "PA"), payload=b"hello")):
        first, second = send(nodes, CLIENT_PORT, packet)
        assert without_trace(first) == without_trace(second)
        assert learned(nodes[0], version) == learned(nodes[1], version)
    if first.verdict is VerdictKind.FORWARD and first.egress_port == WEB_1_PORT:
        inner = Ether(first.packet)
        reply = frame(addresses["web-1"], addresses["client"], tcp(inner[TCP].dport, 40000, "SA"), mac=MACS["web-1"])
        answers = send(nodes, WEB_1_PORT, reply)
        assert without_trace(answers[0]) == without_trace(answers[1])
        assert answers[0].verdict is VerdictKind.FORWARD


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("transport", [tcp(40000, 82), udp(40000, 82)], ids=["tcp", "udp"])
def test_what_the_pipeline_refuses_goes_to_the_kernel_as_it_came(version: int, transport: Packet) -> None:
    nodes, packet = both(), frame(ADDRESSES[version]["client"], VIP[version], transport)
    first, second = send(nodes, CLIENT_PORT, packet)
    assert first.verdict is VerdictKind.REPLY
    assert without_trace(second) == (VerdictKind.TO_KERNEL, bytes(packet), None, None)
    assert learned(nodes[0], version) == learned(nodes[1], version) == []


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_no_service(version: int) -> None:
    nodes, addresses = both(), ADDRESSES[version]
    packets = (
        (CLIENT_PORT, frame(addresses["client"], addresses["web-1"], udp(1, 2), payload=b"x")),
        (CLIENT_PORT, frame(addresses["client"], addresses["web-2"], tcp(1, 2))),
        (UPLINK, tunnelled(frame(addresses["web-2"], addresses["client"], tcp(1, 2), mac=MACS["web-2"]))),
        (UPLINK, tunnelled(frame(addresses["web-2"], addresses["web-2"], tcp(1, 2), mac=MACS["web-2"]))),
        (OTHER_PORT, frame(addresses["client"], VIP[version], tcp(1, 81))),
        (99, frame(addresses["client"], VIP[version], tcp(1, 81))),
    )
    for port, packet in packets:
        first, second = send(nodes, port, packet)
        assert without_trace(first) == without_trace(second)


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_answered_goes_to_the_kernel(version: int) -> None:
    addresses, mac = ADDRESSES[version], MACS["client"]
    old = frame(addresses["client"], addresses["web-1"], tcp(1, 2), ttl=1)
    large = frame(addresses["client"], addresses["web-2"], tcp(1, 2), payload=b"x" * 1440)
    question: Packet = Ether(src=mac) / ARP(op=1, hwsrc=mac, psrc="10.0.0.10", pdst="10.0.0.1")
    if version == 6:
        solicitation = ICMPv6ND_NS(tgt="fd00::1") / ICMPv6NDOptSrcLLAddr(lladdr=mac)
        question = Ether(src=mac) / IPv6(src="fd00::10", dst="ff02::1:ff00:1", hlim=255) / solicitation
    for packet in (old, large, question):
        first, second = send(both(), CLIENT_PORT, packet)
        assert first.verdict is VerdictKind.REPLY
        assert (second.verdict, second.packet) == (VerdictKind.TO_KERNEL, bytes(packet))


def test_a_known_connection_outlives_its_service_and_its_backend() -> None:
    node = Node(source=offload_pipeline())
    request = bytes(frame(ADDRESSES[4]["client"], VIP[4], tcp(40000, 81)))
    opened = node.interpreter.process(CLIENT_PORT, request)
    for entry in tuple(node.model.entries("backend_ipv4")):
        node.model.delete(entry)
    known = node.interpreter.process(CLIENT_PORT, request)
    assert without_trace(known) == without_trace(opened)


def test_data_that_is_pushed_establishes_and_an_ack_does_not_revive() -> None:
    node = Node(source=offload_pipeline())
    profiles: list[str] = []
    for flags in ("S", "A", "PA", "A", "FA", "A"):
        packet = frame(ADDRESSES[4]["client"], VIP[4], tcp(40000, 81, flags))
        node.interpreter.process(CLIENT_PORT, bytes(packet))
        profiles += [entry.profile for entry in node.model.learned("flow_ipv4")]
    assert profiles == ["tcp_new", "tcp_new", *["tcp_established"] * 2, *["tcp_closing"] * 2]
