"""Statements that change the packet, as C over the functions of `turnout/packet.h`. They stand in controls only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compiler.ir.expressions import Const, Expr, FieldRef, width_bits
from compiler.ir.headers import Checksum, Coverage
from compiler.ir.statements import Assign, Change, Pop, Push, PushedHeader, PushVlan, Rewrite, Truncate
from compiler.ir.walking import expressions
from compiler.printers.ebpf import wire
from compiler.printers.ebpf.expressions import c, c_type, header_constant
from compiler.printers.ebpf.lines import Lines
from compiler.printers.ebpf.usage import ETHERNET, VLAN, Usage
from compiler.span import InternalError

PACKET = "&scratch->packet"
WIRE_BYTES = 160
"""`WIRE_BYTES` of packet.h."""
ETHERNET_BYTES = 14
"""Of the header that tc has in front, and gets behind the pushed ones."""
_ENCAPSULATION = {
    "ipv4": "BPF_F_ADJ_ROOM_ENCAP_L3_IPV4",
    "ipv6": "BPF_F_ADJ_ROOM_ENCAP_L3_IPV6",
    "udp": "BPF_F_ADJ_ROOM_ENCAP_L4_UDP",
}


def position(header: str) -> str:
    return f"scratch->position.{header}"


def give_up(lines: Lines, condition: str) -> None:
    """Drop the packet when the target could not do its part."""
    lines.add(f"if ({condition})", "\treturn unable(scratch);")


def assign(lines: Lines, usage: Usage, run: Sequence[Assign]) -> None:
    """Assignments one after the other, at least one of them to the packet."""
    headers = dict.fromkeys(a.target.header for a in run if isinstance(a.target, FieldRef))
    with lines.block():
        _declare(lines, usage, headers)
        for statement in run:
            match statement.target:
                case FieldRef(header=header, name=name) as target:
                    field, offset = usage.field(header, name)
                    lines.add(wire.write(header, offset, field.width_bits, c(statement.value)))
                    _keep(lines, usage, target, c(statement.value))
                case target:
                    lines.add(f"{c(target)} = {c(statement.value)};")


def _declare(lines: Lines, usage: Usage, headers: Iterable[str]) -> None:
    """Pointers named after their headers."""
    found = tuple(headers)
    for header in found:
        lines.add(f"u8 *{header} = packet_at(ctx, {PACKET}, {position(header)}, {usage.size(header)});")
    lines.add("")
    give_up(lines, " || ".join(f"!{header}" for header in found))


def _keep(lines: Lines, usage: Usage, target: FieldRef, value: str) -> None:
    if (target.header, target.name) in usage.kept:
        lines.add(f"{c(target)} = {value};")


def rewrite(lines: Lines, usage: Usage, statement: Rewrite, valid: frozenset[str]) -> None:
    """Set fields, then let every checksum that covers them follow. `valid` are headers known to be there."""
    changes = statement.changes
    headers = tuple(dict.fromkeys(change.target.header for change in changes))
    with lines.block():
        for change in changes:
            if _has_local(change, changes):
                lines.add(f"{c_type(width_bits(change.value))} {_name(change)} = {c(change.value)};")
        for header in headers:
            _declare_sums(lines, usage, header, changes)
            _declare_flips(lines, usage, header, changes)
        _declare(lines, usage, headers)
        for change in changes:
            target = change.target
            field, offset = usage.field(target.header, target.name)
            lines.add(wire.write(target.header, offset, field.width_bits, _value(change, changes)))
            _keep(lines, usage, target, _value(change, changes))
        for header in headers:
            _fix_own_header(lines, usage, header, changes)
        _fix_transports(lines, usage, headers, changes, valid | frozenset(headers))


def _name(change: Change) -> str:
    return f"{change.target.header}_{change.target.name}"


def _has_local(change: Change, changes: Sequence[Change]) -> bool:
    """Whether a value is computed into a variable. Wide ones are not, unless a field set before them is read."""
    before = {other.target for other in changes[: changes.index(change)]}
    return width_bits(change.value) <= 64 or any(e in before for e in expressions(change.value))


def _value(change: Change, changes: Sequence[Change]) -> str:
    return _name(change) if _has_local(change, changes) else c(change.value)


def _is_pseudo(usage: Usage, change: Change) -> bool:
    return change.target.name in usage.header_type(change.target.header).pseudo_fields


def _sums(usage: Usage, header: str, changes: Sequence[Change]) -> tuple[str, str]:
    """Names of the sums of what changes in a header: of its pseudo fields, and of all; empty where there is none."""
    own = [change for change in changes if change.target.header == header]
    pseudo = [change for change in own if _is_pseudo(usage, change)]
    name = f"{header}_addresses" if pseudo else ""
    return name, name if len(pseudo) == len(own) else f"{header}_changed"


def _declare_sums(lines: Lines, usage: Usage, header: str, changes: Sequence[Change]) -> None:
    pseudo, whole = _sums(usage, header, changes)
    own = [change for change in changes if change.target.header == header]
    rest = [change for change in own if not (pseudo and _is_pseudo(usage, change))]
    if pseudo:
        addresses = [change for change in own if _is_pseudo(usage, change)]
        lines.add(f"u64 {pseudo} = {_sum(usage, addresses, changes)};")
    if rest:
        lines.add(f"u64 {whole} = {f'{pseudo} + ' if pseudo else ''}{_sum(usage, rest, changes)};")


def _declare_flips(lines: Lines, usage: Usage, header: str, changes: Sequence[Change]) -> None:
    """Which of the first 32 bits of a header with a CRC32c change."""
    checksum = usage.header_type(header).checksum
    if checksum is None or checksum.coverage is not Coverage.CRC32C:
        return
    found: list[str] = []
    for change in changes:
        if change.target.header == header:
            field, offset = usage.field(header, change.target.name)
            flips = f"(u32)({c(change.target)} ^ {_value(change, changes)})"
            found.append(f"{flips} << {shift}" if (shift := 32 - offset - field.width_bits) else flips)
    lines.add(f"u32 {header}_flipped = {' | '.join(found)};")


def _sum(usage: Usage, summed: Sequence[Change], changes: Sequence[Change]) -> str:
    found: list[str] = []
    for change in summed:
        field, offset = usage.field(change.target.header, change.target.name)
        found.append(wire.changed(offset, field.width_bits, c(change.target), _value(change, changes)))
    return " + ".join(found)


def _fix_own_header(lines: Lines, usage: Usage, header: str, changes: Sequence[Change]) -> None:
    checksum = usage.header_type(header).checksum
    if checksum is not None and checksum.coverage is Coverage.HEADER:
        _, offset = usage.field(header, checksum.field)
        lines.add(f"packet_fix_header({wire.plus(header, offset // 8)}, {_sums(usage, header, changes)[1]});")


def _fix_transports(
    lines: Lines, usage: Usage, headers: tuple[str, ...], changes: Sequence[Change], valid: frozenset[str]
) -> None:
    """The checksums of TCP, UDP, ICMP: of those headers that are there, as far as that is known."""
    holders = _transports(usage, headers, valid)
    inner = [holder for holder in holders if usage.names.headers[holder].covered_by]
    for holder in inner:
        _fix_inner(lines, usage, holder, headers, changes, valid)
    for holder in holders:
        call = "" if holder in inner else _fix_transport(usage, holder, headers, changes, inner)
        if not call:
            continue
        if holder in valid:
            lines.add(call)
        else:
            lines.add(f"if (has(scratch, {header_constant(holder)}))", f"\t{call}")
    for header in headers:
        if _is_uncovered(usage, header, changes):
            addresses, whole = _sums(usage, header, changes)
            follows = addresses and any(holder in usage.names.headers[header].pseudo_of for holder in holders)
            lines.add(f"packet_sum_changed(ctx, {whole}{f' - {addresses}' if follows else ''});")


def _transports(usage: Usage, headers: tuple[str, ...], valid: frozenset[str]) -> tuple[str, ...]:
    """Headers whose checksums cover what changes in `headers`, and is not an IP header's own."""
    found = dict.fromkeys(
        holder
        for header in headers
        for holder in (header, *usage.names.headers[header].covered_by, *usage.names.headers[header].pseudo_of)
        if _has_transport_checksum(usage, holder) and usage.may_be_together(holder, valid)
    )
    return tuple(found)


