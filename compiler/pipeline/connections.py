"""Connections of one IP family: known flows, services, backends, routes, and what is learned.

A connection is two learned entries in one store. `flow` has the packet's own tuple, `flow_reverse` the tuple that the
reply will have; the entry's action holds the finished decision, so a known packet needs no other table of this module.
"""

from __future__ import annotations

from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.ir.tables import (
    Action,
    ActionRef,
    Key,
    MatchKind,
    Param,
    Profile,
    Selector,
    Store,
    Table,
    Transition,
)
from compiler.pipeline.family import Family
from compiler.pipeline.headers import PROTOCOL_TCP, PROTOCOL_UDP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from compiler.pipeline.metadata import LEG_NETWORK
from compiler.pipeline.notation import (
    advance,
    apply,
    assign,
    bit_and,
    count,
    drop,
    eq,
    field,
    here,
    learn,
    meta,
    ne,
    negate,
    param,
    run,
    valid,
    when,
)
from compiler.pipeline.redirect import opens_connection
from compiler.pipeline.refusal import refuse
from compiler.pipeline.spreading import to_service_actions

TCP_NEW, TCP_ESTABLISHED, TCP_CLOSING, UDP_NEW, UDP_STREAM, TCP_HEARD, TCP_CLOSED = 1, 2, 3, 4, 5, 6, 7
_TABLE, _ACTION, _PROFILE, _COUNTER = 0x02000000, 0x01000000, 0x11000000, 0x13000000

FLOWS = 1 << 16
SERVICES = 10_000
BACKENDS = 1 << 16
ROUTES = 1 << 16


def store(family: Family) -> Store:
    """Where a family's connections live.

    Timeouts are those of Linux conntrack (nf_conntrack-sysctl) but for an established connection, which may be idle for
    2 hours and 4 minutes (RFC 5382, REQ-5). A TCP connection is established once both sides have said more than a SYN
    (the server's SYN-ACK is more): until then a flood of openings may push it out. It is closed, and gives its place to
    an opening, once both sides have sent a FIN; after the FIN of one, or a RST, it may still carry data. A pair stays
    until both halves have been idle for their timeouts, so a half-closed connection lives on, and a port used again
    soon finds no old pair.
    """
    return Store(
        name=family.named("connections"),
        size=2 * FLOWS,
        ways=4,
        profiles=(
            Profile(name="tcp_new", id=TCP_NEW, timeout_ms=60_000, rank=0),
            Profile(name="tcp_heard", id=TCP_HEARD, timeout_ms=60_000, rank=0),
            Profile(name="tcp_established", id=TCP_ESTABLISHED, timeout_ms=7_440_000, rank=2),
            Profile(name="tcp_closing", id=TCP_CLOSING, timeout_ms=10_000, rank=1),
            Profile(name="tcp_closed", id=TCP_CLOSED, timeout_ms=10_000, rank=0),
            Profile(name="udp_new", id=UDP_NEW, timeout_ms=30_000, rank=0),
            Profile(name="udp_stream", id=UDP_STREAM, timeout_ms=120_000, rank=1),
        ),
        events=("open", "data", "close", "reset"),
        transitions=_transitions(),
        doc="Both directions of every connection to a service.",
    )


_OPENING, _OPEN = ("tcp_new", "tcp_heard"), "tcp_established"


def _transitions() -> tuple[Transition, ...]:
    """The life of a connection; `data` is any packet of TCP that has neither RST nor FIN and is no first SYN."""
    heard, closing, closed = "tcp_heard", "tcp_closing", "tcp_closed"
    return (
        Transition(current="tcp_new", event="data", other=heard, next=_OPEN, other_next=_OPEN),
        Transition(current="tcp_new", event="data", next=heard),
        *(
            Transition(current=current, event="close", other=closing, next=closed, other_next=closed)
            for current in (*_OPENING, _OPEN, closing)
        ),
        *(Transition(current=current, event="close", next=closing) for current in (*_OPENING, _OPEN)),
        *(Transition(current=current, event="reset", next=closed, other_next=closed) for current in _OPENING),
        *(Transition(current=current, event="reset", next=closing, other_next=closing) for current in (_OPEN, closing)),
        *(
            Transition(current=current, event="open", next="tcp_new", other_next="tcp_new")
            for current in (closing, closed)
        ),
        Transition(current="udp_new", event="data", next="udp_stream"),
    )


