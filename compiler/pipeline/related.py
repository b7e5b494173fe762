"""Packets without ports that belong to known connections: ICMP errors, and later fragments.

What fragments ask for is in `compiler.pipeline.fragments`. ICMP errors about packets of known connections are
translated as these are, outside and inside (RFC 5508, section 4).

Whoever sends such an error saw the packet as it was translated, so what it quotes, turned round, is the tuple that an
answer to that packet has: the connection's own entry for the other direction says how to translate it. The address that
the error is for changes as an answer's does, and in the quoted packet source and destination change places. Who sends
it keeps its address where answers do, a router on the way for example; where answers get the service's address, the
error does, so that addresses inside do not leave (that is what Linux's conntrack does too).

An error is no packet of the connection: it changes nothing of its state, and no service counts it, though the entry
that it asks for has been seen then, as by any look-up. It has to be for whom it quotes as sender; what names no known
connection goes on as a packet without ports does. Of the quoted headers the IP header's and UDP's
checksums follow. TCP's and SCTP's lie beyond the 8 bytes that errors quote at least, so they are left, as by Linux
where they are cut.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from compiler.ir.expressions import Expr, FieldRef
from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.ir.tables import Table
from compiler.pipeline import fragments
from compiler.pipeline.family import FAMILIES, Family
from compiler.pipeline.notation import (
    all_of,
    any_of,
    apply,
    assign,
    eq,
    field,
    here,
    meta,
    ne,
    rewrite,
    run,
    sub,
    valid,
    when,
)

SENDER: Final = "related_src"
"""Metadata: the source that a translated error gets."""
METADATA: Final = tuple(family.named(SENDER) for family in FAMILIES)
"""Of this module alone."""
TABLE: Final = "flow_quoted"
"""By the name that it had when errors alone asked: connections go on behind an upgrade where tables are there still."""
HEADER_TYPE: Final = "transport_start"
HEADERS: Final = ("quoted_ipv4", "quoted_ipv6", "quoted_ports", "quoted_udp")
_TABLE = 0x02000000
_RELATE, _SEND = "relate", "send_related"


def _quoted(family: Family, name: str) -> FieldRef:
    return field(f"quoted_{family.name}.{name}")


def tables(family: Family, replies: Table) -> tuple[Table, ...]:
    """Known connections as the table of their replies has them, asked for by what belongs to one."""
    return (
        replace(
            replies,
            name=family.named(TABLE),
            id=_TABLE + family.first_id + 14,
            counter_id=None,
            doc="The same connections, by what their packets without ports have: the tuple of answers to the packet "
            "that an ICMP error quotes, the identification of a fragment.",
            span=here(),
        ),
    )


def _quotes(family: Family) -> Expr:
    return all_of(valid(f"quoted_{family.name}"), any_of(valid("quoted_ports"), valid("quoted_udp")))


def relating(family: Family) -> Statement:
    """Of a packet without ports: does it belong to a known connection? `translate` says so behind it."""
    return when(any_of(_quotes(family), fragments.may_be_later(family)), run(family.named(_RELATE)))


def sending(family: Family, otherwise: Statement) -> Statement:
    """Of a packet that is neither TCP nor UDP, on the way out."""
    return when(
        all_of(meta("translate"), valid(f"quoted_{family.name}")), run(family.named(_SEND)), otherwise=(otherwise,)
    )


def controls(family: Family) -> tuple[Control, ...]:
    return (_relate(family), _send(family))


def _relate(family: Family) -> Control:
    """What becomes of answers to the packet that an ICMP error quotes, or what became of a fragment's first?"""
    protocol, sender = meta("protocol"), meta(family.named(SENDER))
    quoted = (
        assign(sender, field(f"{family.name}.src")),
        when(
            ne(meta(family.named("new_src")), _quoted(family, "dst")),
            assign(sender, meta(family.named("new_src"))),
        ),
    )
    return Control(
        name=family.named(_RELATE),
        body=(
            assign(meta("reverse_network"), meta("network")),
            assign(meta("reverse_leg"), meta("leg")),
            when(
                _quotes(family),
                when(
                    eq(_quoted(family, "src"), field(f"{family.name}.dst")),
                    assign(protocol, _quoted(family, family.protocol)),
                    assign(meta(family.named("reverse_src")), _quoted(family, "dst")),
                    assign(meta(family.named("reverse_dst")), _quoted(family, "src")),
                    when(
                        valid("quoted_ports"),
                        *_ports("quoted_ports"),
                        otherwise=(when(valid("quoted_udp"), *_ports("quoted_udp")),),
                    ),
                ),
                otherwise=(fragments.asking(family),),
            ),
            when(
                ne(protocol, 0),
                assign(meta("decided"), 1),
                apply(
                    family.named(TABLE),
                    on_hit=(when(_quotes(family), *quoted, otherwise=(fragments.counting(),)),),
                ),
                assign(meta("decided"), 0),
                assign(protocol, 0),
            ),
        ),
        doc=_relate.__doc__ or "",
        span=here(),
    )


def _ports(quoted: str) -> tuple[Statement, ...]:
    return (
        assign(meta("reverse_src_port"), field(f"{quoted}.dst_port")),
        assign(meta("reverse_dst_port"), field(f"{quoted}.src_port")),
    )


def _send(family: Family) -> Control:
    """Translate an ICMP error as decided, and what it quotes the other way round; one hop less to live."""
    hop = field(family.hops)
    addresses = (
        (field(f"{family.name}.src"), meta(family.named(SENDER))),
        (field(f"{family.name}.dst"), meta(family.named("new_dst"))),
        (hop, sub(hop, 1)),
        (_quoted(family, "src"), meta(family.named("new_dst"))),
        (_quoted(family, "dst"), meta(family.named("new_src"))),
    )
    return Control(
        name=family.named(_SEND),
        body=(
            when(
                valid("quoted_ports"),
                rewrite(*addresses, *_turned("quoted_ports")),
                otherwise=(when(valid("quoted_udp"), rewrite(*addresses, *_turned("quoted_udp"))),),
            ),
        ),
        doc=_send.__doc__ or "",
        span=here(),
    )


def _turned(quoted: str) -> tuple[tuple[FieldRef, Expr], ...]:
    return (
        (field(f"{quoted}.src_port"), meta("new_dst_port")),
        (field(f"{quoted}.dst_port"), meta("new_src_port")),
    )
