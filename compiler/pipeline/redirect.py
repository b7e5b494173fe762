"""Mesh redirect of one IP family: which new connections go to the network's proxy instead of where they are addressed.

Asked once a connection, of a TCP segment that opens one (SYN alone) and has no flow. What is redirected becomes a flow
like that of a service, with nothing translated and the proxy's port as its way; what is not concerned is not asked
again, since none of its later segments opens a connection. So a policy that comes or goes cuts nothing, and a packet
of a known flow pays nothing.

Who opens it is asked before the service is: the proxy sees the service's address, and calls it by itself. Whom it is
opened to is asked behind it, as the device of a remote backend would be: the proxy sees the backend's address.

Packets that the proxy itself sends are on a leg of their own (`LEG_PROXY`), on which nothing is asked: none of them can
come back to the proxy by a redirect.
"""

from __future__ import annotations

from compiler.ir.expressions import Expr
from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, MatchKind, Param, Selector, Table
from compiler.pipeline.family import Family
from compiler.pipeline.headers import PROTOCOL_TCP
from compiler.pipeline.lifetimes import is_opening
from compiler.pipeline.metadata import LEG_OUTSIDE, LEG_PROXY
from compiler.pipeline.notation import (
    all_of,
    apply,
    assign,
    bit_or,
    drop,
    eq,
    field,
    here,
    meta,
    ne,
    negate,
    param,
    when,
)
from compiler.pipeline.outside import keep_tuple
from compiler.pipeline.redirectlimit import keep_limit, limiter_param, set_limiter

_TABLE, _ACTION, _PROFILE, _COUNTER = 0x02000000, 0x01000000, 0x11000000, 0x13000000
OUTBOUND, INBOUND, PROXY = 0x20, 0x24, 0x28
"""Added to a family's first id; the three actions of a direction are numbered on from it."""
VERBS = ("redirect", "bypass", "deny")
RULES = 1 << 12
"""Eight for each workload of a device that has one on every port (docs/budgets.md)."""
PROXIES = 1 << 12
PROXIES_OF_A_NETWORK = 16

_MISS = ActionRef(name="miss", in_entries=False, as_default=True)


def actions(family: Family) -> tuple[Action, ...]:
    number = _ACTION + family.first_id
    return (
        *_rule_actions(family, "outbound", number + OUTBOUND),
        *_rule_actions(family, "inbound", number + INBOUND),
        Action(
            name=family.named("to_proxy"),
            id=number + PROXY,
            params=(Param(name="nexthop", id=1, width_bits=16),),
            body=(assign(meta("proxy_nexthop"), param("nexthop", 16)),),
            doc="The way to a proxy.",
            span=here(),
        ),
    )


def _rule_actions(family: Family, direction: str, number: int) -> tuple[Action, ...]:
    """Of one table alone: what counts by entry belongs to one table in PNA."""
    return (
        Action(
            name=family.named(f"redirect_{direction}"),
            id=number,
            params=(Param(name="closed", id=1, width_bits=1), limiter_param()),
            body=(
                assign(meta("redirect"), 1),
                assign(meta("closed"), bit_or(meta("closed"), param("closed", 1))),
                set_limiter(),
            ),
            doc="To the network's proxy. Without one the connection goes on without it, or, `closed`, ends.",
            span=here(),
        ),
        Action(name=family.named(f"bypass_{direction}"), id=number + 1, doc="Not to the proxy.", span=here()),
        Action(
            name=family.named(f"deny_{direction}"),
            id=number + 2,
            body=(assign(meta("denied"), 1),),
            doc="Nowhere, whatever else is said about the connection.",
            span=here(),
        ),
    )


def tables(family: Family) -> tuple[Table, ...]:
    src, dst = field(f"{family.name}.src"), field(f"{family.name}.dst")
    outbound = "Connections that a workload opens, by where they go; its counter counts new connections."
    inbound = "Connections that are opened to a workload, by where they come from; its counter counts new connections."
    receiver = meta(family.named("route"))
    return (
        _rules(family, "outbound", OUTBOUND, (src, dst, meta("dst_port")), outbound),
        _rules(family, "inbound", INBOUND, (receiver, src, meta("server_port")), inbound),
        Table(
            name=family.named("proxy"),
            id=_TABLE + family.first_id + PROXY,
            keys=(Key(name="network", id=1, expr=meta("network")),),
            actions=(ActionRef(name=family.named("to_proxy")), _MISS),
            default_action="miss",
            size=PROXIES,
            selector=Selector(
                name=family.named("proxies"),
                id=_PROFILE + family.first_id + PROXY,
                size=PROXIES,
                max_group_size=PROXIES_OF_A_NETWORK,
                inputs=(src, dst, meta("src_port"), meta("dst_port"), meta("protocol")),
            ),
            doc="The proxies of a network on this device. A member watches its port, so one that is gone gets nothing.",
            span=here(),
        ),
    )


def _rules(family: Family, direction: str, number: int, keys: tuple[Expr, Expr, Expr], doc: str) -> Table:
    workload, peer, port = keys
    return Table(
        name=family.named(direction),
        id=_TABLE + family.first_id + number,
        keys=(
            Key(name="network", id=1, expr=meta("network")),
            Key(name="workload", id=2, expr=workload, format=family.name),
            Key(name="peer", id=3, expr=peer, match=MatchKind.TERNARY, format=family.name),
            Key(name="port", id=4, expr=port, match=MatchKind.RANGE),
        ),
        actions=(*(ActionRef(name=family.named(f"{verb}_{direction}")) for verb in VERBS), _MISS),
        default_action="miss",
        size=RULES,
        counter_id=_COUNTER + family.first_id + number,
        doc=doc,
        span=here(),
    )


def opens_connection() -> Expr:
    """Whether the packet may be the first one of a connection of TCP, and no proxy has opened it."""
    return all_of(ne(meta("leg"), LEG_PROXY), eq(meta("protocol"), PROTOCOL_TCP), is_opening())


def controls(family: Family) -> tuple[Control, ...]:
    """Asked before the service is, and behind it, when it is known to whom the connection is opened.

    A client outside may have a workload's address, and is not that workload: of it nothing is asked before.
    """
    inside = ne(meta("leg"), LEG_OUTSIDE)
    return (
        Control(
            name=family.named("redirect_out"),
            body=(
                apply(family.named("proxy")),
                when(inside, apply(family.named("outbound")), *_obey(family)),
            ),
            idle_without=(family.named("proxy"), family.named("outbound")),
            doc="A new connection: does whoever opens it go by the proxy?",
            span=here(),
        ),
        Control(
            name=family.named("redirect_in"),
            body=(
                assign(meta("redirect"), 0),
                assign(meta("closed"), 0),
                assign(meta("server_port"), meta("dst_port")),
                when(meta("decided"), assign(meta("server_port"), meta("new_dst_port"))),
                apply(family.named("inbound")),
                *_obey(family),
                keep_limit(family),
            ),
            idle_without=(family.named("outbound"), family.named("inbound")),
            doc="A new connection: does whom it is opened to go by the proxy?",
            span=here(),
        ),
    )


def _obey(family: Family) -> tuple[Statement, ...]:
    return (
        when(meta("denied"), drop("mesh_denied")),
        when(
            meta("redirect"),
            when(
                ne(meta("proxy_nexthop"), 0),
                when(negate(meta("decided")), *keep_tuple(family)),
                assign(meta("nexthop"), meta("proxy_nexthop")),
                assign(meta("reverse_leg"), LEG_PROXY),
                otherwise=(when(meta("closed"), drop("no_proxy")),),
            ),
        ),
    )