def _tuple_keys(family: Family, src: str, dst: str, src_port: str, dst_port: str, *, reverse: bool) -> tuple[Key, ...]:
    """The keys of a flow, packed to whole words: 16 + 8 + 8 + 2 addresses + 2 ports."""
    address = meta if reverse else field
    exprs = (
        ("network", meta("network"), ""),
        ("leg", meta("reverse_leg" if reverse else "leg"), ""),
        ("protocol", meta("protocol"), ""),
        ("src", address(src), family.name),
        ("dst", address(dst), family.name),
        ("src_port", meta(src_port), ""),
        ("dst_port", meta(dst_port), ""),
    )
    return tuple(Key(name=n, id=i, expr=e, format=f) for i, (n, e, f) in enumerate(exprs, 1))


def _decision_params(family: Family) -> tuple[Param, ...]:
    widths = (
        ("src", family.address_bits, family.name),
        ("dst", family.address_bits, family.name),
        ("src_port", 16, ""),
        ("dst_port", 16, ""),
        ("nexthop", 16, ""),
        ("service_id", 16, ""),
    )
    return tuple(Param(name=n, id=i, width_bits=w, format=f) for i, (n, w, f) in enumerate(widths, 1))


def _track() -> Statement:
    """Tell the entry what this packet means for the connection's life."""
    flags = meta("tcp_flags")
    return when(
        eq(meta("protocol"), PROTOCOL_TCP),
        when(
            ne(bit_and(flags, TCP_FIN | TCP_RST), 0),
            when(ne(bit_and(flags, TCP_RST), 0), advance("reset"), otherwise=(advance("close"),)),
            otherwise=(
                when(eq(bit_and(flags, TCP_SYN | TCP_ACK), TCP_SYN), advance("open"), otherwise=(advance("data"),)),
            ),
        ),
        otherwise=(advance("data"),),
    )


def _translate(family: Family, name: str, action_id: int, doc: str, *then: Statement) -> Action:
    address = family.address_bits
    return Action(
        name=family.named(name),
        id=_ACTION + family.first_id + action_id,
        params=_decision_params(family),
        body=(
            assign(meta("translate"), 1),
            assign(meta(family.named("new_src")), param("src", address)),
            assign(meta(family.named("new_dst")), param("dst", address)),
            assign(meta("new_src_port"), param("src_port", 16)),
            assign(meta("new_dst_port"), param("dst_port", 16)),
            assign(meta(family.named("route")), param("dst", address)),
            assign(meta("nexthop"), param("nexthop", 16)),
            *then,
        ),
        doc=doc,
        span=here(),
    )


def translate_actions(family: Family, *tracking: Statement) -> tuple[Action, Action]:
    """The actions of known connections. `tracking` tells the entry what a packet means for the connection's life.

    A packet that has just been decided asks for replies to see whether another connection has them: it is none, and
    means nothing for that connection.
    """
    service_id = param("service_id", 16)
    request, reply_doc = "A packet of a known connection to a service.", "A reply: it comes from the service again."
    return (
        _translate(family, "translate", 1, request, count("service_requests", service_id), *tracking),
        _translate(
            family,
            "translate_reply",
            2,
            reply_doc,
            when(negate(meta("decided")), count("service_replies", service_id), *tracking),
        ),
    )


def actions(family: Family) -> tuple[Action, ...]:
    address, number = family.address_bits, _ACTION + family.first_id
    return (
        *translate_actions(family, _track()),
        *to_service_actions(family),
        Action(
            name=family.named("to_backend"),
            id=number + 4,
            params=(
                Param(name="address", id=1, width_bits=address, format=family.name),
                Param(name="port", id=2, width_bits=16),
            ),
            body=(
                assign(meta("decided"), 1),
                assign(meta(family.named("new_dst")), param("address", address)),
                assign(meta("new_dst_port"), param("port", 16)),
            ),
            doc="The backend that gets the connection.",
            span=here(),
        ),
    )


