"""Tags within tags, and neighbour discovery that a node should not answer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from runtime.verification import anatomy, wire
from runtime.verification.anatomy import Part
from runtime.verification.malformed.fault import Fault

_STACKS = (
    (0x8100,),
    (0x88A8,),
    (0x8100, 0x8100),
    (0x88A8, 0x8100),
    (0x8100, 0x88A8),
    (0x88A8, 0x88A8),
    (0x9100,),
    (0x8100,) * 5,
)
_TAGS = (0, 1, 100, 0x3064, 0x1000, 4094, 4095)
"""Priority, drop eligible, and number of the VLAN."""
_STACKED = tuple(product(_STACKS, _TAGS))


def _tagged(frame: bytes, kinds: tuple[int, ...], tag: int, part: Part) -> bytes:
    tags = b"".join(wire.number(kind, 2) + wire.number(tag, 2) for kind in kinds)
    return anatomy.fitted(frame[: part.start + 12] + tags + frame[part.start + 12 :])


def _tags(frame: bytes, case: int) -> bytes:
    """In front of the frame, and of a tag that it has."""
    kinds, tag = _STACKED[case]
    return _tagged(frame, kinds, tag, Part("ethernet", 0, 14))


def _inner_tags(frame: bytes, case: int) -> bytes:
    """In front of the frame in a tunnel."""
    part = anatomy.last(frame, "ethernet")
    if part is None or part.start == 0:
        return frame
    return _tagged(frame, *_STACKED[case], part)


def _message(frame: bytes) -> Part | None:
    """Of neighbour discovery, with an IPv6 header in front of it."""
    part = anatomy.last(frame, "icmpv6")
    return part if part is not None and frame[part.start] == wire.SOLICITATION else None


def _without_options(frame: bytes, part: Part) -> bytes:
    return frame[: part.end + 16]


def _option(data: str) -> Callable[[bytes, Part], bytes]:
    """With this in place of its options."""

    def change(frame: bytes, part: Part) -> bytes:
        return _without_options(frame, part) + bytes.fromhex(data)

    return change


def _put(offset: int, data: str) -> Callable[[bytes, Part], bytes]:
    """With other bytes at an offset from the start of the message; from -40 on it is the IPv6 header."""

    def change(frame: bytes, part: Part) -> bytes:
        return anatomy.replaced(frame, part.start + offset, bytes.fromhex(data))

    return change


_SOLICITATIONS: tuple[Callable[[bytes, Part], bytes], ...] = (
    _without_options,
    _option("0201020000000077"),
    _option("0100020000000077"),
    _option("0102020000000077"),
    _option("01ff020000000077"),
    _option("0101020000000077" * 2),
    _option("0e01010203040506" + "0101020000000077"),
    _option("0101020000000077" + "0e01010203040506"),
    _option("010102"),
    _option("01"),
    _option("0101ffffffffffff"),
    _option("00" * 8),
    _put(1, "01"),
    _put(4, "ffffffff"),
    _put(8, "ff02" + "00" * 13 + "01"),
    _put(8, "00" * 16),
    _put(8, "00" * 15 + "01"),
    _put(-33, "fe"),
    _put(-33, "00"),
    _put(-32, "00" * 16),
    _put(-32, "ff02" + "00" * 13 + "01"),
    _put(-16, "fd00" + "00" * 13 + "01"),
    _put(0, "88"),
    _put(0, "85"),
    _put(0, "89"),
    _put(-36, "0018"),
    _put(-36, "0021"),
    _put(-36, "0000"),
)


def _solicitation(frame: bytes, case: int) -> bytes:
    """First half: the checksum stays as it was. Second half: it is that of the changed message."""
    part = _message(frame)
    if part is None:
        return frame
    change = _SOLICITATIONS[case % len(_SOLICITATIONS)]
    changed = change(frame, part)
    if len(changed) != len(frame):
        changed = anatomy.fitted(changed)
    return _summed(changed, part) if case >= len(_SOLICITATIONS) else changed


def _summed(frame: bytes, part: Part) -> bytes:
    message = frame[part.start : part.start + 2] + b"\0\0" + frame[part.start + 4 :]
    pseudo = frame[part.start - 32 : part.start] + wire.number(len(message), 4) + bytes([0, 0, 0, wire.ICMPV6])
    return anatomy.replaced(frame, part.start + 2, wire.number(wire.checksum(pseudo + message), 2))


def _answered(frame: bytes, case: int) -> bytes:
    """ARP as a probe, as an announcement, for the sender itself, with bytes left out or behind it."""
    part = anatomy.last(frame, "arp")
    if part is None:
        return frame
    sender, target = frame[part.start + 14 : part.start + 18], frame[part.start + 24 : part.start + 28]
    match case:
        case 0:
            return anatomy.replaced(frame, part.start + 14, bytes(4))
        case 1:
            return anatomy.replaced(frame, part.start + 14, target)
        case 2:
            return anatomy.replaced(frame, part.start + 24, sender)
        case 3:
            return frame[: part.end - 1]
        case 4:
            return frame[: part.start + 8]
        case _:
            return frame + bytes(18)


FAULTS = (
    Fault(name="tags", cases=len(_STACKED), change=_tags),
    Fault(name="tags in the tunnel", cases=len(_STACKED), change=_inner_tags),
    Fault(name="odd solicitation", cases=2 * len(_SOLICITATIONS), change=_solicitation),
    Fault(name="odd ARP", cases=6, change=_answered),
)
