"""What a sender leaves to a network card, and what the kernel says of it beside a frame: `struct virtio_net_hdr`.

Pure: bytes in, bytes out. `awaiting_checksum` makes of a whole frame one whose transport checksum is still to be
computed; `completed` computes it as a card would. `joined` makes of the segments that a card has cut the packet again.
Written from include/uapi/linux/virtio_net.h and net/core/dev.c (`skb_checksum_help`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

NEEDS_CSUM = 1
GSO_TCPV4, GSO_TCPV6, GSO_UDP = 1, 4, 5
SIZE = 10
"""Bytes of the header."""
_INNER = 14 + 20 + 8 + 8 + 14
"""The first place for the network header of a tunnelled packet."""
TCP, UDP = 6, 17
CHECKSUM_AT = {TCP: 16, UDP: 6}
_SHORTEST = {TCP: 20, UDP: 8}
VXLAN_PORT, VXLAN_HEADERS = 4789, 8 + 8
_HEADER = struct.Struct("=BBHHHH")
_FIN_PSH = 0x09


@dataclass(frozen=True, slots=True, kw_only=True)
class VnetHeader:
    flags: int = 0
    gso_type: int = 0
    hdr_len: int = 0
    gso_size: int = 0
    csum_start: int = 0
    """From the frame's first byte; `csum_offset` from there."""
    csum_offset: int = 0

    def encode(self) -> bytes:
        return _HEADER.pack(self.flags, self.gso_type, self.hdr_len, self.gso_size, self.csum_start, self.csum_offset)


