"""Captures in pcapng (draft-ietf-opsawg-pcapng): frames of several named interfaces, each with a time and a comment.

Little-endian, one section, Ethernet, microseconds. Pure: records in, bytes out. tcpdump, tshark and Wireshark read it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER, _UNKNOWN_LENGTH = 0x1A2B3C4D, -1
_ETHERNET = 1
_END_OF_OPTIONS, _COMMENT = 0, 1
_USER_APPLICATION = 4
_INTERFACE_NAME, _INTERFACE_DESCRIPTION = 2, 3
_FLAGS, _INBOUND, _OUTBOUND = 2, 1, 2
APPLICATION = "turnout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedFrame:
    """`interface` is an index into the capture's interfaces; `is_inbound`: on its way into the device."""

    interface: int
    time_us: int
    data: bytes
    is_inbound: bool
    comment: str = ""


def capture(interfaces: Sequence[Interface], frames: Iterable[CapturedFrame]) -> bytes:
    """The bytes of a file. Frames keep their order, whatever their times."""
    head = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, _UNKNOWN_LENGTH)
    parts = [_block(_SECTION, head + _options((_USER_APPLICATION, APPLICATION.encode())))]
    parts += (_interface_block(interface) for interface in interfaces)
    parts += (_packet_block(frame) for frame in frames)
    return b"".join(parts)


def _interface_block(interface: Interface) -> bytes:
    texts = ((_INTERFACE_NAME, interface.name), (_INTERFACE_DESCRIPTION, interface.description))
    options = _options(*((code, text.encode()) for code, text in texts if text))
    return _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, 0) + options)


def _packet_block(frame: CapturedFrame) -> bytes:
    length = len(frame.data)
    head = struct.pack("<5I", frame.interface, frame.time_us >> 32, frame.time_us & 0xFFFFFFFF, length, length)
    flags = struct.pack("<I", _INBOUND if frame.is_inbound else _OUTBOUND)
    comment = ((_COMMENT, frame.comment.encode()),) if frame.comment else ()
    return _block(_PACKET, head + _padded(frame.data) + _options(*comment, (_FLAGS, flags)))


def _options(*options: tuple[int, bytes]) -> bytes:
    """Each its code, its length, and the value padded; then the end. Nothing when there is none."""
    if not options:
        return b""
    whole = (struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    return b"".join(whole) + struct.pack("<HH", _END_OF_OPTIONS, 0)


def _block(kind: int, body: bytes) -> bytes:
    """Its length stands at both ends."""
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
