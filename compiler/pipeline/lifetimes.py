"""How long connections live: their profiles and timeouts, and what each packet means for them."""

from __future__ import annotations

from typing import Final

from compiler.ir.expressions import Expr
from compiler.ir.statements import Statement
from compiler.ir.tables import Profile, Store, Transition
from compiler.pipeline.family import Family
from compiler.pipeline.headers import PROTOCOL_UDP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from compiler.pipeline.notation import advance, bit_and, eq, meta, ne, when

TCP_NEW, TCP_ESTABLISHED, TCP_CLOSING, UDP_NEW, UDP_STREAM, TCP_HEARD, TCP_CLOSED, TCP_RESET = 1, 2, 3, 4, 5, 6, 7, 8
SCTP_NEW, SCTP_HEARD, SCTP_ESTABLISHED, SCTP_CLOSING, SCTP_CLOSED, SCTP_RESET = 9, 10, 11, 12, 13, 14
DIRECT_NEW, DIRECT_OPEN, DIRECT_CLOSING = 15, 16, 17

SCTP: Final = "sctp"
DIRECT: Final = "direct"
"""What the names of their profiles begin with."""
ESTABLISHED_MS = 7_440_000
FLOWS = 1 << 16
"""Connections of a family."""


def store(family: Family) -> Store:
    """Where a family's connections live.

    Timeouts are those of Linux conntrack (nf_conntrack-sysctl) but for an established connection, which may be idle for
    2 hours and 4 minutes (RFC 5382, REQ-5). A TCP connection is established once both sides have said more than a SYN
    (the server's SYN-ACK is more): until then a flood of openings may push it out. It is closed, and gives its place to
    an opening, once both sides have sent a FIN; after the FIN of one, or a RST, it may still carry data. It is over,
    and counts for its backend no more, once both have sent a FIN, or one a RST. A pair stays
    until both halves have been idle for their timeouts, so a half-closed connection lives on, and a port used again
    soon finds no old pair. An association of SCTP lives in the same way, for as long as conntrack lets it: an INIT
    opens it, a SHUTDOWN or its acknowledgement is the end from one side, ABORT and SHUTDOWN COMPLETE end it.

    Of a connection of either whose answers do not come by here (`compiler.pipeline.serverreturn`) each half lives by
    its own packets alone, with IPVS' times of its established and closing connections. Nobody can tell a client that
    has been answered from one that has not, so more than a SYN is enough not to be pushed out.
    """
    return Store(
        name=family.named("connections"),
        size=2 * FLOWS,
        ways=4,
        profiles=(
            Profile(name="tcp_new", id=TCP_NEW, timeout_ms=60_000, rank=0),
            Profile(name="tcp_heard", id=TCP_HEARD, timeout_ms=60_000, rank=0),
            Profile(name="tcp_established", id=TCP_ESTABLISHED, timeout_ms=ESTABLISHED_MS, rank=2),
            Profile(name="tcp_closing", id=TCP_CLOSING, timeout_ms=10_000, rank=1),
            Profile(name="tcp_closed", id=TCP_CLOSED, timeout_ms=10_000, rank=0, is_over=True),
            Profile(name="tcp_reset", id=TCP_RESET, timeout_ms=10_000, rank=1, is_over=True),
            Profile(name="sctp_new", id=SCTP_NEW, timeout_ms=3_000, rank=0),
            Profile(name="sctp_heard", id=SCTP_HEARD, timeout_ms=3_000, rank=0),
            Profile(name="sctp_established", id=SCTP_ESTABLISHED, timeout_ms=210_000, rank=2),
            Profile(name="sctp_closing", id=SCTP_CLOSING, timeout_ms=3_000, rank=1),
            Profile(name="sctp_closed", id=SCTP_CLOSED, timeout_ms=10_000, rank=0, is_over=True),
            Profile(name="sctp_reset", id=SCTP_RESET, timeout_ms=10_000, rank=1, is_over=True),
            Profile(name="udp_new", id=UDP_NEW, timeout_ms=30_000, rank=0),
            Profile(name="udp_stream", id=UDP_STREAM, timeout_ms=120_000, rank=1),
            Profile(name="direct_new", id=DIRECT_NEW, timeout_ms=60_000, rank=0),
            Profile(name="direct_open", id=DIRECT_OPEN, timeout_ms=900_000, rank=1),
            Profile(name="direct_closing", id=DIRECT_CLOSING, timeout_ms=120_000, rank=1),
        ),
        events=("open", "data", "close", "reset"),
        transitions=_transitions(),
        doc="Both directions of every connection to a service.",
    )


def _transitions() -> tuple[Transition, ...]:
    return (
        *_life("tcp"),
        Transition(current="udp_new", event="data", next="udp_stream"),
        *_life(SCTP),
        *_direct_life(),
    )


def _direct_life() -> tuple[Transition, ...]:
    """By what one side says. A half that hears nothing stays new."""
    new, live, closing = f"{DIRECT}_new", f"{DIRECT}_open", f"{DIRECT}_closing"
    return (
        Transition(current=new, event="data", next=live),
        Transition(current=live, event="close", next=closing),
        Transition(current=live, event="reset", next=closing, other_next=closing),
        Transition(current=closing, event="open", next=new),
    )


def _life(protocol: str) -> tuple[Transition, ...]:
    """The life of a connection; `data` is any packet of TCP that has neither RST nor FIN and is no first SYN."""
    words = ("new", "heard", "established", "closing", "closed", "reset")
    new, heard, established, closing, closed, reset = (f"{protocol}_{word}" for word in words)
    opening = (new, heard)
    return (
        Transition(current=new, event="data", other=heard, next=established, other_next=established),
        Transition(current=new, event="data", next=heard),
        *(
            Transition(current=current, event="close", other=closing, next=closed, other_next=closed)
            for current in (*opening, established, closing)
        ),
        *(Transition(current=current, event="close", next=closing) for current in (*opening, established)),
        *(Transition(current=current, event="reset", next=closed, other_next=closed) for current in opening),
        *(
            Transition(current=current, event="reset", next=reset, other_next=reset)
            for current in (established, closing)
        ),
        *(Transition(current=current, event="open", next=new, other_next=new) for current in (closing, closed, reset)),
    )


def is_opening() -> Expr:
    """Whether it is a packet of TCP (or SCTP) that opens a connection: of its flags, SYN alone."""
    return eq(bit_and(meta("tcp_flags"), TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN), TCP_SYN)


def track() -> Statement:
    """Tell the entry what this packet means for the connection's life."""
    flags = meta("tcp_flags")
    return when(
        ne(meta("protocol"), PROTOCOL_UDP),
        when(
            ne(bit_and(flags, TCP_FIN | TCP_RST), 0),
            when(ne(bit_and(flags, TCP_RST), 0), advance("reset"), otherwise=(advance("close"),)),
            otherwise=(
                when(eq(bit_and(flags, TCP_SYN | TCP_ACK), TCP_SYN), advance("open"), otherwise=(advance("data"),)),
            ),
        ),
        otherwise=(advance("data"),),
    )
