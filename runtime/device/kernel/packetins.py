"""Packet-ins from the ring of a program: records (ebpf/include/turnout/punt.h) as values and frames of a wire."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from compiler.printers.layout import StructLayout
from runtime.device.kernel.completing import wire_frames

PACKET_INS = "packet_ins"
"""The name of the ring."""
_HEAD = struct.Struct("<IIHHI")
_TAG_PRESENT = 0x10000


@dataclass(frozen=True, slots=True)
class PacketIn:
    """What a packet says, in the order of the pipeline's `packet_in`, and its frames: more than one after cutting.

    `full` is the id of the reason for which they are dropped where nobody has room.
    """

    values: tuple[int, ...]
    frames: tuple[bytes, ...]
    full: int


def read_packet_in(record: bytes, said: StructLayout) -> PacketIn:
    length, tag, tag_protocol, segment_bytes, full = _HEAD.unpack_from(record)
    start = _HEAD.size + said.size
    frame = record[start : start + length]
    tag_bytes = struct.pack("!HH", tag_protocol, tag & 0xFFFF) if tag & _TAG_PRESENT else b""
    frames = wire_frames(frame, tag=tag_bytes, segment_bytes=segment_bytes)
    return PacketIn(said.decode(record[_HEAD.size : start]), tuple(frames), full)
