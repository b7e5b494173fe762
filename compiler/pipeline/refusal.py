"""Connections that no backend can take are refused at once, as a host does on whose port nobody listens.

So a client knows in the time of one round trip, and not after all its retransmissions. What cannot be answered is
dropped: a RST (RFC 9293, section 3.10.7.1), what came through a tunnel, whose way back is not known here, a packet with
IPv4 options, and a fragment of which the answer would have to know or quote more.
"""

from __future__ import annotations

from compiler.ir.expressions import Concat, Const, Expr, Extend
from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.pipeline import fragments, options
from compiler.pipeline.delivery import icmp_error, swap_macs, tell_by_icmp
from compiler.pipeline.family import IPV4, Family
from compiler.pipeline.headers import TCP_ACK, TCP_RST
from compiler.pipeline.notation import (
    add,
    all_of,
    any_of,
    bit_and,
    bits,
    const,
    count,
    drop,
    field,
    here,
    meta,
    ne,
    reply,
    rewrite,
    sub,
    valid,
    when,
)

NO_BACKEND_ID = 1
"""The number of drop reason `no_backend`: what is refused counts there, too."""
HOPS = 64
IPV4_PORT_UNREACHABLE = (3, 3)
IPV6_PORT_UNREACHABLE = (1, 4)


def _segment_length(family: Family) -> Expr:
    """The room that a segment takes of the sequence space (RFC 9293, SEG.LEN): its payload, a SYN and a FIN."""
    packet = sub(field("ipv4.total_length"), 20) if family is IPV4 else field("ipv6.payload_length")
    header = Extend(operand=Concat(parts=(field("tcp.data_offset"), Const(value=0, width_bits=2))), width_bits=16)
    syn, fin = (Extend(operand=bits(field("tcp.flags"), bit, bit), width_bits=16) for bit in (1, 0))
    return Extend(operand=add(add(sub(packet, header), syn), fin), width_bits=32)


def _reset(family: Family) -> tuple[Statement, ...]:
    """Make the segment its own reset; what it carries stays, so nothing but fields changes."""
    ip = family.name
    hops = field(family.hops)
    acknowledged = add(field("tcp.sequence"), _segment_length(family))
    return (
        when(
            ne(bit_and(meta("tcp_flags"), TCP_ACK), 0),
            rewrite(
                (field("tcp.sequence"), field("tcp.acknowledgement")),
                (field("tcp.acknowledgement"), 0),
                (field("tcp.flags"), TCP_RST),
                (field("tcp.window"), 0),
            ),
            otherwise=(
                rewrite(
                    (field("tcp.acknowledgement"), acknowledged),
                    (field("tcp.sequence"), 0),
                    (field("tcp.flags"), TCP_RST | TCP_ACK),
                    (field("tcp.window"), 0),
                ),
            ),
        ),
        rewrite(
            (field(f"{ip}.src"), field(f"{ip}.dst")),
            (field(f"{ip}.dst"), field(f"{ip}.src")),
            (hops, HOPS),
            (field("tcp.src_port"), field("tcp.dst_port")),
            (field("tcp.dst_port"), field("tcp.src_port")),
        ),
        *swap_macs(),
        reply(),
    )


def refuse(family: Family) -> Control:
    """Refuse a connection: TCP by a reset, UDP and SCTP by ICMP "port unreachable" from the service's own address."""
    ip = family.name
    kind, code = IPV4_PORT_UNREACHABLE if family is IPV4 else IPV6_PORT_UNREACHABLE
    is_more = valid(fragments.HEADER)
    if family is IPV4:
        is_more = any_of(all_of(valid("tcp"), fragments.is_first(family)), options.there())
    return Control(
        name=family.named("refuse"),
        body=(
            when(any_of(valid("vxlan"), ne(bit_and(meta("tcp_flags"), TCP_RST), 0), is_more), drop("no_backend")),
            when(valid("tcp"), count("drops", const(NO_BACKEND_ID, 16)), *_reset(family)),
            when(
                any_of(valid("udp"), valid("sctp")),
                count("drops", const(NO_BACKEND_ID, 16)),
                *icmp_error(kind, code),
                *tell_by_icmp(field(f"{ip}.dst")),
            ),
            drop("no_backend"),
        ),
        doc=refuse.__doc__ or "",
        span=here(),
    )
