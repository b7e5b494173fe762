"""Packets in fragments, and whole again: RFC 791, section 3.2, and RFC 8200, section 4.5, from bytes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from runtime.verification import anatomy, wire

_HEADER = 44
"""The next header of a fragment (RFC 8200, section 4.5)."""
_UNIT = 8
_MORE_IN_IPV4 = 0x2000
_ADDRESSES = {"ipv4": (12, 20), "ipv6": (8, 40)}


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a fragment says of itself, and the bytes that it has of the packet."""

    key: tuple[bytes, bytes, int]
    """Addresses, identification with IPv4's protocol, and nothing else of the header."""
    offset: int
    has_more: bool
    data: bytes


def in_fragments(frame: bytes, cuts: Sequence[int], identification: int = 7) -> list[bytes]:
    """A frame as several, cut at `cuts`: bytes behind the innermost IP header, in multiples of 8. Lengths and the
    IPv4 checksum fit; what is beyond the length that the header says is gone.
    """
    part = anatomy.innermost_ip(frame)
    if part is None or any(cut % _UNIT for cut in cuts):
        raise ValueError("no IP packet, or a cut that is no multiple of 8")
    packet = frame[part.start :]
    if part.name == "ipv4":
        length = int.from_bytes(packet[2:4], "big")
        data = packet[part.end - part.start : length]
    else:
        data = packet[40 : 40 + int.from_bytes(packet[4:6], "big")]
    bounds = [0, *(cut for cut in cuts if 0 < cut < len(data)), len(data)]
    head = frame[: part.end]
    is_tunnelled = part != anatomy.first(frame, part.name) or anatomy.first(frame, "vxlan") is not None
    made = (
        _made(head, part, data[first:last], first, identification, has_more=last < len(data))
        for first, last in pairwise(bounds)
    )
    return [anatomy.fitted(piece) if is_tunnelled else piece for piece in made]


def later_of(frame: bytes) -> int | None:
    """The protocol of a fragment behind the first; None for whatever is none."""
    part = anatomy.innermost_ip(frame)
    if part is None:
        return None
    packet = frame[part.start :]
    if part.name == "ipv4":
        return packet[9] if int.from_bytes(packet[6:8], "big") & 0x1FFF else None
    is_later = packet[6] == _HEADER and int.from_bytes(packet[42:44], "big") & 0xFFF8
    return packet[40] if is_later else None


def _made(head: bytes, part: anatomy.Part, data: bytes, offset: int, number: int, *, has_more: bool) -> bytes:
    at = part.start
    if part.name == "ipv4":
        words = wire.number(part.end - at + len(data), 2) + wire.number(number, 2)
        words += wire.number(offset // _UNIT | (_MORE_IN_IPV4 if has_more else 0), 2)
        made = anatomy.replaced(anatomy.replaced(head, at + 2, words), at + 10, b"\0\0")
        return anatomy.replaced(made, at + 10, wire.number(wire.checksum(made[at:]), 2)) + data
    extension = bytes([head[at + 6], 0]) + wire.number(offset | has_more, 2) + wire.number(number, 4)
    made = anatomy.replaced(head, at + 4, wire.number(len(extension) + len(data), 2) + bytes([_HEADER]))
    return made + extension + data


def whole(frames: Sequence[bytes]) -> bytes | None:
    """The frame that its fragments make, in whichever order they are; None unless they are all of one packet.

    Its headers are those of the first fragment; an IPv4 packet may be fragmented then, and has its identification.
    """
    pieces = sorted(((_piece(frame), frame) for frame in frames), key=lambda found: found[0].offset)
    data = b""
    for at, (piece, _) in enumerate(pieces, 1):
        if piece.key != pieces[0][0].key or piece.offset != len(data) or piece.has_more != (at < len(pieces)):
            return None
        data += piece.data
    return _rejoined(pieces[0][1], data) if pieces else None


def _piece(frame: bytes) -> _Piece:
    part = anatomy.innermost_ip(frame)
    if part is None:
        raise ValueError("no IP packet")
    packet = frame[part.start :]
    first, last = _ADDRESSES[part.name]
    addresses = packet[first:last]
    if part.name == "ipv4":
        word, length = int.from_bytes(packet[6:8], "big"), int.from_bytes(packet[2:4], "big")
        key = addresses, packet[4:6], packet[9]
        return _Piece(key, (word & 0x1FFF) * _UNIT, bool(word & _MORE_IN_IPV4), packet[part.end - part.start : length])
    if packet[6] != _HEADER:
        raise ValueError("no fragment")
    word, length = int.from_bytes(packet[42:44], "big"), int.from_bytes(packet[4:6], "big")
    return _Piece((addresses, packet[44:48], 0), word & 0xFFF8, bool(word & 1), packet[48 : 40 + length])


def _rejoined(first: bytes, data: bytes) -> bytes:
    part = anatomy.innermost_ip(first)
    assert part is not None
    at, head = part.start, first[: part.end]
    if part.name == "ipv4":
        made = anatomy.replaced(head, at + 2, wire.number(part.end - at + len(data), 2))
        made = anatomy.replaced(anatomy.replaced(made, at + 6, b"\0\0"), at + 10, b"\0\0")
        return anatomy.replaced(made, at + 10, wire.number(wire.checksum(made[at:]), 2)) + data
    following = first[part.end : part.end + 1]
    return anatomy.replaced(head, at + 4, wire.number(len(data), 2) + following) + data
