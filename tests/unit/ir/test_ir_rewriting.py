"""Which checksums a Rewrite touches."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from compiler.ir.interpreter.packet import Packet
from compiler.ir.interpreter.rewriting import rewrite
from compiler.ir.names import Names
from compiler.pipeline.assembly import pipeline

FRAME = (
    Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2", ttl=9) / TCP(dport=80)
)


@pytest.fixture
def packet() -> Packet:
    parsed = Packet(Names(pipeline()), bytes(FRAME))
    for header in ("ethernet", "ipv4", "tcp"):
        parsed.extract(header)
    return parsed


@pytest.mark.parametrize("checksum", [0, 1, 0xFFFE, 0xFFFF])
def test_time_to_live_is_no_part_of_the_pseudo_header(packet: Packet, checksum: int) -> None:
    packet.write("tcp", "checksum", checksum)
    rewrite(packet, Names(pipeline()), {("ipv4", "ttl"): 8})
    assert packet.read("tcp", "checksum") == checksum
    again = IP(packet.emit("ipv4"))
    del again.chksum
    assert IP(bytes(again)).chksum == packet.read("ipv4", "checksum")


def test_addresses_are(packet: Packet) -> None:
    rewrite(packet, Names(pipeline()), {("ipv4", "dst"): 0x0A000003})
    again = Ether(packet.emit())
    shown = again[TCP].chksum
    del again[TCP].chksum
    assert Ether(bytes(again))[TCP].chksum == shown


def quoting(sent: bytes) -> Packet:
    """An ICMP error about a UDP datagram."""
    head = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02") / IP(src="10.0.0.9", dst="10.0.0.1")
    parsed = Packet(Names(pipeline()), bytes(head / ICMP(type=3, code=3) / Raw(sent)))
    for header in ("ethernet", "ipv4", "icmp", "quoted_ipv4", "quoted_udp"):
        parsed.extract(header)
    return parsed


@pytest.mark.parametrize("has_checksum", [True, False])
@pytest.mark.parametrize("payload", [b"", b"odd", bytes(range(64))])
def test_a_checksum_follows_one_that_it_covers(has_checksum: bool, payload: bytes) -> None:
    """The innermost first: so the error is as if the datagram had been another one from the start."""
    kept = {} if has_checksum else {"chksum": 0}
    changes = {("quoted_ipv4", "dst"): 0x0A600001, ("quoted_udp", "dst_port"): 53, ("quoted_udp", "src_port"): 9}
    found = quoting(bytes(IP(src="10.0.0.1", dst="10.0.0.9") / UDP(sport=7, dport=5353, **kept) / Raw(payload)))
    rewrite(found, Names(pipeline()), changes)
    assert (
        found.emit()
        == quoting(bytes(IP(src="10.0.0.1", dst="10.96.0.1") / UDP(sport=9, dport=53, **kept) / Raw(payload))).emit()
    )
