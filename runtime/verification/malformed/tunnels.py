"""VXLAN that a device should not take off, or takes off and finds something odd in it."""

from __future__ import annotations

from collections.abc import Callable

from runtime.verification import anatomy, wire
from runtime.verification.anatomy import Part
from runtime.verification.malformed.fault import Fault

Inside = Callable[[bytes], bytes]


def _vxlan(frame: bytes) -> Part | None:
    return anatomy.first(frame, "vxlan")


def _again(inner: bytes) -> bytes:
    """The inner frame in a tunnel of its own, between the same addresses as far as there are any."""
    datagram = wire.number(50_001, 2) + wire.number(wire.VXLAN_PORT, 2) + wire.number(16 + len(inner), 2)
    ip = anatomy.innermost_ip(inner)
    if ip is None or ip.name != "ipv4":
        return inner
    around = inner[: ip.end] + datagram + b"\0\0" + b"\x08\0\0\0\0\0\x01\0" + inner
    return anatomy.fitted(anatomy.replaced(around, ip.start + 9, bytes([wire.UDP])))


_INSIDES: tuple[Inside, ...] = (
    _again,
    lambda inner: _again(_again(inner)),
    lambda _: b"",
    lambda inner: inner[:1],
    lambda inner: inner[:13],
    lambda inner: inner[:14],
    lambda inner: inner[:33],
    lambda inner: inner[14:],
    lambda _: bytes(60),
    lambda _: b"\xff" * 60,
    lambda inner: inner[:12] + b"\x08\x06" + inner[14:],
    lambda inner: inner[:12] + b"\x86\xdd" + inner[14:],
    lambda inner: inner[:12] + b"\x08\x00" + inner[14:],
    lambda inner: inner[6:12] + inner[:6] + inner[12:],
    lambda inner: inner + bytes(7),
)


def _inside(frame: bytes, case: int) -> bytes:
    """Something else in the tunnel; the outer headers fit it."""
    part = _vxlan(frame)
    if part is None:
        return frame
    inner = _INSIDES[case](frame[part.end :])
    return anatomy.fitted(frame[: part.end] + inner)


def _inside_unfitted(frame: bytes, case: int) -> bytes:
    """Something else in the tunnel; the outer headers say the length that it had."""
    part = _vxlan(frame)
    return frame if part is None else frame[: part.end] + _INSIDES[case](frame[part.end :])


def _at(name: str, offset: int, data: str) -> Callable[[bytes], bytes]:
    """Other bytes in the outermost header of a name; its checksum fits."""

    def change(frame: bytes) -> bytes:
        part = anatomy.first(frame, name)
        if part is None:
            return frame
        changed = anatomy.replaced(frame, part.start + offset, bytes.fromhex(data))
        return anatomy.summed(changed, part) if name == "ipv4" else changed

    return change


def _with_outer_options(frame: bytes) -> bytes:
    part = anatomy.first(frame, "ipv4")
    if part is None:
        return frame
    changed = anatomy.replaced(frame, part.start, b"\x46")
    return anatomy.fitted(changed[: part.end] + b"\1\1\1\1" + changed[part.end :])


_OUTSIDES: tuple[Callable[[bytes], bytes], ...] = (
    _with_outer_options,
    _at("ipv4", 6, "2000"),
    _at("ipv4", 6, "0001"),
    _at("ipv4", 6, "8000"),
    _at("ipv4", 6, "4000"),
    _at("ipv4", 8, "00"),
    _at("ipv4", 8, "01"),
    _at("ipv4", 9, "06"),
    _at("ipv4", 10, "0000"),
    _at("ipv4", 12, "00000000"),
    _at("ipv4", 12, "ffffffff"),
    _at("ipv4", 16, "ffffffff"),
    _at("ipv4", 16, "e0000001"),
    _at("ipv4", 2, "0014"),
    _at("ipv4", 2, "ffff"),
    _at("udp", 2, "12b4"),
    _at("udp", 2, "2118"),
    _at("udp", 4, "0000"),
    _at("udp", 4, "0008"),
    _at("udp", 4, "ffff"),
    _at("udp", 6, "1234"),
    _at("udp", 6, "ffff"),
    lambda frame: frame[:12] + b"\x81\0\0\x64" + frame[12:],
    lambda frame: frame[:12] + b"\x86\xdd" + frame[14:],
)


def _outside(frame: bytes, case: int) -> bytes:
    return frame if _vxlan(frame) is None else _OUTSIDES[case](frame)


FAULTS = (
    Fault(name="odd inner frame", cases=len(_INSIDES), change=_inside),
    Fault(name="odd inner frame, outer lengths as they were", cases=len(_INSIDES), change=_inside_unfitted),
    Fault(name="odd outer headers", cases=len(_OUTSIDES), change=_outside),
)
