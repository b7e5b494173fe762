"""Where the headers of a frame are, told from its bytes alone, and lengths and IPv4 checksums that fit what is there.

The walk goes on through tags, IPv6 extension headers and VXLAN as far as whole headers are there, whatever else is
wrong with them. It knows no pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runtime.verification import wire

EXTENSIONS = {0: "hop_by_hop", 43: "routing", 44: "fragment", 60: "destination_options"}
"""By next-header number (RFC 8200, section 4)."""
_TRANSPORTS = {wire.TCP: "tcp", wire.UDP: "udp", wire.SCTP: "sctp", wire.ICMP: "icmp", wire.ICMPV6: "icmpv6"}
_SIZES = {
    "ethernet": 14,
    "vlan": 4,
    "arp": 28,
    "ipv4": 20,
    "ipv6": 40,
    "tcp": 20,
    "udp": 8,
    "sctp": 12,
    "icmp": 8,
    "icmpv6": 8,
}
_LINK_TYPES = {
    wire.ETHERTYPE_VLAN: "vlan",
    wire.ETHERTYPE_SERVICE_VLAN: "vlan",
    wire.ETHERTYPE_ARP: "arp",
    wire.ETHERTYPE_IPV4: "ipv4",
    wire.ETHERTYPE_IPV6: "ipv6",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A header from byte `start` up to `end`; an IPv4 header with its options."""

    name: str
    start: int
    end: int


def parts(frame: bytes) -> tuple[Part, ...]:
    """The headers in their order, of a tunnelled frame outer and inner ones."""
    return tuple(_walk(frame, 0))


def last(frame: bytes, name: str) -> Part | None:
    """The innermost header of that name."""
    return next((part for part in reversed(parts(frame)) if part.name == name), None)


def first(frame: bytes, name: str) -> Part | None:
    """The outermost header of that name."""
    return next((part for part in parts(frame) if part.name == name), None)


def innermost_ip(frame: bytes) -> Part | None:
    return next((part for part in reversed(parts(frame)) if part.name in ("ipv4", "ipv6")), None)


INNER = 14 + 20 + 8 + 8
"""Where the frame in a tunnel between devices begins."""


def inner_frame(frame: bytes) -> bytes:
    """What is in a tunnel between devices (VXLAN in plain IPv4); any other frame as it is."""
    is_tunnelled = frame[12:15] == b"\x08\x00\x45" and frame[23:24] == bytes([wire.UDP])
    return frame[INNER:] if is_tunnelled and frame[36:38] == wire.number(wire.VXLAN_PORT, 2) else frame


def _walk(frame: bytes, start: int) -> Iterator[Part]:
    name: str | None = "ethernet"
    at, is_vxlan = start, False
    while name is not None:
        end = at + _SIZES.get(name, 8)
        if end > len(frame):
            return
        if name == "ipv4":
            end = min(len(frame), at + max(20, 4 * (frame[at] & 15)))
        elif name in EXTENSIONS.values() and name != "fragment":
            end = min(len(frame), at + 8 * (frame[at + 1] + 1))
        part = Part(name, at, end)
        yield part
        at, name = end, _next(frame, part)
        is_vxlan = part.name == "udp" and frame[at - 6 : at - 4] == wire.number(wire.VXLAN_PORT, 2)
    if is_vxlan and at + 8 <= len(frame):
        yield Part("vxlan", at, at + 8)
        yield from _walk(frame, at + 8)


def _next(frame: bytes, part: Part) -> str | None:
    match part.name:
        case "ethernet" | "vlan":
            return _LINK_TYPES.get(int.from_bytes(frame[part.end - 2 : part.end], "big"))
        case "ipv4":
            is_later_fragment = int.from_bytes(frame[part.start + 6 : part.start + 8], "big") & 0x1FFF
            return None if is_later_fragment else _TRANSPORTS.get(frame[part.start + 9])
        case "ipv6":
            return _following(frame[part.start + 6])
        case "fragment":
            is_later = int.from_bytes(frame[part.start + 2 : part.start + 4], "big") & 0xFFF8
            return None if is_later else _following(frame[part.start])
        case "hop_by_hop" | "routing" | "destination_options":
            return _following(frame[part.start])
        case _:
            return None


def _following(next_header: int) -> str | None:
    return EXTENSIONS.get(next_header) or _TRANSPORTS.get(next_header)


def replaced(frame: bytes, at: int, new: bytes) -> bytes:
    """With `new` in place of as many bytes; what is behind the end is left out."""
    return (frame[:at] + new + frame[at + len(new) :])[: len(frame)]


def spliced(frame: bytes, start: int, end: int, new: bytes) -> bytes:
    """With `new` in place of the bytes from `start` to `end`, and lengths that fit."""
    return fitted(frame[:start] + new + frame[end:])


def optioned(frame: bytes, options: bytes) -> bytes:
    """With whole words of options in the innermost IPv4 header, which has none; as it is without such a header."""
    part = last(frame, "ipv4")
    if part is None or part.end - part.start != _SIZES["ipv4"]:
        return frame
    longer = replaced(frame, part.start, bytes([0x45 + len(options) // 4]))
    return spliced(longer, part.end, part.end, options)


def fitted(frame: bytes) -> bytes:
    """With the lengths of all IP and outer UDP headers up to the end of the frame, and IPv4 checksums to match.

    Checksums and lengths of the innermost transport header stay as they are.
    """
    found = parts(frame)
    for at, part in enumerate(found):
        fit = _FITS.get(part.name)
        is_outer_udp = part.name == "udp" and at + 1 < len(found)
        if fit is not None and (part.name != "udp" or is_outer_udp):
            frame = fit(frame, part)
    return frame


def _fit_ipv4(frame: bytes, part: Part) -> bytes:
    return summed(replaced(frame, part.start + 2, wire.number(len(frame) - part.start, 2)), part)


def _fit_ipv6(frame: bytes, part: Part) -> bytes:
    return replaced(frame, part.start + 4, wire.number(len(frame) - part.end, 2))


def _fit_udp(frame: bytes, part: Part) -> bytes:
    return replaced(frame, part.start + 4, wire.number(len(frame) - part.start, 2))


_FITS: dict[str, Callable[[bytes, Part], bytes]] = {"ipv4": _fit_ipv4, "ipv6": _fit_ipv6, "udp": _fit_udp}


def summed(frame: bytes, part: Part) -> bytes:
    """With the checksum of an IPv4 header set right."""
    header = frame[part.start : part.start + 10] + b"\0\0" + frame[part.start + 12 : part.end]
    return replaced(frame, part.start + 10, wire.number(wire.checksum(header), 2))