def _has_transport_checksum(usage: Usage, header: str) -> bool:
    checksum = usage.header_type(header).checksum
    return checksum is not None and checksum.coverage is not Coverage.HEADER


def _is_uncovered(usage: Usage, header: str, changes: Sequence[Change]) -> bool:
    """No checksum in the packet makes up for a change, such as that of IPv6's hop limit."""
    if usage.header_type(header).checksum is not None or usage.names.headers[header].covered_by:
        return False
    return any(change.target.header == header and not _is_pseudo(usage, change) for change in changes)


def _fix_inner(
    lines: Lines,
    usage: Usage,
    holder: str,
    headers: tuple[str, ...],
    changes: Sequence[Change],
    valid: frozenset[str],
) -> None:
    """The checksum of a transport header that an ICMP error quotes, and what that changes for the error's own."""
    if holder not in valid:
        raise InternalError(f"{holder} is rewritten where it may not be valid")
    own, pseudo, _ = _terms(usage, holder, headers, changes, ())
    optional = "true" if _checksum(usage, holder).zero_is_none else "false"
    _, offset = usage.field(holder, _checksum(usage, holder).field)
    sums = " + ".join((*own, *pseudo))
    lines.add(f"u64 {_inner(holder)} = packet_fix_inner({wire.plus(holder, offset // 8)}, {sums}, {optional});")


