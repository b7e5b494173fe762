"""Source ports: a connection has the tuple at its backend to itself, whatever its client uses its port for besides.

A client may have one source port in use to several services, or to a service and to a backend of it directly. To the
client these are different connections; translated, they would be one to a backend that they share. So the port that a
backend sees is the client's own unless another connection to that backend has it, and then the first free one of
`TRIES` others, from a drawn one on. What tells is the connection table itself, by the key that the answers will have:
nothing is reserved, so nothing can leak. Where all of them are taken the packet is dropped, and a client that tries
again draws others.

A connection to a workload's own address is not learned, so it is only seen by what it meets: one that is opened while
the client has its port in use for a service of that workload gets another port, and is learned as well. TCP is asked at
the segment that opens it; where the direct connection was there first, nobody knows of it.

A segment that opens nothing belongs to a connection which its backend knows by another port, if by any: where its own
is taken it is dropped. Most of all, its own connection may have that port, while another CPU learns or forgets it.
"""

from __future__ import annotations

from typing import Final

from compiler.ir.statements import Statement
from compiler.pipeline.family import Family
from compiler.pipeline.headers import PROTOCOL_UDP
from compiler.pipeline.lifetimes import is_opening
from compiler.pipeline.metadata import LEG_NETWORK, LEG_OUTSIDE
from compiler.pipeline.notation import (
    all_of,
    any_of,
    apply,
    assign,
    drop,
    eq,
    meta,
    ne,
    negate,
    seek,
    valid,
    when,
)
from compiler.pipeline.outside import same_tuple

FIRST_PORT: Final = 1024
TRIES: Final = 16
DIRECT: Final = "direct"
"""Metadata: the packet opens a connection that no service, policy or device before this one has to do with."""
ACROSS: Final = "across"
"""Metadata: the number of a gateway's crossing; 0 where nothing is translated by a gateway."""
NO_PORT: Final = "no_source_port"
CLASH: Final = "flow_clash"
"""Why packets are dropped."""


def telling_apart(family: Family) -> Statement:
    """Of a packet of no known connection, behind the choice of a backend and the question for policies."""
    port, decided = meta("reverse_dst_port"), meta("decided")
    opens = any_of(eq(meta("protocol"), PROTOCOL_UDP), is_opening())
    here = all_of(ne(meta("leg"), LEG_OUTSIDE), negate(valid("vxlan")))
    table = family.named("flow_reverse")
    other = (when(negate(opens), drop(CLASH)), when(meta(DIRECT), assign(decided, 1)))
    none = (when(ne(meta(ACROSS), 0), drop(NO_PORT)), drop(CLASH))
    return when(
        ne(meta("protocol"), 0),
        when(
            all_of(negate(decided), opens, here),
            *same_tuple(family),
            assign(meta("reverse_leg"), LEG_NETWORK),
            assign(meta(DIRECT), 1),
        ),
        when(
            any_of(decided, meta(DIRECT)),
            seek(table, port, first=FIRST_PORT, tries=TRIES, on_other=other, on_none=none),
        ),
    )


def asking_for_replies(family: Family) -> Statement:
    """What P4 has in the place of `telling_apart`: there is nothing to seek with, and it finds replies by this."""
    found = when(meta("decided"), drop(CLASH))
    return when(ne(meta("protocol"), 0), apply(family.named("flow_reverse"), on_hit=(found,)))


def leave_to_kernel() -> Statement:
    """What has a port of its own for no service's sake and no route is the kernel's."""
    return when(meta(DIRECT), assign(meta("decided"), 0))