def decode(data: bytes) -> VnetHeader:
    flags, gso_type, hdr_len, gso_size, csum_start, csum_offset = _HEADER.unpack_from(data)
    return VnetHeader(
        flags=flags,
        gso_type=gso_type,
        hdr_len=hdr_len,
        gso_size=gso_size,
        csum_start=csum_start,
        csum_offset=csum_offset,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where IP and TCP or UDP headers of a frame are. Of a tunnelled frame: those of the inner packet."""

    network: int
    version: int
    transport: int
    protocol: int

    @property
    def checksum(self) -> int:
        return self.transport + CHECKSUM_AT[self.protocol]

    def payload(self, frame: bytes) -> int:
        return self.transport + (frame[self.transport + 12] >> 4) * 4 if self.protocol == TCP else self.transport + 8


def place_of(frame: bytes, start: int = 0) -> Place | None:
    """None unless the frame holds a whole packet of TCP or UDP, which ends where the frame ends."""
    at = start + 12
    while frame[at : at + 2] == b"\x81\x00":
        at += 4
    found = _place_in_packet(frame, frame[at : at + 2], at + 2)
    if found is None or len(frame) < found.transport + _SHORTEST[found.protocol] or len(frame) < found.payload(frame):
        return None
    is_tunnel = found.protocol == UDP and int.from_bytes(frame[found.transport + 2 : found.transport + 4]) == VXLAN_PORT
    if is_tunnel and frame[found.checksum : found.checksum + 2] == b"\0\0":
        return place_of(frame, found.transport + VXLAN_HEADERS)
    return found


def _place_in_packet(frame: bytes, ether_type: bytes, at: int) -> Place | None:
    if ether_type == b"\x08\x00" and frame[at : at + 1] == b"\x45" and len(frame) >= at + 20 + 8:
        is_fragment, protocol = int.from_bytes(frame[at + 6 : at + 8]) & 0x3FFF, frame[at + 9]
        is_whole = int.from_bytes(frame[at + 2 : at + 4]) == len(frame) - at and not is_fragment
        header, version = 20, 4
    elif ether_type == b"\x86\xdd" and frame[at : at + 1] and frame[at] >> 4 == 6 and len(frame) >= at + 40 + 8:
        protocol, is_whole = frame[at + 6], int.from_bytes(frame[at + 4 : at + 6]) == len(frame) - at - 40
        header, version = 40, 6
    else:
        return None
    if not is_whole or protocol not in CHECKSUM_AT:
        return None
    return Place(network=at, version=version, transport=at + header, protocol=protocol)


def awaiting_checksum(frame: bytes, gso_size: int = 0) -> tuple[VnetHeader, bytes] | None:
    """The frame with only the pseudo header's sum in place of its checksum, as a socket sends it.

    With `gso_size`, to be cut into segments as well. None for a frame that has no checksum, a wrong one, or none that
    the kernel would compute; for segments of a packet in a tunnel, which no socket can send, or for only one.
    """
    place = place_of(frame)
    if place is None or not is_right(frame, place):
        return None
    if gso_size and (len(frame) - place.payload(frame) <= gso_size or place.network >= _INNER):
        return None
    if place.protocol == UDP and frame[place.checksum : place.checksum + 2] == b"\0\0":
        return None
    pending = _fold(_pseudo_sum(frame, place))
    header = VnetHeader(
        flags=NEEDS_CSUM,
        gso_type=_gso_type(place) if gso_size else 0,
        hdr_len=place.payload(frame) if gso_size else 0,
        gso_size=gso_size,
        csum_start=place.transport,
        csum_offset=CHECKSUM_AT[place.protocol],
    )
    return header, _with_u16(frame, place.checksum, pending)


def _gso_type(place: Place) -> int:
    if place.protocol == UDP:
        return GSO_UDP
    return GSO_TCPV4 if place.version == 4 else GSO_TCPV6


def is_right(frame: bytes, place: Place) -> bool:
    return _fold(_pseudo_sum(frame, place) + _sum(frame[place.transport :])) == 0xFFFF


def completed(header: VnetHeader, frame: bytes) -> bytes:
    """The frame as a card sends it: with the checksum that it awaits."""
    if not header.flags & NEEDS_CSUM:
        return frame
    at = header.csum_start + header.csum_offset
    checksum = 0xFFFF - _fold(_sum(frame[header.csum_start :]))
    return _with_u16(frame, at, checksum or (0xFFFF if header.csum_offset == CHECKSUM_AT[UDP] else 0))


def with_quoted_checksum(answer: bytes, sent: bytes, frame: bytes) -> bytes:
    """An ICMP error that quotes `sent`, a frame that awaits its checksum, as if it quoted `frame`, which has it.

    Anything else is left as it is.
    """
    place = place_of(frame)
    at = answer.rfind(sent[place.network : place.network + 20]) if place else -1
    if place is None or at < 20:
        return answer
    quoted, end = at + place.checksum - place.network, at + place.checksum - place.network + 2
    if len(answer) < end or answer[quoted:end] != sent[place.checksum : place.checksum + 2]:
        return answer
    old, new = answer[quoted:end], frame[place.checksum : place.checksum + 2]
    icmp = at - 8 + 2
    difference = 0xFFFF - int.from_bytes(old) + int.from_bytes(new)
    checksum = 0xFFFF - _fold(0xFFFF - int.from_bytes(answer[icmp : icmp + 2]) + difference)
    return _with_u16(answer[:quoted] + new + answer[end:], icmp, checksum)


def joined(segments: Sequence[bytes]) -> bytes:
    """The packet that was cut into these, in order. Raises ValueError for segments that do not follow each other."""
    places = [place_of(segment) for segment in segments]
    first, head = places[0], segments[0]
    if first is None:
        raise ValueError("a segment is no whole packet")
    size = len(head) - first.payload(head)
    body = b"".join(segment[first.payload(head) :] for segment in segments)
    for number, (segment, place) in enumerate(zip(segments, places, strict=True)):
        is_whole = is_right(segment, first) and _with_lengths(segment, first) == segment
        if place != first or not is_whole or not _follows(head, segment, number, first, size):
            raise ValueError(f"segment {number} does not follow: {segment.hex()}")
    return _as_one(head[: first.payload(head)], body, segments[-1], first)


def _follows(head: bytes, segment: bytes, number: int, place: Place, size: int) -> bool:
    if place.protocol != TCP:
        return True
    at = place.transport + 4
    return int.from_bytes(segment[at : at + 4]) == (int.from_bytes(head[at : at + 4]) + number * size) % (1 << 32)


def _as_one(headers: bytes, body: bytes, last: bytes, place: Place) -> bytes:
    """Lengths and checksums of the whole; FIN and PSH stand in the last segment alone."""
    frame = headers + body
    if place.protocol == TCP:
        flags = place.transport + 13
        frame = frame[:flags] + bytes([frame[flags] | last[flags] & _FIN_PSH]) + frame[flags + 1 :]
    frame = _with_lengths(frame, place)
    return completed(
        VnetHeader(flags=NEEDS_CSUM, csum_start=place.transport, csum_offset=CHECKSUM_AT[place.protocol]),
        _with_u16(frame, place.checksum, _fold(_pseudo_sum(frame, place))),
    )


def _with_lengths(frame: bytes, place: Place) -> bytes:
    """With lengths of IP and UDP, and checksums of IPv4, as they are right; of both packets in a tunnel."""
    if place.network >= _INNER:
        frame = _with_u16(_with_ip_length(frame, 14, 4), 14 + 20 + 4, len(frame) - 14 - 20)
    if place.protocol == UDP:
        frame = _with_u16(frame, place.transport + 4, len(frame) - place.transport)
    return _with_ip_length(frame, place.network, place.version)


def _with_ip_length(frame: bytes, network: int, version: int) -> bytes:
    if version == 6:
        return _with_u16(frame, network + 4, len(frame) - network - 40)
    changed = _with_u16(_with_u16(frame, network + 2, len(frame) - network), network + 10, 0)
    return _with_u16(changed, network + 10, 0xFFFF - _fold(_sum(changed[network : network + 20])))


def _pseudo_sum(frame: bytes, place: Place) -> int:
    length = len(frame) - place.transport
    addresses = slice(place.network + 12, place.network + 20)
    if place.version == 6:
        addresses = slice(place.network + 8, place.network + 40)
    return _sum(frame[addresses]) + place.protocol + (length & 0xFFFF) + (length >> 16)


def _sum(data: bytes) -> int:
    padded = data + bytes(len(data) % 2)
    return sum(struct.unpack(f"!{len(padded) // 2}H", padded))


def _fold(total: int) -> int:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _with_u16(frame: bytes, at: int, value: int) -> bytes:
    return frame[:at] + value.to_bytes(2, "big") + frame[at + 2 :]