_MISS = ActionRef(name="miss", in_entries=False, as_default=True)


def tables(family: Family) -> tuple[Table, ...]:
    number, ip = _TABLE + family.first_id, family.name
    tuple_selector = (field(f"{ip}.src"), field(f"{ip}.dst"), meta("spread"), meta("dst_port"), meta("protocol"))
    return (
        Table(
            name=family.named("flow"),
            id=number + 1,
            keys=_tuple_keys(family, f"{ip}.src", f"{ip}.dst", "src_port", "dst_port", reverse=False),
            actions=(ActionRef(name=family.named("translate")), _MISS),
            default_action="miss",
            size=FLOWS,
            counter_id=_COUNTER + family.first_id + 1,
            store=family.named("connections"),
            doc="Known connections, by the tuple of the packet that opened them.",
            span=here(),
        ),
        Table(
            name=family.named("flow_reverse"),
            id=number + 2,
            keys=_tuple_keys(
                family,
                family.named("reverse_src"),
                family.named("reverse_dst"),
                "reverse_src_port",
                "reverse_dst_port",
                reverse=True,
            ),
            actions=(ActionRef(name=family.named("translate_reply")), _MISS),
            default_action="miss",
            size=FLOWS,
            counter_id=_COUNTER + family.first_id + 2,
            store=family.named("connections"),
            doc="The same connections, by the tuple of their replies.",
            span=here(),
        ),
        Table(
            name=family.named("service"),
            id=number + 3,
            keys=(
                Key(name="network", id=1, expr=meta("network")),
                Key(name="address", id=2, expr=field(f"{ip}.dst"), format=ip),
                Key(name="protocol", id=3, expr=meta("protocol")),
                Key(name="port", id=4, expr=meta("dst_port")),
            ),
            actions=(*(ActionRef(name=action.name) for action in to_service_actions(family)), _MISS),
            default_action="miss",
            size=SERVICES,
            counter_id=_COUNTER + family.first_id + 3,
            doc="Addresses and ports of services; its counter counts new connections.",
            span=here(),
        ),
        Table(
            name=family.named("backend"),
            id=number + 4,
            keys=(Key(name="service_id", id=1, expr=meta("service_id")),),
            actions=(ActionRef(name=family.named("to_backend")), _MISS),
            default_action="miss",
            size=SERVICES,
            selector=Selector(
                name=family.named("backends"),
                id=_PROFILE + family.first_id + 4,
                size=BACKENDS,
                max_group_size=1000,
                inputs=tuple_selector,
            ),
            doc="The backends of a service.",
            span=here(),
        ),
        Table(
            name=family.named("route"),
            id=number + 5,
            keys=(
                Key(name="network", id=1, expr=meta("network")),
                Key(name="dst", id=2, expr=meta(family.named("route")), match=MatchKind.LPM, format=ip),
            ),
            actions=(ActionRef(name="via"), _MISS),
            default_action="miss",
            size=ROUTES,
            doc="Where in a network an address is.",
            span=here(),
        ),
    )


def read_tuple(family: Family) -> tuple[Statement, ...]:
    """Read ports and protocol, whichever transport header is there."""
    return (
        assign(meta(family.named("route")), field(f"{family.name}.dst")),
        when(
            valid("tcp"),
            assign(meta("protocol"), PROTOCOL_TCP),
            assign(meta("src_port"), field("tcp.src_port")),
            assign(meta("dst_port"), field("tcp.dst_port")),
            assign(meta("tcp_flags"), field("tcp.flags")),
            assign(meta("profile"), TCP_NEW),
            otherwise=(
                when(
                    valid("udp"),
                    assign(meta("protocol"), PROTOCOL_UDP),
                    assign(meta("src_port"), field("udp.src_port")),
                    assign(meta("dst_port"), field("udp.dst_port")),
                    assign(meta("profile"), UDP_NEW),
                ),
            ),
        ),
    )


