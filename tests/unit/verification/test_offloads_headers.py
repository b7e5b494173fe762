"""What is left to a card and what a card makes of it, against Scapy's own arithmetic."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from compiler.ir.interpreter import VerdictKind
from runtime.verification.frames import INNER, frame, recomputed, tcp, tunnelled, udp
from runtime.verification.offloads import (
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    NEEDS_CSUM,
    VnetHeader,
    awaiting_checksum,
    completed,
    decode,
    joined,
    place_of,
    with_quoted_checksum,
)
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, Node
from runtime.verification.shop_frames import question, tagged

TRANSPORTS = {"tcp": tcp(1, 2, "PA"), "udp": udp(1, 2)}


def packet(version: int, transport: str, payload: bytes = b"odd", ttl: int = 64) -> Packet:
    here = ADDRESSES[version]
    return frame(here["client"], here["web-1"], TRANSPORTS[transport].copy(), payload=payload, ttl=ttl)


def test_a_header_survives() -> None:
    header = VnetHeader(flags=1, gso_type=4, hdr_len=54, gso_size=1000, csum_start=34, csum_offset=16)
    assert header.encode() == b"\x01\x04\x36\x00\xe8\x03\x22\x00\x10\x00"
    assert decode(header.encode()) == header


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("wrapped", ["plain", "tagged", "tunnelled"])
def test_a_card_completes_what_a_sender_leaves(version: int, transport: str, wrapped: str) -> None:
    inner = packet(version, transport)
    made = {"plain": inner, "tagged": tagged(inner), "tunnelled": tunnelled(inner)}[wrapped]
    whole = bytes(made)
    if wrapped == "tunnelled":
        made[UDP].chksum = 0
        whole = bytes(made)
    awaiting = awaiting_checksum(whole)
    assert awaiting is not None
    header, sent = awaiting
    assert header.flags == NEEDS_CSUM
    assert header.csum_start == len(whole) - len(b"odd") - (20 if transport == "tcp" else 8)
    assert sum(a != b for a, b in zip(sent, whole, strict=True)) in (1, 2)
    assert completed(header, sent) == whole


def no_checksum(packet: Packet) -> Packet:
    packet[UDP].chksum = 0
    return packet


def wrong_checksum(packet: Packet) -> Packet:
    packet[TCP].chksum = 1
    return packet


@pytest.mark.parametrize(
    "whole",
    [
        bytes(no_checksum(packet(4, "udp"))),
        bytes(wrong_checksum(packet(4, "tcp"))),
        bytes(packet(4, "tcp")) + b"trailer",
        bytes(packet(6, "tcp"))[:-1],
        bytes(packet(6, "tcp"))[:60],
        bytes(packet(4, "tcp"))[:30],
        bytes(Ether() / IP(flags="MF") / UDP() / b"x"),
        bytes(Ether() / IP(proto=47) / (b"GRE?" * 8)),
        bytes(Ether() / IPv6(nh=58) / (b"echo" * 8)),
        bytes(question("10.0.0.10", "02:00:00:00:00:10", "10.0.0.1")),
        b"",
    ],
)
def test_what_cannot_await_a_checksum(whole: bytes) -> None:
    assert awaiting_checksum(whole) is None


def test_a_udp_checksum_of_zero_is_computed_as_ones() -> None:
    """RFC 768; TCP has no such rule."""
    whole = bytes(packet(4, "udp", b"\0\0"))
    place = place_of(whole)
    assert place is not None
    zero = whole[:-2] + whole[place.checksum : place.checksum + 2]
    header = VnetHeader(flags=NEEDS_CSUM, csum_start=place.transport, csum_offset=6)
    awaiting = awaiting_checksum(whole)
    assert awaiting is not None
    pending = awaiting[1][place.checksum : place.checksum + 2]
    got = completed(header, zero[: place.checksum] + pending + zero[place.checksum + 2 :])
    assert got[place.checksum : place.checksum + 2] == b"\xff\xff"


@pytest.mark.parametrize(
    ("version", "transport", "kind"),
    [(4, "tcp", GSO_TCPV4), (6, "tcp", GSO_TCPV6), (4, "udp", GSO_UDP), (6, "udp", GSO_UDP)],
)
def test_the_kind_of_segments(version: int, transport: str, kind: int) -> None:
    awaiting = awaiting_checksum(bytes(packet(version, transport, bytes(3000))), 1000)
    assert awaiting is not None
    header, sent = awaiting
    assert (header.gso_type, header.gso_size) == (kind, 1000)
    assert header.hdr_len == len(sent) - 3000


def segments(version: int, transport: str, payload: bytes, size: int) -> list[bytes]:
    """As a card cuts them; identifications count up."""
    made: list[bytes] = []
    for at in range(0, len(payload), size):
        part = packet(version, transport, payload[at : at + size])
        if version == 4:
            part[IP].id += at // size
        if transport == "tcp":
            part[TCP].seq += at
            part[TCP].flags = "PA" if at + size >= len(payload) else "A"
        made.append(bytes(part))
    return made


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("tunnel", [False, True])
def test_segments_become_the_packet_again(version: int, transport: str, tunnel: bool) -> None:
    payload = bytes(range(250)) * 10
    whole, parts = bytes(packet(version, transport, payload)), segments(version, transport, payload, 900)
    if tunnel:
        whole, parts = in_tunnel(whole), [in_tunnel(part) for part in parts]
    assert len(parts) == 3
    assert joined(parts) == whole
    for wrong in ([parts[1], parts[0], parts[2]], [parts[0], damaged(parts[1]), parts[2]]):
        if transport == "tcp" or wrong[1] != parts[0]:
            with pytest.raises(ValueError, match=r"^segment [12] does not follow: "):
                joined(wrong)


def in_tunnel(inner: bytes) -> bytes:
    made = tunnelled(Ether(inner))
    made[UDP].chksum = 0
    return bytes(made)


def damaged(segment: bytes) -> bytes:
    return segment[:-1] + bytes([segment[-1] ^ 1])


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("is_tagged", [False, True])
def test_an_error_about_a_packet_that_awaits_its_checksum(version: int, transport: str, is_tagged: bool) -> None:
    """The interpreter answers the packet as it was sent: quoted then is the pseudo header's sum."""
    plain = packet(version, transport, b"z" * 40, ttl=1)
    if is_tagged:
        here = ADDRESSES[version]
        inner = frame(here["tagged"], here["client"], TRANSPORTS[transport].copy(), ttl=1, payload=b"z" * 40)
        plain = tagged(inner)
    port, whole = (18 if is_tagged else CLIENT_PORT), bytes(plain)
    awaiting = awaiting_checksum(whole)
    assert awaiting is not None
    quoting_sent = Node().interpreter.process(port, awaiting[1])
    quoting_whole = Node().interpreter.process(port, whole)
    assert quoting_sent.verdict is VerdictKind.REPLY
    assert with_quoted_checksum(quoting_sent.packet, awaiting[1], whole) == quoting_whole.packet
    assert recomputed(quoting_whole.packet) == quoting_whole.packet


def test_other_answers_are_left_alone() -> None:
    whole = bytes(packet(4, "tcp"))
    awaiting = awaiting_checksum(whole)
    assert awaiting is not None
    for answer in (b"", whole, bytes(Ether() / IP() / Raw(b"x" * 100))):
        assert with_quoted_checksum(answer, awaiting[1], whole) == answer


def test_a_tunnel_is_looked_into_only_without_outer_checksum() -> None:
    made = tunnelled(packet(4, "tcp"))
    outer, inner = place_of(bytes(made)), place_of(in_tunnel(bytes(packet(4, "tcp"))))
    assert outer is not None
    assert inner is not None
    assert (outer.network, inner.network) == (14, INNER + 14)
