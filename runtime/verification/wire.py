"""Frames from their parts, as bytes with right lengths and checksums: what workloads and devices of an underlay send.

Pure, and without Scapy, which takes longer for a frame than a test run for the packet. Numbers are in host order,
addresses are those of `ipaddress`, MAC addresses are numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_VLAN = 0x0800, 0x0806, 0x8100
ETHERTYPE_IPV6, ETHERTYPE_SERVICE_VLAN = 0x86DD, 0x88A8
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
PROTOCOLS = {"TCP": TCP, "UDP": UDP, "SCTP": SCTP}
"""Those with ports, by their names in policies."""
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
VXLAN_PORT = 4789
DONT_FRAGMENT, MORE_FRAGMENTS = 2, 1
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
FLAGS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK}
SOLICITATION, SOURCE_LINK_LAYER_ADDRESS = 135, 1
BROADCAST = 0xFFFFFFFFFFFF


def checksum(data: bytes) -> int:
    """RFC 1071, over data in which the checksum is 0."""
    padded = data + bytes(len(data) % 2)
    total = sum(int.from_bytes(padded[at : at + 2], "big") for at in range(0, len(padded), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def number(value: int, width_bytes: int) -> bytes:
    """The low bits of a number, so that a length which does not fit wraps as it would on the wire."""
    return (value & (1 << 8 * width_bytes) - 1).to_bytes(width_bytes, "big")


def tcp_flags(letters: str) -> int:
    """As in "SA"."""
    return sum(FLAGS[letter] for letter in letters)


def ethernet(dst: int, src: int, ether_type: int, payload: bytes, *, tags: Iterable[tuple[int, int]] = ()) -> bytes:
    """`tags` from the outermost on: EtherType and the 16 bits behind it."""
    tagged = b"".join(number(kind, 2) + number(tag, 2) for kind, tag in tags)
    return number(dst, 6) + number(src, 6) + tagged + number(ether_type, 2) + payload


def ipv4(
    src: Address,
    dst: Address,
    protocol: int,
    payload: bytes,
    *,
    ttl: int = 64,
    flags: int = DONT_FRAGMENT,
    traffic_class: int = 0,
) -> bytes:
    length, fragment = number(20 + len(payload), 2), number(flags << 13, 2)
    head = bytes([0x45, traffic_class]) + length + b"\0\1" + fragment + bytes([ttl, protocol])
    addresses = src.packed + dst.packed
    return head + number(checksum(head + b"\0\0" + addresses), 2) + addresses + payload


def ipv6(
    src: Address, dst: Address, next_header: int, payload: bytes, *, hop_limit: int = 64, traffic_class: int = 0
) -> bytes:
    head = number(6 << 28 | traffic_class << 20, 4) + number(len(payload), 2) + bytes([next_header, hop_limit])
    return head + src.packed + dst.packed + payload


def ip(
    src: Address, dst: Address, protocol: int, payload: bytes, *, ttl: int = 64, flags: int = DONT_FRAGMENT
) -> bytes:
    """Of the addresses' family; `flags` are IPv4's."""
    if src.version == 4:
        return ipv4(src, dst, protocol, payload, ttl=ttl, flags=flags)
    return ipv6(src, dst, protocol, payload, hop_limit=ttl)


def ether_type_of(version: int) -> int:
    return ETHERTYPE_IPV4 if version == 4 else ETHERTYPE_IPV6


def pseudo_header(src: Address, dst: Address, protocol: int, length: int) -> bytes:
    """RFC 9293, section 3.1; RFC 8200, section 8.1."""
    if src.version == 4:
        return src.packed + dst.packed + bytes([0, protocol]) + number(length, 2)
    return src.packed + dst.packed + number(length, 4) + bytes([0, 0, 0, protocol])


def _summed(src: Address, dst: Address, protocol: int, segment: bytes, at: int) -> bytes:
    """The segment with its checksum, whose place holds 0, in it."""
    found = checksum(pseudo_header(src, dst, protocol, len(segment)) + segment)
    if protocol == UDP and found == 0:
        found = 0xFFFF
    return segment[:at] + number(found, 2) + segment[at + 2 :]


def tcp(src: Address, dst: Address, src_port: int, dst_port: int, flags: int, payload: bytes = b"") -> bytes:
    ports = number(src_port, 2) + number(dst_port, 2)
    acknowledgement = number(1 if flags & ACK else 0, 4)
    head = ports + number(1000, 4) + acknowledgement + bytes([0x50, flags]) + b"\xfa\xf0\0\0\0\0"
    return _summed(src, dst, TCP, head + payload, 16)


def udp(src: Address, dst: Address, src_port: int, dst_port: int, payload: bytes = b"") -> bytes:
    head = number(src_port, 2) + number(dst_port, 2) + number(8 + len(payload), 2) + b"\0\0"
    return _summed(src, dst, UDP, head + payload, 6)


def crc32c(data: bytes) -> int:
    """RFC 9260, appendix A, bit by bit; the number whose lowest byte is sent first."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def sctp(src_port: int, dst_port: int, flags: int, payload: bytes = b"") -> bytes:
    """RFC 9260: one chunk, of the type that means what `flags` of TCP mean, with the payload as its value."""
    kind = {SYN: 1, SYN | ACK: 2, RST: 6}.get(flags & (SYN | ACK | RST), 0)
    if flags & FIN:
        kind = 7
    chunk = bytes([kind, 0]) + number(4 + len(payload), 2) + payload + bytes(-len(payload) % 4)
    head = number(src_port, 2) + number(dst_port, 2) + number(0 if kind == 1 else 0x1234_5678, 4)
    return head + crc32c(head + bytes(4) + chunk).to_bytes(4, "little") + chunk


