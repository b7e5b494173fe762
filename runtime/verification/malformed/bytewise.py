"""Faults that know no header: frames cut short, frames with bytes behind their end, bits turned, bytes of no sense."""

from __future__ import annotations

import random

from runtime.verification import anatomy, wire
from runtime.verification.malformed.fault import Fault

_LONGEST = 240
"""Bytes of the longest headers that a frame has: outer ones, extension headers, inner ones."""
SHORTEST = 14
"""What a test run takes."""
_PADDINGS = (1, 2, 3, 4, 6, 18, 46, 100, 1000)
_ETHER_TYPES = (0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x88CC, 0x0600, 0x05DC, 0x0000, 0xFFFF, 0x8035, 0x8847)


def _cut(frame: bytes, case: int) -> bytes:
    """Of the headers, and a few bytes of what they carry, all but the first `case` bytes behind Ethernet's."""
    return frame[: SHORTEST + case]


def _padded(frame: bytes, case: int) -> bytes:
    return frame + bytes(_PADDINGS[case])


def _zeroed(frame: bytes, case: int) -> bytes:
    """Everything behind a place is zero."""
    return frame[: SHORTEST + case] + bytes(max(0, len(frame) - SHORTEST - case))


def _flipped(frame: bytes, case: int) -> bytes:
    at = case // 8 % len(frame)
    return frame[:at] + bytes([frame[at] ^ 1 << case % 8]) + frame[at + 1 :]


def _garbage(frame: bytes, case: int) -> bytes:
    """Random bytes from one of the headers on to the end; the same for a case on every machine."""
    found = anatomy.parts(frame)
    start = found[case % len(found)].start if found else 0
    return frame[:start] + random.Random(case).randbytes(len(frame) - start)


def _one_header_of_garbage(frame: bytes, case: int) -> bytes:
    found = anatomy.parts(frame)
    if not found:
        return frame
    part = found[case % len(found)]
    return anatomy.replaced(frame, part.start, random.Random(case).randbytes(part.end - part.start))


def _other_ether_type(frame: bytes, case: int) -> bytes:
    """Of the innermost frame, behind its tags."""
    ethernet = anatomy.last(frame, "ethernet")
    if ethernet is None:
        return frame
    tags = [part for part in anatomy.parts(frame) if part.name == "vlan" and part.start >= ethernet.end]
    at = (tags[-1].end if tags else ethernet.end) - 2
    return anatomy.replaced(frame, at, wire.number(_ETHER_TYPES[case], 2))


FAULTS = (
    Fault(name="cut", cases=_LONGEST - SHORTEST, change=_cut),
    Fault(name="zeroed from a byte on", cases=_LONGEST - SHORTEST, change=_zeroed),
    Fault(name="bytes behind the end", cases=len(_PADDINGS), change=_padded),
    Fault(name="flipped bit", cases=8 * 130, change=_flipped),
    Fault(name="garbage from a header on", cases=64, change=_garbage),
    Fault(name="one header of garbage", cases=96, change=_one_header_of_garbage),
    Fault(name="other EtherType", cases=len(_ETHER_TYPES), change=_other_ether_type),
)
