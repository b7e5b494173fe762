"""IPv4 with options of every kind and length, and in fragments; TCP with options that do not fit."""

from __future__ import annotations

from itertools import product

from runtime.verification import anatomy, wire
from runtime.verification.anatomy import Part
from runtime.verification.malformed.fault import Fault

_KINDS = (0, 1, 7, 68, 130, 131, 134, 136, 137, 148, 222, 255)
"""End, no-operation, record route, time stamp, security, loose and strict source routes, stream, router alert."""
_SAID = (None, 0, 1, 2, 3, 4, 11, 39, 40, 41, 255)
"""What an option says its length is; None without a length, or the one that it has."""
_WORDS = tuple(range(1, 11))
"""Words of options that the header has room for: its length is 5 more."""
_OPTIONS = tuple(product(_KINDS, _SAID, _WORDS))


def _option(kind: int, said: int | None, words: int) -> bytes:
    if kind < 2 and said is None:
        return bytes([kind]) * (4 * words)
    body = bytes([kind, 4 * words if said is None else said, 4])
    return (body + b"\x0a\0\0\x0b" * words)[: 4 * words]


def _with_options(frame: bytes, case: int) -> bytes:
    return anatomy.optioned(frame, _option(*_OPTIONS[case]))


def _room_without_options(frame: bytes, case: int) -> bytes:
    """The header's length says that options are there, which the frame ends before, or which are the transport's."""
    part = anatomy.last(frame, "ipv4")
    if part is None:
        return frame
    changed = anatomy.replaced(frame, part.start, bytes([0x46 + case % 10]))
    cut = changed[: part.end + case // 10 * 4]
    return anatomy.summed(cut, Part("ipv4", part.start, min(len(cut), part.start + 4 * (6 + case % 10))))


_SIZES = (8, 16, 20, 24, 1000)
"""Bytes of payload in a fragment; the smallest ends within the TCP header."""
_OFFSETS = (0, 1, 2, 3, 185, 0x1FFE)
"""In units of 8 bytes: of a first fragment, of such as overlap its transport header, behind it, and past the end."""
_FLAGS = (0, 1, 2, 3, 4, 5)
"""More fragments 1, do not fragment 2, reserved 4."""
_FRAGMENTS = tuple(product(_SIZES, _OFFSETS, _FLAGS))


def _fragment(frame: bytes, case: int) -> bytes:
    part = anatomy.last(frame, "ipv4")
    if part is None:
        return frame
    size, offset, flags = _FRAGMENTS[case]
    start = part.end + offset * 8 if part.end + offset * 8 < len(frame) else part.end
    piece = frame[: part.end] + frame[start : start + size]
    return anatomy.fitted(anatomy.replaced(piece, part.start + 6, wire.number(flags << 13 | offset, 2)))


_TCP_OPTIONS = (
    bytes.fromhex("020405b4"),
    bytes.fromhex("0101080a0000000100000000"),
    bytes.fromhex("02040000"),
    bytes.fromhex("0200ffff"),
    bytes.fromhex("02ff0101"),
    bytes.fromhex("fe02fe02"),
    bytes.fromhex("0000ffff"),
    b"\x01" * 40,
)


def _tcp_options(frame: bytes, case: int) -> bytes:
    part = anatomy.last(frame, "tcp")
    if part is None:
        return frame
    option = _TCP_OPTIONS[case]
    frame = anatomy.replaced(frame, part.start + 12, bytes([0x50 + (len(option) // 4 << 4)]))
    return anatomy.spliced(frame, part.end, part.end, option)


_LENGTHS = (1400, 1500, 1501, 2000, 2900, 3000, 3400)


def _long(frame: bytes, case: int) -> bytes:
    """With so much payload that the frame has the length of the case."""
    if anatomy.innermost_ip(frame) is None or len(frame) >= _LENGTHS[case]:
        return frame
    return anatomy.fitted(frame + b"\xa5" * (_LENGTHS[case] - len(frame)))


FAULTS = (
    Fault(name="ipv4 options", cases=len(_OPTIONS), change=_with_options),
    Fault(name="ipv4 options that are not there", cases=40, change=_room_without_options),
    Fault(name="ipv4 fragment", cases=len(_FRAGMENTS), change=_fragment),
    Fault(name="tcp options", cases=len(_TCP_OPTIONS), change=_tcp_options),
    Fault(name="long", cases=len(_LENGTHS), change=_long),
)
