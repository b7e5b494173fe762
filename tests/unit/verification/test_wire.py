"""Frames built from bytes against Scapy's, and their headers found again."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from scapy.layers.l2 import Ether

from runtime.verification import anatomy, wire
from runtime.verification.frames import INNER, recomputed
from runtime.verification.malformed.bases import Base, base_frames

ENDS = wire.TunnelEnds(
    src=IPv4Address("192.0.2.2"), dst=IPv4Address("192.0.2.1"), src_mac=0x020000000102, dst_mac=0x020000000101
)


@pytest.mark.parametrize("base", base_frames(), ids=lambda base: base.name)
def test_lengths_and_checksums_are_those_that_scapy_computes(base: Base) -> None:
    inner = base.frame[INNER:] if base.name.startswith("tunnelled") else base.frame
    assert recomputed(inner) == inner


def test_outer_headers_are_those_that_scapy_computes() -> None:
    frame = wire.tunnelled(ENDS, 77, b"\xff" * 14 + bytes(20))
    built = Ether(frame)
    built["IP"].chksum = built["IP"].len = built["UDP"].len = None
    assert bytes(built) == frame


def test_a_udp_checksum_of_zero_is_written_as_ffff() -> None:
    src, dst = ip_address("10.0.0.1"), ip_address("10.0.0.2")
    plain = wire.udp(src, dst, 1, 2, b"\0\0")
    missing = plain[6:8]
    assert wire.udp(src, dst, 1, 2, missing)[6:8] == b"\xff\xff"


def test_headers_of_a_tunnelled_tagged_frame() -> None:
    src, dst = ip_address("fd00::1"), ip_address("fd00::2")
    options = bytes([wire.UDP, 0]) + bytes(6)
    packet = wire.ipv6(src, dst, 60, options + wire.udp(src, dst, 1, 2))
    inner = wire.ethernet(1, 2, wire.ETHERTYPE_IPV6, packet, tags=((wire.ETHERTYPE_SERVICE_VLAN, 5), (0x8100, 6)))
    found = [(part.name, part.start, part.end) for part in anatomy.parts(wire.tunnelled(ENDS, 77, inner))]
    assert found == [
        ("ethernet", 0, 14),
        ("ipv4", 14, 34),
        ("udp", 34, 42),
        ("vxlan", 42, 50),
        ("ethernet", 50, 64),
        ("vlan", 64, 68),
        ("vlan", 68, 72),
        ("ipv6", 72, 112),
        ("destination_options", 112, 120),
        ("udp", 120, 128),
    ]


def test_headers_end_where_the_frame_does() -> None:
    frame = base_frames()[0].frame
    found = [[part.name for part in anatomy.parts(frame[:length])] for length in (13, 14, 33, 34, 53, 54)]
    assert found == [
        [],
        ["ethernet"],
        ["ethernet"],
        ["ethernet", "ipv4"],
        ["ethernet", "ipv4"],
        ["ethernet", "ipv4", "tcp"],
    ]


@pytest.mark.parametrize("base", base_frames(), ids=lambda base: base.name)
def test_what_fits_stays_as_it_is(base: Base) -> None:
    assert anatomy.fitted(base.frame) == base.frame


def test_bytes_put_in_are_counted_by_every_header_around_them() -> None:
    base = next(base for base in base_frames() if base.name == "tunnelled v4")
    part = anatomy.last(base.frame, "udp")
    assert part is not None
    longer = anatomy.spliced(base.frame, part.start, part.start, b"1234")
    lengths = [int.from_bytes(longer[at : at + 2], "big") for at in (16, 38, INNER + 16)]
    assert lengths == [len(longer) - 14, len(longer) - 34, len(longer) - INNER - 14]
