"""Fragments of IP packets: the later ones go where their first went.

A first fragment has the ports and is a packet like any other, but that what becomes of it is kept: an entry beside its
connection's two, by addresses and identification, with the connection's own action for that direction. A later fragment
has no ports, finds that entry, and is translated as its first was: addresses alone, since the transport header, and the
checksum in it, came with the first. It says nothing of the connection's life; its service counts it.

Only what is translated is kept: what no service, policy or device in between has to do with is routed by its addresses,
as any packet without ports. So is a fragment that comes before its first, or behind the entry's 30 seconds (as long as
Linux waits for the rest of a packet): a service's address has no route then, and NetworkPolicies take it for a packet
without ports. A first fragment whose identification is in use again changes the entry.

TCP and UDP alone. The CRC32c of SCTP covers what follows in other fragments, so it cannot follow a translation; and
errors and queries of ICMP are small. A second fragment of TCP that begins within the header (offset 1) might write over
what has been looked at, so it is none that follows (RFC 3128).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from compiler.ir.expressions import Const, Expr, Extend
from compiler.ir.headers import Match, State
from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.ir.tables import ActionRef, Key, Table
from compiler.pipeline.family import IPV4, Family
from compiler.pipeline.headers import PROTOCOL_FRAGMENT, PROTOCOL_TCP, PROTOCOL_UDP
from compiler.pipeline.lifetimes import FLOWS, UDP_NEW
from compiler.pipeline.notation import (
    all_of,
    any_of,
    assign,
    bit_and,
    bits,
    count,
    eq,
    field,
    here,
    learn,
    meta,
    ne,
    rewrite,
    run,
    sub,
    valid,
    when,
)

HEADER: Final = "fragment"
"""IPv6's extension header, and its type."""
HEADER_BYTES: Final = 8
TABLES: Final = {"translate": "fragment", "translate_reply": "fragment_reply"}
"""By the action of their entries."""
MORE_FRAGMENTS: Final = 1
"""In the flags of an IPv4 header (RFC 791) and of IPv6's fragment header (RFC 8200, section 4.5)."""
_KEEP = "keep_"
_WITHIN_THE_HEADER = 1
"""Offset in units of 8 bytes."""
_TABLE = 0x02000000
_MISS = ActionRef(name="miss", in_entries=False, as_default=True)


def _of(family: Family, name: str) -> Expr:
    """A field that says which fragment of which packet it is."""
    where = {
        "protocol": ("ipv4.protocol", f"{HEADER}.next_header"),
        "offset": ("ipv4.fragment_offset", f"{HEADER}.offset"),
        "flags": ("ipv4.flags", f"{HEADER}.flags"),
    }
    return field(where[name][family is not IPV4])


def _identification(family: Family) -> tuple[Expr, Expr]:
    """What tells packets between two addresses apart, of IPv4 those of one protocol: 32 bits in two halves."""
    if family is IPV4:
        return field("ipv4.identification"), Extend(operand=field("ipv4.protocol"), width_bits=16)
    whole = field(f"{HEADER}.identification")
    return bits(whole, 31, 16), bits(whole, 15, 0)


def _keys(family: Family) -> tuple[Key, ...]:
    """As a connection's, by a protocol that no connection has, and the identification in the place of ports."""
    first, second = _identification(family)
    exprs = (
        ("network", meta("network"), ""),
        ("leg", meta("leg"), ""),
        ("protocol", Const(value=PROTOCOL_FRAGMENT, width_bits=8), ""),
        ("src", field(f"{family.name}.src"), family.name),
        ("dst", field(f"{family.name}.dst"), family.name),
        ("identification", first, ""),
        ("of_protocol" if family is IPV4 else "identification_low", second, ""),
    )
    return tuple(Key(name=n, id=i, expr=e, format=f) for i, (n, e, f) in enumerate(exprs, 1))


def tables(family: Family) -> tuple[Table, ...]:
    docs = ("Packets in fragments to known connections.", "The same of their replies.")
    return tuple(
        Table(
            name=family.named(stem),
            id=_TABLE + family.first_id + number,
            keys=_keys(family),
            actions=(ActionRef(name=family.named(action)), _MISS),
            default_action="miss",
            size=FLOWS,
            store=family.named("connections"),
            doc=doc,
            span=here(),
        )
        for number, (action, stem), doc in zip((15, 9), TABLES.items(), docs, strict=True)
    )


