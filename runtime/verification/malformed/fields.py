"""One field of one header with a value that it should not have, at the innermost or the outermost such header.

Of IPv4, each value comes twice: with the header's checksum as it was, and with one that fits the new value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runtime.verification import anatomy
from runtime.verification.anatomy import Part
from runtime.verification.malformed.fault import Fault

_BYTE = (0, 1, 0x80, 0xFF)
_WORD = (0, 1, 0x00FF, 0x0100, 0xFF00, 0xFFFF)
_PORTS = (0, 1, 53, 80, 4789, 0xFFFF)
_LENGTHS = (0, 1, 7, 8, 19, 20, 21, 27, 28, 33, 39, 40, 41, 60, 1499, 1500, 1501, 0x7FFF, 0xFFB0, 0xFFFF)
_ADDRESSES = (0, 0x7F000001, 0xE0000001, 0xFFFFFFFF, 0x0A000001)
_ADDRESSES_6 = (0, 1, 0xFF02 << 112 | 1, 0xFFFF << 32 | 0x0A00000A, 0xFE80 << 112 | 1, (1 << 128) - 1)
_ALL_PROTOCOLS = (0, 1, 2, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 255)
_EVERY_BYTE = tuple(range(256))


@dataclass(frozen=True, slots=True)
class _Field:
    """A field by the offset of its first bit in the header. `steps` are added to what it holds, `values` replace it."""

    header: str
    name: str
    offset_bits: int
    width_bits: int
    values: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()


_CLOSE = (-41, -40, -21, -20, -9, -8, -2, -1, 1, 2, 7, 8, 100)
_FIELDS = (
    _Field("ethernet", "destination", 0, 48, (0, 0xFFFFFFFFFFFF, 0x01005E000001, 0x333300000001)),
    _Field("ethernet", "source", 48, 48, (0, 0xFFFFFFFFFFFF, 0x010000000001)),
    _Field("vlan", "priority", 0, 4, (0, 1, 7, 15)),
    _Field("vlan", "id", 4, 12, (0, 1, 0x064, 0xFFE, 0xFFF)),
    _Field("ipv4", "version", 0, 4, (0, 1, 5, 6, 7, 15)),
    _Field("ipv4", "header length", 4, 4, (0, 1, 2, 3, 4, 6, 7, 10, 15)),
    _Field("ipv4", "traffic class", 8, 8, _BYTE),
    _Field("ipv4", "total length", 16, 16, _LENGTHS, _CLOSE),
    _Field("ipv4", "identification", 32, 16, _WORD),
    _Field("ipv4", "flags", 48, 3, tuple(range(8))),
    _Field("ipv4", "fragment offset", 51, 13, (1, 2, 3, 0x100, 0x1000, 0x1FFF)),
    _Field("ipv4", "time to live", 64, 8, _BYTE),
    _Field("ipv4", "protocol", 72, 8, _ALL_PROTOCOLS),
    _Field("ipv4", "checksum", 80, 16, (0, 0xFFFF), (-1, 1, 0x100)),
    _Field("ipv4", "source", 96, 32, _ADDRESSES),
    _Field("ipv4", "destination", 128, 32, _ADDRESSES),
    _Field("ipv6", "version", 0, 4, (0, 4, 5, 7, 15)),
    _Field("ipv6", "traffic class", 4, 8, _BYTE),
    _Field("ipv6", "flow label", 12, 20, (1, 0xFFFFF)),
    _Field("ipv6", "payload length", 32, 16, _LENGTHS, _CLOSE),
    _Field("ipv6", "next header", 48, 8, _ALL_PROTOCOLS),
    _Field("ipv6", "hop limit", 56, 8, _BYTE),
    _Field("ipv6", "source", 64, 128, _ADDRESSES_6),
    _Field("ipv6", "destination", 192, 128, _ADDRESSES_6),
    _Field("tcp", "source port", 0, 16, _PORTS),
    _Field("tcp", "destination port", 16, 16, _PORTS),
    _Field("tcp", "data offset", 96, 4, tuple(range(16))),
    _Field("tcp", "reserved bits", 100, 4, (1, 8, 15)),
    _Field("tcp", "flags", 104, 8, _EVERY_BYTE),
    _Field("tcp", "checksum", 128, 16, (0, 0xFFFF), (-1, 1, 0x100)),
    _Field("tcp", "urgent pointer", 144, 16, (1, 0xFFFF)),
    _Field("udp", "source port", 0, 16, _PORTS),
    _Field("udp", "destination port", 16, 16, _PORTS),
    _Field("udp", "length", 32, 16, _LENGTHS, _CLOSE),
    _Field("udp", "checksum", 48, 16, (0, 0xFFFF), (-1, 1, 0x100)),
    _Field("icmp", "type", 0, 8, _EVERY_BYTE),
    _Field("icmp", "code", 8, 8, _BYTE),
    _Field("icmp", "checksum", 16, 16, (0, 0xFFFF), (-1, 1)),
    _Field("icmpv6", "type", 0, 8, _EVERY_BYTE),
    _Field("icmpv6", "code", 8, 8, _BYTE),
    _Field("icmpv6", "checksum", 16, 16, (0, 0xFFFF), (-1, 1)),
    _Field("arp", "hardware type", 0, 16, (0, 6, 0xFFFF)),
    _Field("arp", "protocol type", 16, 16, (0, 0x0806, 0x86DD, 0xFFFF)),
    _Field("arp", "hardware length", 32, 8, (0, 5, 7, 8, 255)),
    _Field("arp", "protocol length", 40, 8, (0, 3, 5, 16, 255)),
    _Field("arp", "operation", 48, 16, (0, 2, 3, 4, 8, 9, 0x0100, 0xFFFF)),
    _Field("arp", "sender MAC", 64, 48, (0, 0xFFFFFFFFFFFF, 0x020000000077)),
    _Field("arp", "sender address", 112, 32, _ADDRESSES),
    _Field("arp", "target MAC", 144, 48, (0xFFFFFFFFFFFF, 0x020000000077)),
    _Field("arp", "target address", 192, 32, _ADDRESSES),
    _Field("vxlan", "flags", 0, 8, (0, 0x01, 0x04, 0x0C, 0x48, 0x88, 0xF7, 0xFF)),
    _Field("vxlan", "reserved bytes", 8, 24, (1, 0x800000, 0xFFFFFF)),
    _Field("vxlan", "VNI", 32, 24, (0, 1, 0x0000FF, 0x010000, 0xFFFFFF), (-1, 1, 0x100)),
    _Field("vxlan", "last reserved byte", 56, 8, (1, 255)),
)
_OUTER = ("ethernet", "ipv4", "udp")
"""What a tunnelled frame has twice."""


def _changed(frame: bytes, part: Part, field: _Field, case: int) -> bytes:
    end_bits = field.offset_bits + field.width_bits
    first, last = field.offset_bits // 8, (end_bits + 7) // 8
    whole = int.from_bytes(frame[part.start + first : part.start + last], "big")
    shift, mask = last * 8 - end_bits, (1 << field.width_bits) - 1
    if case < len(field.values):
        value = field.values[case]
    else:
        value = (whole >> shift & mask) + field.steps[case - len(field.values)]
    whole = whole & ~(mask << shift) | (value & mask) << shift
    return anatomy.replaced(frame, part.start + first, whole.to_bytes(last - first, "big"))


Place = Callable[[bytes, str], Part | None]


def _fault(name: str, field: _Field, place: Place) -> Fault:
    count = len(field.values) + len(field.steps)
    is_summed = field.header == "ipv4" and field.name != "checksum"

    def change(frame: bytes, case: int) -> bytes:
        part = place(frame, field.header)
        if part is None:
            return frame
        changed = _changed(frame, part, field, case % count)
        return anatomy.summed(changed, part) if is_summed and case < count else changed

    return Fault(name=name, cases=2 * count if is_summed else count, change=change)


def _outermost(frame: bytes, name: str) -> Part | None:
    """That of a frame which has another one within."""
    part = anatomy.first(frame, name)
    return None if part == anatomy.last(frame, name) else part


def _faults() -> Iterator[Fault]:
    for field in _FIELDS:
        yield _fault(f"{field.header}: {field.name}", field, anatomy.last)
        if field.header in _OUTER:
            yield _fault(f"outer {field.header}: {field.name}", field, _outermost)


FAULTS = tuple(_faults())