def icmp(src: Address, dst: Address, kind: int, code: int, rest: int = 0, payload: bytes = b"") -> bytes:
    """ICMP or ICMPv6, by the family; `rest` are the last 32 bits of its header."""
    message = bytes([kind, code, 0, 0]) + number(rest, 4) + payload
    if src.version == 6:
        return _summed(src, dst, ICMPV6, message, 2)
    return message[:2] + number(checksum(message), 2) + message[4:]


def echo_request(src: Address, dst: Address, payload: bytes = b"") -> bytes:
    return icmp(src, dst, 8 if src.version == 4 else 128, 0, 0x00010001, payload)


def icmp_protocol(version: int) -> int:
    return ICMP if version == 4 else ICMPV6


def arp_request(mac: int, sender: Address, target: Address) -> bytes:
    """The whole frame, untagged."""
    body = number(1, 2) + number(ETHERTYPE_IPV4, 2) + bytes([6, 4]) + number(1, 2)
    return ethernet(BROADCAST, mac, ETHERTYPE_ARP, body + number(mac, 6) + sender.packed + bytes(6) + target.packed)


def solicitation(mac: int, sender: Address, target: Address) -> bytes:
    """The whole frame, untagged, to the solicited-node address (RFC 4291, section 2.7.1)."""
    low = target.packed[13:]
    group = IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + low)
    option = bytes([SOURCE_LINK_LAYER_ADDRESS, 1]) + number(mac, 6)
    message = icmp(sender, group, SOLICITATION, 0, 0, target.packed + option)
    return ethernet(0x3333FF000000 | int.from_bytes(low, "big"), mac, ETHERTYPE_IPV6, _to_all(sender, group, message))


def _to_all(sender: Address, group: Address, message: bytes) -> bytes:
    return ipv6(sender, group, ICMPV6, message, hop_limit=255)


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelEnds:
    """The underlay's addresses of who sends and who gets a tunnelled frame."""

    src: IPv4Address
    dst: IPv4Address
    src_mac: int
    dst_mac: int


def tunnelled(ends: TunnelEnds, vni: int, inner: bytes) -> bytes:
    """RFC 7348, without a UDP checksum."""
    head = number(50_000, 2) + number(VXLAN_PORT, 2) + number(8 + 8 + len(inner), 2) + b"\0\0"
    datagram = head + b"\x08\0\0\0" + number(vni << 8, 4) + inner
    return ethernet(ends.dst_mac, ends.src_mac, ETHERTYPE_IPV4, ipv4(ends.src, ends.dst, UDP, datagram))
