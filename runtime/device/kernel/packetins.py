"""Packet-ins from the ring of a program: records (ebpf/include/turnout/punt.h) as values and frames of a wire."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from compiler.printers.layout import StructLayout
from runtime.device.kernel.completing import wire_frames

PACKET_INS = "packet_ins"
"""The name of the ring."""
_HEAD = struct.Struct("<IIHHIII")
_TAG_PRESENT = 0x10000


@dataclass(frozen=True, slots=True)
class PacketIn:
    """What a packet says, in the order of the pipeline's `packet_in`, and its frames: more than one after cutting.

    `full` is the id of the reason for which they are dropped where nobody has room. `port` is above 0 for copies, and
    then where they go; a cut one has as many bytes as its clone session says.
    """

    values: tuple[int, ...]
    frames: tuple[bytes, ...]
    full: int
    port: int = 0


def read_packet_in(record: bytes, said: StructLayout) -> PacketIn:
    length, tag, tag_protocol, segment_bytes, full, port, keep_bytes = _HEAD.unpack_from(record)
    start = _HEAD.size + said.size
    frame = record[start : start + length]
    tag_bytes = struct.pack("!HH", tag_protocol, tag & 0xFFFF) if tag & _TAG_PRESENT else b""
    whole = wire_frames(frame, tag=tag_bytes, segment_bytes=segment_bytes)
    frames = tuple(frame[:keep_bytes] for frame in whole) if keep_bytes else tuple(whole)
    return PacketIn(said.decode(record[_HEAD.size : start]), frames, full, port)
