"""Which checksums a Rewrite touches."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

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
