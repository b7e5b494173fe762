"""ICMP errors about the packet that would answer a frame: with that packet whole, cut, odd, of another family, nested.

An error goes the way of the frame itself, from its source to its destination, as from a host that has got an answer
and cannot use it. What it quotes is a packet of the frame's own connection, so known flows are met as soon as the
frame has opened one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from runtime.verification import anatomy, wire
from runtime.verification.anatomy import Part
from runtime.verification.malformed.fault import Fault

_KINDS = {
    4: ((3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (5, 1), (11, 0), (11, 1), (12, 0)),
    6: ((1, 0), (1, 3), (1, 4), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (100, 0), (137, 0)),
}
_MTUS = (0, 68, 1280, 1400, 0xFFFF)


def _answered(frame: bytes, ip: Part) -> bytes:
    """The IP packet with addresses and ports the other way round, as far as they are there."""
    packet = frame[ip.start :]
    size, at = (4, 12) if ip.name == "ipv4" else (16, 8)
    packet = packet[:at] + packet[at + size : at + 2 * size] + packet[at : at + size] + packet[at + 2 * size :]
    end = ip.end - ip.start
    return packet[:end] + packet[end + 2 : end + 4] + packet[end : end + 2] + packet[end + 4 :]


def _error(frame: bytes, ip: Part, kind: int, code: int, rest: int, quoted: bytes) -> bytes:
    """An error from the frame's source to its destination; the frame keeps its way in."""
    version = 4 if ip.name == "ipv4" else 6
    protocol = wire.icmp_protocol(version)
    header = anatomy.replaced(frame[ip.start : ip.end], 9 if version == 4 else 6, bytes([protocol]))
    message = bytes([kind, code, 0, 0]) + wire.number(rest, 4) + quoted
    pseudo = b"" if version == 4 else header[8:40] + wire.number(len(message), 4) + bytes([0, 0, 0, protocol])
    summed = message[:2] + wire.number(wire.checksum(pseudo + message), 2) + message[4:]
    return anatomy.fitted(frame[: ip.start] + header + summed)


def _whole(frame: bytes, case: int) -> bytes:
    """Every kind of error with a few numbers in its last 32 bits."""
    ip = anatomy.innermost_ip(frame)
    if ip is None:
        return frame
    kinds = _KINDS[4 if ip.name == "ipv4" else 6]
    kind, code = kinds[case % len(kinds)]
    return _error(frame, ip, kind, code, _MTUS[case // len(kinds)], _answered(frame, ip))


_LONGEST_QUOTE = 70


def _unreachable(frame: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Port unreachable, quoting what `change` makes of the answer."""
    ip = anatomy.innermost_ip(frame)
    if ip is None:
        return frame
    kind, code = (3, 3) if ip.name == "ipv4" else (1, 4)
    return _error(frame, ip, kind, code, 0, change(_answered(frame, ip)))


def _cut(frame: bytes, case: int) -> bytes:
    """The quoted packet ends after any byte of its headers."""
    return _unreachable(frame, lambda quoted: quoted[:case])


def _put(offset: int, data: str) -> Callable[[bytes], bytes]:
    return lambda quoted: anatomy.replaced(quoted, offset, bytes.fromhex(data))


_CHANGES: tuple[Callable[[bytes], bytes], ...] = (
    _put(0, "00"),
    _put(0, "44"),
    _put(0, "4f"),
    _put(0, "65"),
    _put(0, "f5"),
    _put(2, "0000"),
    _put(2, "0014"),
    _put(2, "ffff"),
    _put(4, "0000"),
    _put(4, "ffff"),
    _put(6, "2000"),
    _put(6, "0001"),
    _put(6, "1fff"),
    _put(6, "2c40"),
    _put(9, "01"),
    _put(9, "3a"),
    _put(9, "ff"),
    _put(10, "0000"),
    _put(20, "ffff"),
    _put(40, "ffff"),
    lambda _: b"",
    lambda _: bytes(64),
    lambda _: b"\xff" * 64,
    lambda quoted: quoted[20:],
    lambda quoted: quoted[40:],
    lambda quoted: quoted + quoted,
    lambda quoted: quoted + bytes(500),
)


def _odd(frame: bytes, case: int) -> bytes:
    """The quoted packet has a wrong length, version, offset or protocol, or is none."""
    return _unreachable(frame, _CHANGES[case])


def _own(frame: bytes, case: int) -> bytes:
    """About a packet that the source has sent itself, cut after so many words."""
    ip = anatomy.innermost_ip(frame)
    return frame if ip is None else _unreachable(frame, lambda _: frame[ip.start :][: 4 * case])


def _nested(frame: bytes, case: int) -> bytes:
    """An error about an error, as deep as the case says."""
    for _ in range(case + 1):
        frame = _unreachable(frame, lambda quoted: quoted)
    return frame


_OTHER = tuple(product((False, True), (8, 28, 48)))


def _other_family(frame: bytes, case: int) -> bytes:
    """ICMPv6 in IPv4 and the other way round; and the right protocol with a packet of the other family within."""
    ip = anatomy.innermost_ip(frame)
    if ip is None:
        return frame
    is_protocol, keep = _OTHER[case]
    if is_protocol:
        error = _unreachable(frame, lambda quoted: quoted[:keep])
        at, protocol = (9, wire.ICMPV6) if ip.name == "ipv4" else (6, wire.ICMP)
        return anatomy.fitted(anatomy.replaced(error, ip.start + at, bytes([protocol])))
    other = bytes([0x60 if ip.name == "ipv4" else 0x45])
    return _unreachable(frame, lambda quoted: other + quoted[1:keep])


FAULTS = (
    Fault(name="ICMP error", cases=len(_KINDS[4]) * len(_MTUS), change=_whole),
    Fault(name="ICMP error, quoted packet cut", cases=_LONGEST_QUOTE, change=_cut),
    Fault(name="ICMP error, odd quoted packet", cases=len(_CHANGES), change=_odd),
    Fault(name="ICMP error about an own packet", cases=16, change=_own),
    Fault(name="ICMP error about an error", cases=4, change=_nested),
    Fault(name="ICMP error of the other family", cases=len(_OTHER), change=_other_family),
)
