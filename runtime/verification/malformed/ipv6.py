"""IPv6 extension headers: each kind alone, in chains, twice, with lengths that lead past the end, and in fragments."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from runtime.verification import anatomy, wire
from runtime.verification.malformed.fault import Fault

HOP_BY_HOP, ROUTING, FRAGMENT, ESP, AUTHENTICATION, NO_NEXT, DESTINATION, MOBILITY = 0, 43, 44, 50, 51, 59, 60, 135
_CHAINS = (
    (HOP_BY_HOP,),
    (ROUTING,),
    (FRAGMENT,),
    (DESTINATION,),
    (AUTHENTICATION,),
    (MOBILITY,),
    (253,),
    (HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, DESTINATION),
    (DESTINATION, HOP_BY_HOP),
    (HOP_BY_HOP, HOP_BY_HOP),
    (FRAGMENT, FRAGMENT),
    (ROUTING, ROUTING, ROUTING),
    (DESTINATION,) * 12,
)
_SAID = (0, 1, 2, 4, 31, 255)
"""Length in units of 8 bytes behind the first 8. What is longer than the header is reads on in what follows it."""
_EXTENSIONS = tuple(product(_CHAINS, _SAID))


def _extension(kind: int, following: int, said: int) -> bytes:
    """8 bytes, of which padding and router alert are options, and of routing the type is 0, 2 or 4."""
    match kind:
        case 44:
            return bytes([following, 0]) + wire.number(said << 3, 2) + b"\0\0\0\7"
        case 43:
            return bytes([following, said, said % 3 * 2, 1, 0, 0, 0, 0])
        case 0:
            return bytes([following, said]) + bytes.fromhex("050200000100")
        case _:
            return bytes([following, said]) + bytes.fromhex("010400000000")


def _chain(kinds: tuple[int, ...], said: int, following: int) -> bytes:
    return b"".join(_extension(kind, after, said) for kind, after in zip(kinds, (*kinds[1:], following), strict=True))


Made = Callable[[int], bytes]
"""What is inserted, given the number of the header that follows it."""


def _with_extensions(frame: bytes, case: int) -> bytes:
    kinds, said = _EXTENSIONS[case]
    return _inserted(frame, kinds[0], lambda following: _chain(kinds, said, following))


def _inserted(frame: bytes, first: int, made_for: Made) -> bytes:
    part = anatomy.last(frame, "ipv6")
    if part is None:
        return frame
    following = frame[part.start + 6]
    frame = anatomy.replaced(frame, part.start + 6, bytes([first]))
    return anatomy.spliced(frame, part.end, part.end, made_for(following))


_PIECES = tuple(product((8, 16, 24, 1000), (0, 1, 2, 3, 180, 0x1FFF), (0, 1), (0, 6)))
"""Bytes of payload, offset in units of 8 bytes, more fragments, reserved bits."""


def _fragment(frame: bytes, case: int) -> bytes:
    part = anatomy.last(frame, "ipv6")
    if part is None:
        return frame
    size, offset, more, reserved = _PIECES[case]
    start = part.end + offset * 8 if part.end + offset * 8 < len(frame) else part.end
    piece = frame[: part.end] + frame[start : start + size]
    field = wire.number(offset << 3 | reserved | more, 2)
    return _inserted(piece, FRAGMENT, lambda following: bytes([following, 0]) + field + b"\0\0\0\7")


_ENDS = tuple(product((HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION, NO_NEXT, ESP), (0, 1, 2, 7, 8)))
"""The frame ends so many bytes behind the header that says that such a one follows."""


def _ends_in_extension(frame: bytes, case: int) -> bytes:
    part = anatomy.last(frame, "ipv6")
    if part is None:
        return frame
    kind, left = _ENDS[case]
    changed = anatomy.replaced(frame, part.start + 6, bytes([kind]))
    return anatomy.fitted(changed[: part.end + left])


_JUMBO = (0, 1, 0xFFFF, 0x10000, 0xFFFFFFFF)


def _jumbogram(frame: bytes, case: int) -> bytes:
    """RFC 2675: payload length 0, and the real one in an option; but the frame is as short as it was."""
    option = bytes.fromhex("c204") + wire.number(_JUMBO[case], 4)
    changed = _inserted(frame, HOP_BY_HOP, lambda following: bytes([following, 0]) + option)
    part = anatomy.last(changed, "ipv6")
    return changed if part is None else anatomy.replaced(changed, part.start + 4, b"\0\0")


FAULTS = (
    Fault(name="ipv6 extension headers", cases=len(_EXTENSIONS), change=_with_extensions),
    Fault(name="ipv6 fragment", cases=len(_PIECES), change=_fragment),
    Fault(name="ipv6 ends in an extension header", cases=len(_ENDS), change=_ends_in_extension),
    Fault(name="ipv6 jumbogram", cases=len(_JUMBO), change=_jumbogram),
)
