"""How checksums follow the fields of a packet: `Rewrite` updates them, `Push` computes them."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.ir.headers import Checksum, Coverage
from compiler.ir.interpreter import crc32c
from compiler.ir.interpreter.checksums import computed, updated
from compiler.ir.interpreter.evaluation import network_payload
from compiler.ir.interpreter.packet import Packet
from compiler.ir.names import Names
from compiler.span import InternalError

_PROTOCOL_FIELDS = ("protocol", "next_header")
"""What an IP header calls the number that a pseudo header holds (RFC 9293, section 3.1; RFC 8200, section 8.1)."""


def rewrite(packet: Packet, names: Names, changes: Mapping[tuple[str, str], int]) -> None:
    """Set fields, by (header, field), and update every checksum that covers them.

    Innermost first: where a checksum covers a header that has one of its own (what an ICMP error quotes), that one's
    change is a change as well.
    """
    covered = _covered(packet, names, changes)
    before = {holder: _bytes(packet, holder, parts) for holder, parts in covered.items()}
    for (header, name), value in changes.items():
        packet.write(header, name, value)
    for holder, parts in covered.items():
        checksum = _checksum(packet, holder)
        after = _bytes(packet, holder, parts)
        was = packet.read(holder, checksum.field)
        if checksum.coverage is Coverage.CRC32C:
            value = crc32c.updated(was, before[holder], after, network_payload(packet))
        else:
            value = updated(was, before[holder], after, zero_is_none=checksum.zero_is_none)
        packet.write(holder, checksum.field, value)


def compute(packet: Packet, names: Names, header: str) -> None:
    """Set the checksum of a header that has just been pushed, whose checksum field is 0."""
    checksum = _checksum(packet, header)
    match checksum.coverage:
        case Coverage.HEADER:
            data = packet.header_bytes(header)
        case Coverage.PAYLOAD:
            data = packet.emit(header)
        case Coverage.PSEUDO:
            data = packet.emit(header)
            data = _pseudo_header(packet, names, header, len(data)) + data
        case Coverage.CRC32C:
            raise InternalError(f"{header} is pushed without a checksum")
    packet.write(header, checksum.field, computed(data, zero_is_none=checksum.zero_is_none))


def _checksum(packet: Packet, header: str) -> Checksum:
    checksum = packet.header_type(header).checksum
    if checksum is None:
        raise InternalError(f"header {header} has no checksum")
    return checksum


def _covered(
    packet: Packet, names: Names, changes: Mapping[tuple[str, str], int]
) -> dict[str, tuple[list[str], list[str]]]:
    """By header that holds a checksum, innermost first: the headers that it covers and that change, and those whose
    pseudo fields it covers and that change."""
    changed = dict.fromkeys(header for header, _ in changes)
    for header in changed:
        if not packet.is_valid(header):
            raise InternalError(f"{header} is rewritten where it is not valid")
    covered: dict[str, tuple[list[str], list[str]]] = {}
    for holder in (header.name for header in reversed(names.pipeline.headers)):
        if not packet.is_valid(holder) or packet.header_type(holder).checksum is None:
            continue
        whole = [h for h in changed if holder in (h, *names.headers[h].covered_by)]
        pseudo = [h for h in changed if holder in names.headers[h].pseudo_of and _pseudo_changes(packet, h, changes)]
        if whole or pseudo:
            covered[holder] = (whole, pseudo)
            changed.setdefault(holder)
    return covered


def _pseudo_changes(packet: Packet, header: str, changes: Mapping[tuple[str, str], int]) -> bool:
    return any((header, name) in changes for name in packet.header_type(header).pseudo_fields)


def _bytes(packet: Packet, holder: str, parts: tuple[list[str], list[str]]) -> bytes:
    whole, pseudo = parts
    own = (_without_checksum(packet, h) if h == holder else packet.header_bytes(h) for h in whole)
    return b"".join((*own, *(_pseudo_fields(packet, h) for h in pseudo)))


def _without_checksum(packet: Packet, header: str) -> bytes:
    """The header's bytes, 0 in the place of its own checksum."""
    checksum = packet.header_type(header).checksum
    if checksum is None:
        return packet.header_bytes(header)
    value = packet.read(header, checksum.field)
    packet.write(header, checksum.field, 0)
    data = packet.header_bytes(header)
    packet.write(header, checksum.field, value)
    return data


def _pseudo_fields(packet: Packet, header: str) -> bytes:
    header_type = packet.header_type(header)
    widths = {f.name: f.width_bits for f in header_type.fields}
    return b"".join(packet.read(header, n).to_bytes(widths[n] // 8, "big") for n in header_type.pseudo_fields)


def _pseudo_header(packet: Packet, names: Names, header: str, length: int) -> bytes:
    """Addresses, length and protocol of the IP header in front."""
    for front in names.pipeline.headers:
        if header in front.pseudo_of and packet.is_valid(front.name):
            fields = packet.fields[front.name]
            protocol = next(fields[name] for name in _PROTOCOL_FIELDS if name in fields)
            return _pseudo_fields(packet, front.name) + length.to_bytes(4, "big") + protocol.to_bytes(4, "big")
    raise InternalError(f"no IP header is in front of {header}")
