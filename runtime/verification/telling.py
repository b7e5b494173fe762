"""ICMP errors as routers and hosts send them, and what one says that somebody has got."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from runtime.verification import anatomy, wire
from runtime.verification.anatomy import Part
from runtime.verification.fabric import End, Fabric, Journey
from runtime.verification.findings import Violation
from runtime.verification.speaking import Ends, ends_of
from runtime.verification.wire import Address

UNREACHABLE = {4: (3, 3), 6: (1, 4)}
"""Port unreachable, by IP version: type and code."""
TOO_BIG = {4: (3, 4), 6: (2, 0)}
TOO_OLD = {4: (11, 0), 6: (3, 0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An ICMP error: whom it is from and to, and the IP packet that it quotes."""

    src: Address
    dst: Address
    kind: int
    code: int
    rest: int
    quoted: bytes


def packet_of(frame: bytes) -> bytes:
    """The innermost IP packet of a frame, without padding."""
    ip = anatomy.innermost_ip(frame)
    if ip is None:
        raise ValueError("the frame holds no IP packet")
    at = frame[ip.start :]
    length = int.from_bytes(at[2:4], "big") if ip.name == "ipv4" else 40 + int.from_bytes(at[4:6], "big")
    return at[:length]


def one_hop_later(packet: bytes) -> bytes:
    """The packet as a router sends it on."""
    if packet[0] >> 4 == 6:
        return packet[:7] + bytes([packet[7] - 1]) + packet[8:]
    return anatomy.summed(anatomy.replaced(packet, 8, bytes([packet[8] - 1])), Part("ipv4", 0, 20))


def error_about(
    frame: bytes, teller: Address, *, kind: tuple[int, int], dst_mac: int, src_mac: int, rest: int = 0, keep: int = 8
) -> bytes:
    """What `teller` sends to the sender of a frame's innermost packet; it quotes `keep` bytes behind the header."""
    error = error_packet(packet_of(frame), teller, kind=kind, rest=rest, keep=keep)
    return wire.ethernet(dst_mac, src_mac, wire.ether_type_of(error[0] >> 4), error)


def error_packet(packet: bytes, teller: Address, *, kind: tuple[int, int], rest: int = 0, keep: int = 8) -> bytes:
    """The same of an IP packet, and without a frame."""
    to, version = _ends(packet)[0], packet[0] >> 4
    quoted = packet[: (20 if version == 4 else 40) + keep]
    message = wire.icmp(teller, to, *kind, rest, quoted)
    return wire.ip(teller, to, wire.icmp_protocol(version), message)


def told(frame: bytes) -> Told:
    """The error in a frame, whose checksums have to be right.

    Raises ValueError for a frame that holds none, or one with a wrong checksum.
    """
    packet = packet_of(frame)
    version, (src, dst) = packet[0] >> 4, _ends(packet)
    message = packet[20 if version == 4 else 40 :]
    kind, code, rest = message[0], message[1], int.from_bytes(message[4:8], "big")
    if wire.icmp(src, dst, kind, code, rest, message[8:]) != message:
        raise ValueError(f"the checksum is wrong: {message.hex()}")
    if version == 4 and wire.checksum(packet[:20]):
        raise ValueError(f"the checksum of the IP header is wrong: {packet[:20].hex()}")
    return Told(src=src, dst=dst, kind=kind, code=code, rest=rest, quoted=message[8:])


def _ends(packet: bytes) -> tuple[Address, Address]:
    if packet[0] >> 4 == 4:
        return ip_address(packet[12:16]), ip_address(packet[16:20])
    return ip_address(packet[8:24]), ip_address(packet[24:40])


def complaint(
    frame: bytes, teller: Address | None = None, *, kind: tuple[int, int] | None = None, keep: int = 8
) -> bytes:
    """The error (too big, if no other `kind`) that whoever got a frame sends about it, or somebody else on the way."""
    packet = packet_of(frame)
    return error_about(
        frame,
        teller or _ends(packet)[1],
        kind=kind or TOO_BIG[packet[0] >> 4],
        dst_mac=int.from_bytes(frame[6:12], "big"),
        src_mac=int.from_bytes(frame[:6], "big"),
        rest=1300,
        keep=keep,
    )


def complain(fabric: Fabric, journey: Journey, teller: Address | None = None) -> Journey | None:
    """What becomes of a complaint about the packet at the end of a journey. None for what a level cannot take."""
    port = journey.last.outcome.egress_port
    if port is None:
        raise ValueError(f"nobody got the packet: {journey}")
    return fabric.send(journey.last.device, port, complaint(journey.frame, teller))


def check_told(error: Told, ends: Ends, got: Ends) -> None:
    """An error about a packet that was sent with `ends` and arrived as `got` has come to somebody: it is about one of
    these, and from whom that was sent to, to whom sent it.

    Raises Violation.
    """
    src, dst = _ends(error.quoted)
    start = 20 if error.src.version == 4 else 40
    src_port, dst_port = (int.from_bytes(error.quoted[start + at : start + at + 2], "big") for at in (0, 2))
    quoted = Ends(protocol=ends.protocol, src=src, src_port=src_port, dst=dst, dst_port=dst_port)
    if (error.dst, error.src) != (src, dst):
        raise Violation(f"{error.src} tells {error.dst} about {quoted}")
    if quoted not in (ends, got):
        raise Violation(f"an error about {got}, which was sent as {ends}, is one about {quoted}")


def is_about(error: Told, sent: bytes, hops: int) -> bool:
    """Whether it quotes the packet of a frame, as that is so many hops later."""
    packet = packet_of(sent)
    for _ in range(hops):
        packet = one_hop_later(packet)
    return error.quoted == packet[: len(error.quoted)]


def check_complaint(fabric: Fabric, journey: Journey, sent: bytes) -> None:
    """Who sent a packet that somebody got by a known connection hears of it, from whom it was sent to, and rightly.

    Raises Violation.
    """
    found, ends = complain(fabric, journey), ends_of(sent)
    if found is None or ends is None:
        return
    if found.end not in (End.DELIVERED, End.LEFT):
        raise Violation(f"the sender of {ends} is not told: {found}")
    error = told(found.frame)
    if (error.src, error.dst) != (ends.dst, ends.src):
        raise Violation(f"the sender of {ends} is told by {error.src}, who is nobody to it: {found}")
    if not is_about(error, sent, len(journey.hops)):
        raise Violation(f"the sender of {ends} is told of a packet that it has not sent: {found}")