def keeping(family: Family) -> Statement:
    """Behind the decision: has it more fragments, that are to follow it?"""
    request, reply = (run(family.named(_KEEP + stem)) for stem in TABLES.values())
    keep = when(meta("is_reply"), reply, otherwise=(request,))
    if family is not IPV4:
        return when(valid(HEADER), keep)
    return when(ne(bit_and(field("ipv4.flags"), MORE_FRAGMENTS), 0), keep)


def may_be_later(family: Family) -> Expr:
    """Of a packet without ports."""
    return ne(field("ipv4.fragment_offset"), 0) if family is IPV4 else valid(HEADER)


def asking(family: Family) -> Statement:
    """Of such a packet: ask, as for a reply, for what was kept of its first fragment. `protocol` says so behind it."""
    protocol, offset = _of(family, "protocol"), _of(family, "offset")
    is_tcp = all_of(eq(protocol, PROTOCOL_TCP), ne(offset, _WITHIN_THE_HEADER))
    first, second = _identification(family)
    return when(
        all_of(ne(offset, 0), any_of(eq(protocol, PROTOCOL_UDP), is_tcp)),
        assign(meta("protocol"), PROTOCOL_FRAGMENT),
        assign(meta(family.named("reverse_src")), field(f"{family.name}.src")),
        assign(meta(family.named("reverse_dst")), field(f"{family.name}.dst")),
        assign(meta("reverse_src_port"), first),
        assign(meta("reverse_dst_port"), second),
    )


def counting() -> Statement:
    """A fragment that follows its first is one more packet of the service's."""
    return when(
        meta("is_reply"),
        count("service_replies", meta("service_id")),
        otherwise=(count("service_requests", meta("service_id")),),
    )


def sending(family: Family, otherwise: Statement) -> Statement:
    """Of a packet without a transport header, on the way out."""
    follows = meta("translate") if family is IPV4 else all_of(meta("translate"), valid(HEADER))
    return when(follows, translating(family), otherwise=(otherwise,))


def translating(family: Family) -> Statement:
    """What a later fragment has that may change, and one hop less to live."""
    hop = field(family.hops)
    return rewrite(
        (field(f"{family.name}.src"), meta(family.named("new_src"))),
        (field(f"{family.name}.dst"), meta(family.named("new_dst"))),
        (hop, sub(hop, 1)),
    )


def is_first(family: Family) -> Expr:
    """Of a packet of TCP or UDP: whether there is more of it than it has."""
    flags = ne(bit_and(_of(family, "flags"), MORE_FRAGMENTS), 0)
    return flags if family is IPV4 else all_of(valid(HEADER), flags)


def whole_only(state: State) -> State:
    """A state of the parser for targets on which no fragment follows another: the first one ends at the IP header."""
    at = next((i for i, expr in enumerate(state.select) if expr == field("ipv4.flags")), None)
    if at is None:
        return state
    whole = Match(value=0, mask=MORE_FRAGMENTS)
    cases = (replace(case, matches=(*case.matches[:at], whole, *case.matches[at + 1 :])) for case in state.cases)
    return replace(state, cases=tuple(cases))


def _keep(family: Family, action: str, stem: str) -> Control:
    """What becomes of the first fragment of a packet is kept for the others.

    One control for each table: where a packet learns, the stack is nearly used.
    """
    kept = learn(
        family.named(stem),
        family.named(action),
        meta(family.named("new_src")),
        meta(family.named("new_dst")),
        meta("new_src_port"),
        meta("new_dst_port"),
        meta("nexthop"),
        meta("service_id"),
        profile=Const(value=UDP_NEW, width_bits=8),
        renews=True,
    )
    return Control(
        name=family.named(_KEEP + stem),
        body=(when(all_of(meta("translate"), any_of(valid("tcp"), valid("udp")), is_first(family)), kept),),
        doc=(_keep.__doc__ or "").partition("\n")[0],
        span=here(),
    )


def controls(family: Family) -> tuple[Control, ...]:
    return tuple(_keep(family, action, stem) for action, stem in TABLES.items())