def learn_flow(family: Family, full: tuple[Statement, ...]) -> Statement:
    """Keep the decision for the direction of this packet; `full` says what to do when there is no room."""
    return learn(
        family.named("flow"),
        family.named("translate"),
        meta(family.named("new_src")),
        meta(family.named("new_dst")),
        meta("src_port"),
        meta("new_dst_port"),
        meta("nexthop"),
        meta("service_id"),
        profile=meta("profile"),
        on_full=full,
    )


def learn_reverse(family: Family, full: tuple[Statement, ...]) -> Statement:
    """Keep the decision for the replies."""
    return learn(
        family.named("flow_reverse"),
        family.named("translate_reply"),
        field(f"{family.name}.dst"),
        field(f"{family.name}.src"),
        meta("dst_port"),
        meta("src_port"),
        meta("source_nexthop"),
        meta("service_id"),
        profile=meta("profile"),
        on_full=full,
    )


def use_decision() -> tuple[Statement, ...]:
    """The packet that opens a connection is translated as it has just been decided."""
    return (
        assign(meta("translate"), 1),
        assign(meta("new_src_port"), meta("src_port")),
        count("service_requests", meta("service_id")),
    )


def _learn(family: Family) -> Statement:
    """Keep the decision for both directions, and use it for this packet."""
    full = (drop("flow_table_full"),)
    return when(meta("decided"), learn_flow(family, full), learn_reverse(family, full), *use_decision())


def decide(family: Family, without_backend: tuple[Statement, ...]) -> Control:
    """A packet of no known connection, and not the proxy's: does it open one to a service, and to which backend?"""
    ip = family.name
    new_src, new_dst = meta(family.named("new_src")), meta(family.named("new_dst"))
    reverse_src, reverse_dst = meta(family.named("reverse_src")), meta(family.named("reverse_dst"))
    return Control(
        name=family.named("decide"),
        body=(
            when(
                negate(meta("decided")),
                assign(meta("reverse_leg"), meta("leg")),
                assign(reverse_src, field(f"{ip}.src")),
                assign(reverse_dst, field(f"{ip}.dst")),
                assign(meta("reverse_src_port"), meta("src_port")),
                assign(meta("reverse_dst_port"), meta("dst_port")),
                apply(
                    family.named("service"),
                    on_hit=(
                        apply(family.named("backend"), on_miss=without_backend),
                        assign(new_src, field(f"{ip}.src")),
                        when(eq(new_dst, field(f"{ip}.src")), assign(new_src, meta(family.named("hairpin")))),
                        assign(meta(family.named("route")), new_dst),
                        assign(meta("reverse_leg"), LEG_NETWORK),
                        assign(reverse_src, new_dst),
                        assign(reverse_dst, new_src),
                        assign(meta("reverse_src_port"), meta("new_dst_port")),
                        assign(meta("reverse_dst_port"), meta("src_port")),
                    ),
                ),
            ),
        ),
        doc=decide.__doc__ or "",
        span=here(),
    )


def _connection(family: Family) -> Control:
    """Find the decision for a packet of a network: a known flow's, or a new one."""
    return Control(
        name=family.named("connection"),
        body=(
            *read_tuple(family),
            when(
                ne(meta("protocol"), 0),
                apply(
                    family.named("flow"),
                    on_miss=(
                        when(opens_connection(), run(family.named("redirect_out"))),
                        run(family.named("decide")),
                        when(opens_connection(), run(family.named("redirect_in"))),
                        apply(family.named("flow_reverse"), on_hit=(when(meta("decided"), drop("flow_clash")),)),
                    ),
                ),
            ),
            when(
                eq(meta("nexthop"), 0),
                apply(family.named("route"), on_miss=(when(meta("decided"), drop("no_route")),)),
            ),
            _learn(family),
        ),
        hot=True,
        doc=_connection.__doc__ or "",
        span=here(),
    )


def controls(family: Family) -> tuple[Control, ...]:
    return (decide(family, (run(family.named("refuse")),)), _connection(family), refuse(family))


__all__ = [
    "actions",
    "controls",
    "decide",
    "learn_flow",
    "learn_reverse",
    "read_tuple",
    "store",
    "tables",
    "translate_actions",
    "use_decision",
]