def _inner(holder: str) -> str:
    return f"{holder}_checksum_changed"


def _checksum(usage: Usage, holder: str) -> Checksum:
    checksum = usage.header_type(holder).checksum
    if checksum is None:
        raise InternalError(f"header {holder} has no checksum")
    return checksum


def _terms(
    usage: Usage, holder: str, headers: tuple[str, ...], changes: Sequence[Change], inner: Sequence[str]
) -> tuple[list[str], list[str], list[str]]:
    """Names of the sums that a checksum follows: of what it covers, of its pseudo header; and flags of the latter.

    A header whose checksum covers itself alone (an IPv4 header that is quoted) adds nothing: its sum stays the same.
    """
    own, pseudo, flags = list[str](), list[str](), list[str]()
    for header in headers:
        names = usage.names.headers[header]
        addresses, whole = _sums(usage, header, changes)
        checksum = usage.header_type(header).checksum
        if header == holder or (
            holder in names.covered_by and (checksum is None or checksum.coverage is not Coverage.HEADER)
        ):
            own.append(whole)
        elif holder in names.pseudo_of and addresses:
            pseudo.append(addresses)
            if usage.header_type(header).checksum is None:
                flags.append("CHECKSUM_OF_IPV6")
    own += (_inner(other) for other in inner if holder in usage.names.headers[other].covered_by)
    return own, pseudo, flags


