"""Frames as a wire carries them, out of packets that a network card has yet to finish; Scapy says what is right."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from runtime.device.kernel.completing import wire_frames
from runtime.verification.offloads import awaiting_checksum

V4 = IP(src="10.0.0.1", dst="10.0.0.2", id=65534)
V6 = IPv6(src="fd00::1", dst="fd00::2")


def framed(*layers: Packet) -> bytes:
    packet: Packet = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
    for layer in layers:
        packet = packet / layer
    return bytes(packet)


@pytest.mark.parametrize("network", [V4, V6], ids=["v4", "v6"])
@pytest.mark.parametrize("transport", [TCP(sport=1, dport=2), UDP(sport=1, dport=2)], ids=["tcp", "udp"])
@pytest.mark.parametrize("size", [0, 1, 999])
def test_a_checksum_that_was_left_to_a_card(network: Packet, transport: Packet, size: int) -> None:
    whole = framed(network, transport, Raw(b"\x5a" * size))
    awaiting = awaiting_checksum(whole)
    assert awaiting is not None
    _, sent = awaiting
    assert sent != whole
    assert wire_frames(sent) == [whole]
    assert wire_frames(sent + bytes(20)) == [whole + bytes(20)]


def test_one_in_a_tunnel() -> None:
    inner = framed(V4, TCP(sport=1, dport=2), Raw(b"inside"))
    whole = framed(V4, UDP(sport=9, dport=4789, chksum=0), VXLAN(vni=5), Ether(inner))
    at = len(whole) - len(inner)
    awaiting = awaiting_checksum(inner)
    assert awaiting is not None
    assert wire_frames(whole[:at] + awaiting[1]) == [whole]


@pytest.mark.parametrize(
    "frame",
    [
        framed(ARP()),
        framed(V4, ICMP(), Raw(b"echo")),
        framed(V4, TCP(sport=1, dport=2, chksum=0x1234), Raw(b"wrong")),
        framed(V4, UDP(sport=1, dport=2, chksum=0), Raw(b"none")),
        framed(IP(src="10.0.0.1", dst="10.0.0.2", frag=8, proto=17), Raw(bytes(32))),
        framed(V4, UDP(sport=1, dport=2), Raw(b"cut short"))[:-4],
        framed(V4, TCP())[:40],
        framed(V4)[:20],
        bytes(14),
    ],
)
def test_all_others_stay_as_they_are(frame: bytes) -> None:
    assert wire_frames(frame) == [frame]


def test_a_tag_in_metadata_comes_back() -> None:
    frame = framed(V4, UDP(sport=1, dport=2), Raw(b"tagged"))
    assert wire_frames(frame, tag=b"\x88\xa8\x20\x05") == [frame[:12] + b"\x88\xa8\x20\x05" + frame[12:]]


@pytest.mark.parametrize("network", [V4, V6], ids=["v4", "v6"])
def test_segments_of_tcp(network: Packet) -> None:
    data = bytes(range(250))
    sent = framed(network, TCP(sport=1, dport=2, seq=0xFFFFFFF0, flags="FPACE", options=[("NOP", None)] * 4), Raw(data))
    pieces = [data[:100], data[100:200], data[200:]]
    wanted: list[bytes] = []
    for number, piece in enumerate(pieces):
        flags = "AE" + ("FP" if number == 2 else "") + ("C" if number == 0 else "")
        transport = TCP(sport=1, dport=2, seq=(0xFFFFFFF0 + 100 * number) & 0xFFFFFFFF, flags=flags)
        transport.options = [("NOP", None)] * 4
        own = network.copy()
        if isinstance(own, IP):
            own.id = (65534 + number) & 0xFFFF
        wanted.append(framed(own, transport, Raw(piece)))
    assert wire_frames(sent, segment_bytes=100) == wanted


def test_segments_of_udp() -> None:
    sent = framed(V4, UDP(sport=1, dport=2), Raw(bytes(250)))
    wanted = [
        framed(IP(src="10.0.0.1", dst="10.0.0.2", id=(65534 + n) & 0xFFFF), UDP(sport=1, dport=2), Raw(bytes(size)))
        for n, size in enumerate((100, 100, 50))
    ]
    assert wire_frames(sent, segment_bytes=100) == wanted


def test_segments_in_a_tunnel() -> None:
    """Each segment in a tunnel of its own: lengths and numbers of the outer headers follow."""
    data = bytes(range(150))
    outer, udp = IP(src="192.0.2.1", dst="192.0.2.2", id=7), UDP(sport=9, dport=4789, chksum=0)
    inner = Ether(framed(V4, TCP(sport=1, dport=2, seq=5), Raw(data)))
    sent = framed(outer, udp, VXLAN(vni=5), inner)
    wanted: list[bytes] = []
    for number, piece in enumerate((data[:100], data[100:])):
        own = IP(src="10.0.0.1", dst="10.0.0.2", id=(65534 + number) & 0xFFFF)
        segment = Ether(framed(own, TCP(sport=1, dport=2, seq=5 + 100 * number), Raw(piece)))
        outer.id = 7 + number
        wanted.append(framed(outer, udp, VXLAN(vni=5), segment))
    assert wire_frames(sent, segment_bytes=100) == wanted
