"""Source ports: a connection has the tuple at its backend to itself, whatever its client uses its port for besides.

A client may have one source port in use to several services, or to a service and to a backend of it directly. To the
client these are different connections; translated, they would be one to a backend that they share. So the port that a
backend sees is the client's own unless another connection to that backend has it, and then the first free one of
`TRIES` others, from a drawn one on. What tells is the connection table itself, by the key that the answers will have:
nothing is reserved, so nothing can leak. Where all of them are taken the packet is dropped, and a client that tries
again draws others.

A connection to a workload's own address is learned when it is opened (TCP is asked at the segment that does) while the
client has its port in use for a service of that workload, and gets another port; and when services have that workload
as a backend (table `served`), so that what is opened to them later does not get its port. In the latter case it lives
without that as well: where there is no room for it, or no route, its packets go their way.

A connection that is answered directly is translated by nobody on its way back, so it is dropped where its port is
taken (`compiler.pipeline.serverreturn`).

A segment that opens nothing belongs to a connection which its backend knows by another port, if by any: where its own
is taken it is dropped. Most of all, its own connection may have that port, while another CPU learns or forgets it.
"""

from __future__ import annotations

from typing import Final

from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, MatchKind, Table
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
    here,
    meta,
    ne,
    negate,
    run,
    seek,
    valid,
    when,
)
from compiler.pipeline.outside import same_tuple
from compiler.pipeline.serverreturn import is_direct

FIRST_PORT: Final = 1024
TRIES: Final = 16
DIRECT: Final = "direct"
"""Metadata: the packet opens a connection that no service, policy or device before this one has to do with."""
ACROSS: Final = "across"
"""Metadata: the number of a gateway's crossing; 0 where nothing is translated by a gateway."""
NO_PORT: Final = "no_source_port"
CLASH: Final = "flow_clash"
"""Why packets are dropped."""
TABLE: Final = "served"
BACKENDS: Final = 1 << 16
_CONTROL: Final = "share_backend"
_TABLE = 0x02000000
_MISS = ActionRef(name="miss", in_entries=False, as_default=True)

ACTION = Action(
    name="has_services",
    id=0x01000082,
    doc="A workload that services have as a backend.",
    span=here(1),
)


def telling_apart(family: Family) -> Statement:
    """Of a packet of no known connection, behind the choice of a backend and the question for policies."""
    port, decided = meta("reverse_dst_port"), meta("decided")
    opens = any_of(eq(meta("protocol"), PROTOCOL_UDP), is_opening())
    is_here = all_of(ne(meta("leg"), LEG_OUTSIDE), negate(valid("vxlan")))
    table = family.named("flow_reverse")
    other = (when(any_of(negate(opens), is_direct()), drop(CLASH)), when(meta(DIRECT), assign(decided, 1)))
    none = (when(ne(meta(ACROSS), 0), drop(NO_PORT)), drop(CLASH))
    return when(
        ne(meta("protocol"), 0),
        when(
            all_of(negate(decided), opens, is_here),
            *same_tuple(family),
            assign(meta("reverse_leg"), LEG_NETWORK),
            assign(meta(DIRECT), 1),
            run(family.named(_CONTROL)),
        ),
        when(
            any_of(decided, meta(DIRECT)),
            seek(table, port, first=FIRST_PORT, tries=TRIES, on_other=other, on_none=none),
        ),
    )


def table(family: Family) -> Table:
    return Table(
        name=family.named(TABLE),
        id=_TABLE + family.first_id + 18,
        keys=(
            Key(name="network", id=1, expr=meta("network")),
            Key(name="address", id=2, expr=meta(family.named("route")), match=MatchKind.LPM, format=family.name),
        ),
        actions=(ActionRef(name=ACTION.name), _MISS),
        default_action="miss",
        size=BACKENDS,
        doc="Workloads that services have as backends, whole addresses: what is opened to them directly is learned.",
        span=here(),
    )


def controls(family: Family) -> tuple[Control, ...]:
    return (
        Control(
            name=family.named(_CONTROL),
            body=(apply(family.named(TABLE), on_hit=(assign(meta("decided"), 1),)),),
            idle_without=(family.named(TABLE),),
            doc="A connection that is opened without a service: is it to a workload that services have as a backend?",
            span=here(),
        ),
    )


def asking_for_replies(family: Family) -> Statement:
    """What P4 has in the place of `telling_apart`: there is nothing to seek with, and it finds replies by this."""
    found = when(meta("decided"), drop(CLASH))
    return when(ne(meta("protocol"), 0), apply(family.named("flow_reverse"), on_hit=(found,)))


def let_go() -> Statement:
    """Of a direct connection that there is no room for: it need not be known unless it got another port."""
    is_its_own = eq(meta("reverse_dst_port"), meta("src_port"))
    return when(all_of(meta(DIRECT), is_its_own), assign(meta("decided"), 0))


def leave_to_kernel() -> Statement:
    """What has a port of its own for no service's sake and no route is the kernel's."""
    return when(meta(DIRECT), assign(meta("decided"), 0))