def _fix_transport(
    usage: Usage, holder: str, headers: tuple[str, ...], changes: Sequence[Change], inner: Sequence[str]
) -> str:
    own, pseudo, flags = _terms(usage, holder, headers, changes, inner)
    if not own and not pseudo:
        return ""
    checksum = _checksum(usage, holder)
    if checksum.coverage is Coverage.CRC32C:
        _, offset = usage.field(holder, checksum.field)
        place = wire.plus(position(holder), offset // 8)
        flipped = f"{holder}_flipped, network_payload(scratch)"
        return f"packet_fix_crc32c(ctx, {PACKET}, {place}, {' + '.join(own)}, {flipped});"
    if checksum.zero_is_none:
        flags.append("CHECKSUM_MAY_BE_NONE")
    _, offset = usage.field(holder, checksum.field)
    arguments = (" + ".join(own) or "0", " + ".join(pseudo) or "0", " | ".join(flags) or "0")
    place = wire.plus(position(holder), offset // 8)
    return f"packet_fix_transport(ctx, {PACKET}, {place}, {', '.join(arguments)});"


def push(lines: Lines, usage: Usage, statement: Push) -> None:
    """Headers in front of the packet: a tunnel. Whole words, made in registers."""
    size = _check_front(usage, statement)
    with lines.block():
        items: list[tuple[int, Expr | str]] = []
        for pushed in statement.headers:
            items += _items(lines, usage, pushed)
        words = wire.side_by_side(items)
        room = -(-(size + ETHERNET_BYTES) // 8)
        lines.add(f"u64 words[{room}] = {{")
        lines.extend(f"\t{word}," for word in words)
        lines.add("};", "")
        types = dict.fromkeys(usage.header_type(pushed.header).name for pushed in statement.headers)
        flags = [_ENCAPSULATION[name] for name in types if name in _ENCAPSULATION]
        flags += ("BPF_F_ADJ_ROOM_ENCAP_L2_ETH", "BPF_F_ADJ_ROOM_ENCAP_L2(ETHERNET_BYTES)")
        lines.add(f"if (!packet_push(ctx, &scratch->packet, words, {size},", f"\t\t {' | '.join(flags)}))")
        lines.add("\treturn unable(scratch);")
        _mark_pushed(lines, usage, statement.headers)


def _items(lines: Lines, usage: Usage, pushed: PushedHeader) -> list[tuple[int, Expr | str]]:
    """The fields of a pushed header, its checksum in a variable of its own."""
    header, values = usage.header_type(pushed.header), dict(pushed.values)
    checksum, name = header.checksum, ""
    if checksum is not None and checksum.field not in values:
        if checksum.coverage is not Coverage.HEADER:
            raise InternalError("the eBPF target sums payload only behind a Truncate")
        name = f"{pushed.header}_{checksum.field}"
        lines.add(f"u16 {name} = ~checksum_fold({wire.sum_of_header(header, values)});")
    zero = Const(value=0, width_bits=1)
    return [
        (f.width_bits, name if name and checksum and f.name == checksum.field else values.get(f.name, zero))
        for f in header.fields
    ]


def _check_front(usage: Usage, statement: Push) -> int:
    order = usage.names.header_order
    first = statement.headers[0].header
    last = statement.headers[-1].header
    if usage.header_type(first).name != ETHERNET or order[last] + 1 != order[ETHERNET]:
        raise InternalError("the eBPF target pushes whole tunnels, or headers in front of what it truncates")
    return sum(usage.size(pushed.header) for pushed in statement.headers)


def _write_headers(lines: Lines, usage: Usage, headers: Sequence[PushedHeader]) -> None:
    lines.add("u8 *wire = scratch->packet.wire;", "")
    at = 0
    for pushed in headers:
        lines.add(f"/* {pushed.header} */")
        lines.extend(wire.write_header("wire", at, usage.header_type(pushed.header), dict(pushed.values)))
        at += usage.size(pushed.header)


def _sum_pushed_headers(lines: Lines, usage: Usage, headers: Sequence[PushedHeader], quoted: int) -> None:
    """Compute the checksums that were left out; `quoted` bytes follow the pushed ones."""
    at = 0
    total = sum(usage.size(pushed.header) for pushed in headers) + quoted
    for pushed in headers:
        header = usage.header_type(pushed.header)
        checksum = header.checksum
        if checksum is not None and checksum.field not in dict(pushed.values):
            _, offset = usage.field(pushed.header, checksum.field)
            size = usage.size(pushed.header)
            if checksum.coverage is not Coverage.HEADER:
                size = total - at
            terms = [f"checksum_sum(wire + {at}, {size})"]
            if checksum.coverage is Coverage.PSEUDO:
                terms.append(_pseudo_sum(usage, headers, pushed.header, size))
            lines.add(f"write_u16(wire + {at + offset // 8}, ~checksum_fold({' + '.join(terms)}));")
        at += usage.size(pushed.header)


def _pseudo_sum(usage: Usage, headers: Sequence[PushedHeader], holder: str, length: int) -> str:
    """The pseudo header's sum: addresses, length, protocol (RFC 8200, section 8.1)."""
    at = 0
    for pushed in headers:
        if holder in usage.names.headers[pushed.header].pseudo_of:
            places = [usage.field(pushed.header, name) for name in usage.header_type(pushed.header).pseudo_fields]
            sums = [f"checksum_sum(wire + {at + offset // 8}, {f.width_bits // 8})" for f, offset in places]
            protocol = next(n for n in ("protocol", "next_header") if _has_field(usage, pushed.header, n))
            return " + ".join((*sums, str(length), c(dict(pushed.values)[protocol])))
        at += usage.size(pushed.header)
    raise InternalError(f"no IP header is pushed in front of {holder}")


def _has_field(usage: Usage, header: str, name: str) -> bool:
    return any(f.name == name for f in usage.header_type(header).fields)


def _mark_pushed(lines: Lines, usage: Usage, headers: Sequence[PushedHeader]) -> None:
    lines.add(f"scratch->packet.valid |= {_bits(pushed.header for pushed in headers)};")
    for pushed in headers:
        for name, value in pushed.values:
            if (pushed.header, name) in usage.kept:
                lines.add(f"scratch->headers.{pushed.header}.{name} = {c(value)};")


def _bits(headers: Iterable[str]) -> str:
    return " | ".join(header_constant(header) for header in headers)


def quote(lines: Lines, usage: Usage, truncate: Truncate, statement: Push) -> None:
    """Headers in front of the cut packet, behind Ethernet: an ICMP error."""
    pushed = sum(usage.size(p.header) for p in statement.headers)
    keep, header = truncate.keep_bytes, truncate.header
    with lines.block():
        _write_headers(lines, usage, statement.headers)
        lines.add(f"/* what is quoted: the first {keep} bytes from {header} on */")
        give_up(lines, f"!packet_copy(ctx, {PACKET}, {position(header)}, wire + {pushed}, {keep})")
        _sum_pushed_headers(lines, usage, statement.headers, keep)
        lines.add(f"s32 moved = packet_quote(ctx, {PACKET}, {position(header)}, {pushed}, {keep});", "")
        give_up(lines, "moved < 0")
        _move(lines, usage, statement.headers[0].header, f"moved - {pushed}")
        _mark_pushed(lines, usage, statement.headers)


def _move(lines: Lines, usage: Usage, before: str, by: str) -> None:
    """Headers in front of `before` have moved."""
    places = usage.names.header_order
    for header in sorted(usage.positioned, key=lambda h: places[h]):
        if places[header] < places[before]:
            lines.add(f"{position(header)} -= {by[1:]};" if by.startswith("-") else f"{position(header)} += {by};")


def pop(lines: Lines, usage: Usage, statement: Pop) -> None:
    """Headers off the front: out of a tunnel."""
    size = sum(usage.size(header) for header in statement.headers)
    give_up(lines, f"!packet_pop(ctx, {PACKET}, {size})")
    lines.add(f"scratch->packet.valid &= ~({_bits(statement.headers)});")


def pop_vlan(lines: Lines, usage: Usage) -> None:
    with lines.block():
        lines.add(f"s32 moved = packet_pop_vlan(ctx, {PACKET}, {position(VLAN)});", "")
        give_up(lines, "moved < 0")
        _move(lines, usage, VLAN, "moved")
        lines.add(f"scratch->packet.valid &= ~{header_constant(VLAN)};")
        if (ETHERNET, "type") in usage.kept:
            lines.add(f"scratch->headers.{ETHERNET}.type = scratch->headers.{VLAN}.type;")


def push_vlan(lines: Lines, usage: Usage, statement: PushVlan) -> None:
    with lines.block():
        lines.add(f"s32 moved = packet_push_vlan(ctx, {PACKET}, {c(statement.vlan_id)});", "")
        give_up(lines, "moved < 0")
        _move(lines, usage, VLAN, "-moved")
        lines.add(f"{position(VLAN)} = {position(ETHERNET)} + ETHERNET_BYTES;")
        lines.add(f"scratch->packet.valid |= {header_constant(VLAN)};")
        if (VLAN, "id") in usage.kept:
            lines.add(f"scratch->headers.{VLAN}.id = {c(statement.vlan_id)};")
