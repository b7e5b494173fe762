"""What a network card would still have done to a packet: put its 802.1Q tag in, cut it into segments, sum it up.

A packet that the kernel has in hand may lack all three. Controllers get frames as a wire would carry them. Pure; the
kernel does not tell whether a checksum is left to a card (CHECKSUM_PARTIAL), but then the field holds the sum of the
pseudo header and nothing else, and of 65,536 wrong checksums one looks like that.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_IPV4, _IPV6 = 0x0800, 0x86DD
_TCP, _UDP = 6, 17
_VXLAN_PORT, _VXLAN_BYTES = 4789, 8
_CHECKSUM_AT = {_TCP: 16, _UDP: 6}
_HEADER_BYTES = {_TCP: 20, _UDP: 8}
_FIN_PSH, _CWR = 0x09, 0x80
_MACS = 12


def wire_frames(frame: bytes, *, tag: bytes = b"", segment_bytes: int = 0) -> list[bytes]:
    """`tag` are the four bytes that stand behind the addresses; `segment_bytes` of payload go into each segment."""
    frames = _cut(frame, segment_bytes) if segment_bytes else [_completed(frame)]
    return [one[:_MACS] + tag + one[_MACS:] for one in frames] if tag else frames


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the headers of a frame of TCP or UDP are, by the frame's first byte."""

    network: int
    transport: int
    protocol: int
    is_ipv4: bool

    def payload(self, frame: bytes) -> int:
        if self.protocol == _UDP:
            return self.transport + 8
        return self.transport + 4 * (frame[self.transport + 12] >> 4)


def _place(frame: bytes) -> _Place | None:
    """None for what is no TCP or UDP, a fragment, or too short."""
    at = _MACS
    while frame[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    ethertype, network = int.from_bytes(frame[at : at + 2], "big"), at + 2
    if ethertype == _IPV4 and len(frame) >= network + 20:
        is_fragment = int.from_bytes(frame[network + 6 : network + 8], "big") & 0x3FFF
        protocol, transport = frame[network + 9], network + 4 * (frame[network] & 0x0F)
    elif ethertype == _IPV6 and len(frame) >= network + 40:
        is_fragment, protocol, transport = 0, frame[network + 6], network + 40
    else:
        return None
    if is_fragment or protocol not in _HEADER_BYTES or len(frame) < transport + _HEADER_BYTES[protocol]:
        return None
    return _Place(network, transport, protocol, ethertype == _IPV4)


def _inner(frame: bytes, place: _Place) -> int | None:
    """Where the frame in a VXLAN tunnel begins."""
    start = place.transport + 8 + _VXLAN_BYTES
    is_vxlan = place.protocol == _UDP and frame[place.transport + 2 : place.transport + 4] == b"\x12\xb5"
    return start if is_vxlan and len(frame) >= start + _MACS + 2 else None


def _completed(frame: bytes) -> bytes:
    """With checksums that were left to a card; all others as they are."""
    place = _place(frame)
    if place is None:
        return frame
    inner = _inner(frame, place)
    if inner is not None:
        frame = frame[:inner] + _completed(frame[inner:])
    at = place.transport + _CHECKSUM_AT[place.protocol]
    pseudo = _folded(_pseudo_sum(frame, place))
    end = _end(frame, place)
    if int.from_bytes(frame[at : at + 2], "big") != pseudo or end > len(frame):
        return frame
    if _folded(pseudo + _sum(frame[place.transport : end])) == 0xFFFF:
        return frame
    return _summed(frame, place)


def _cut(frame: bytes, segment_bytes: int) -> list[bytes]:
    """The segments of a packet, each a frame with lengths, numbers and checksums of its own."""
    place = _place(frame)
    if place is None:
        return [frame]
    inner = _inner(frame, place)
    if inner is not None and _place(frame[inner:]) is not None:
        parts = [frame[:inner] + part for part in _cut(frame[inner:], segment_bytes)]
    else:
        start = place.payload(frame)
        data = frame[start:]
        cuts = range(0, max(len(data), 1), segment_bytes)
        parts = [frame[:start] + data[at : at + segment_bytes] for at in cuts]
    last = len(parts) - 1
    return [
        _segment(part, place, number, number * segment_bytes, is_last=number == last)
        for number, part in enumerate(parts)
    ]


def _segment(frame: bytes, place: _Place, number: int, offset: int, *, is_last: bool) -> bytes:
    """Write into a segment what sets it apart from the first."""
    made = bytearray(frame)
    network, transport = place.network, place.transport
    if place.is_ipv4:
        identification = int.from_bytes(made[network + 4 : network + 6], "big") + number & 0xFFFF
        struct.pack_into("!HH", made, network + 2, len(made) - network, identification)
        struct.pack_into("!H", made, network + 10, 0)
        struct.pack_into("!H", made, network + 10, ~_folded(_sum(bytes(made[network:transport]))) & 0xFFFF)
    else:
        struct.pack_into("!H", made, network + 4, len(made) - network - 40)
    if place.protocol == _UDP:
        struct.pack_into("!H", made, transport + 4, len(made) - transport)
        if not any(made[transport + 6 : transport + 8]):
            return bytes(made)
    else:
        sequence = int.from_bytes(made[transport + 4 : transport + 8], "big") + offset & 0xFFFFFFFF
        struct.pack_into("!I", made, transport + 4, sequence)
        made[transport + 13] &= 0xFF if is_last else 0xFF ^ _FIN_PSH
        made[transport + 13] &= 0xFF ^ _CWR if number else 0xFF
    return _summed(bytes(made), place)


def _summed(frame: bytes, place: _Place) -> bytes:
    """With the checksum of its transport header computed."""
    at = place.transport + _CHECKSUM_AT[place.protocol]
    frame = frame[:at] + b"\0\0" + frame[at + 2 :]
    value = ~_folded(_pseudo_sum(frame, place) + _sum(frame[place.transport : _end(frame, place)])) & 0xFFFF
    if place.protocol == _UDP and not value:
        value = 0xFFFF
    return frame[:at] + value.to_bytes(2, "big") + frame[at + 2 :]


def _end(frame: bytes, place: _Place) -> int:
    """Where the IP packet ends: a short frame may have padding behind it."""
    network = place.network
    if place.is_ipv4:
        return network + int.from_bytes(frame[network + 2 : network + 4], "big")
    return network + 40 + int.from_bytes(frame[network + 4 : network + 6], "big")


def _pseudo_sum(frame: bytes, place: _Place) -> int:
    first, size = (12, 8) if place.is_ipv4 else (8, 32)
    addresses = frame[place.network + first : place.network + first + size]
    return _sum(addresses) + place.protocol + _end(frame, place) - place.transport


def _sum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def _folded(total: int) -> int:
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total
