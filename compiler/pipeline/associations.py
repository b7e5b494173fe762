"""Associations of SCTP (RFC 9260): connections like TCP's, whose packets say by their first chunk what they mean.

That chunk is read as the flags that TCP would have, so all that asks for them (`compiler.pipeline.lifetimes`,
`compiler.pipeline.ports`) needs to know of nothing else: INIT is a SYN, SHUTDOWN and its acknowledgement a FIN, ABORT
and SHUTDOWN COMPLETE a RST, anything else an ACK. Addresses within chunks are not translated: an association with a
service has one address on each side, as behind any translator (RFC 3257, section 4). P4 targets have no CRC32c that
could follow a translation (`compiler.pipeline.portable`).
"""

from __future__ import annotations

from typing import Final

from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.pipeline.family import FAMILIES, Family
from compiler.pipeline.headers import (
    PROTOCOL_SCTP,
    SCTP_ABORT,
    SCTP_INIT,
    SCTP_SHUTDOWN,
    SCTP_SHUTDOWN_ACK,
    SCTP_SHUTDOWN_COMPLETE,
    TCP_ACK,
    TCP_FIN,
    TCP_RST,
    TCP_SYN,
)
from compiler.pipeline.lifetimes import SCTP_NEW
from compiler.pipeline.notation import all_of, any_of, assign, eq, field, here, meta, rewrite, run, sub, valid, when

HEADER: Final = "sctp"
"""Of the header, and of its type."""
_READ, _SEND = "read_sctp", "send_sctp"


def reading(family: Family) -> Statement:
    """Ports and protocol, where it is SCTP."""
    return when(valid(HEADER), run(family.named(_READ)))


def sending(family: Family, otherwise: Statement) -> Statement:
    """Of a packet that is neither TCP nor UDP, on the way out."""
    return when(all_of(meta("translate"), valid(HEADER)), run(family.named(_SEND)), otherwise=(otherwise,))


def _read(family: Family) -> Control:
    chunk, flags = field("sctp.chunk_type"), meta("tcp_flags")
    ends = any_of(eq(chunk, SCTP_SHUTDOWN), eq(chunk, SCTP_SHUTDOWN_ACK))
    is_over = any_of(eq(chunk, SCTP_ABORT), eq(chunk, SCTP_SHUTDOWN_COMPLETE))
    return Control(
        name=family.named(_READ),
        body=(
            assign(meta("protocol"), PROTOCOL_SCTP),
            assign(meta("src_port"), field("sctp.src_port")),
            assign(meta("dst_port"), field("sctp.dst_port")),
            assign(meta("profile"), SCTP_NEW),
            assign(flags, TCP_ACK),
            when(eq(chunk, SCTP_INIT), assign(flags, TCP_SYN)),
            when(ends, assign(flags, TCP_FIN | TCP_ACK)),
            when(is_over, assign(flags, TCP_RST)),
        ),
        doc="What a packet of SCTP says of its association.",
        span=here(),
    )


def _send(family: Family) -> Control:
    hop = field(family.hops)
    return Control(
        name=family.named(_SEND),
        body=(
            rewrite(
                (field(f"{family.name}.src"), meta(family.named("new_src"))),
                (field(f"{family.name}.dst"), meta(family.named("new_dst"))),
                (hop, sub(hop, 1)),
                (field("sctp.src_port"), meta("new_src_port")),
                (field("sctp.dst_port"), meta("new_dst_port")),
            ),
        ),
        doc="Translate a packet of SCTP as decided, and one hop less to live.",
        span=here(),
    )


CONTROLS: Final = tuple(control for family in FAMILIES for control in (_read(family), _send(family)))
