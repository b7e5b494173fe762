"""Connections of one IP family: known flows, routes, and what is learned.

A connection is two learned entries in one store. `flow` has the packet's own tuple, `flow_reverse` the tuple that the
reply will have; the entry's action holds the finished decision, so a known packet needs no other table of this module,
nor those of `compiler.pipeline.balancing`, which decides for the first packet.
"""

from __future__ import annotations

from compiler.ir.nodes import Control, Heat
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, MatchKind, Param, Table
from compiler.pipeline import (
    admission,
    affinity,
    associations,
    balancing,
    fragments,
    gateway,
    options,
    policing,
    ports,
    related,
    serverreturn,
)
from compiler.pipeline.balancing import decide
from compiler.pipeline.family import IPV4, Family
from compiler.pipeline.lifetimes import FLOWS, is_opening, track
from compiler.pipeline.notation import (
    apply,
    assign,
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
from compiler.pipeline.transport import read_ports

_TABLE, _ACTION, _COUNTER = 0x02000000, 0x01000000, 0x13000000

ROUTES = 1 << 16


def _tuple_keys(family: Family, src: str, dst: str, src_port: str, dst_port: str, *, reverse: bool) -> tuple[Key, ...]:
    """The keys of a flow, packed to whole words: 16 + 8 + 8 + 2 addresses + 2 ports."""
    address = meta if reverse else field
    exprs = (
        ("network", meta("reverse_network" if reverse else "network"), ""),
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
            assign(meta("service_id"), param("service_id", 16)),
            *then,
        ),
        doc=doc,
        span=here(),
    )


def translate_actions(family: Family, *tracking: Statement, decides_first: bool = False) -> tuple[Action, Action]:
    """The actions of known connections. `tracking` tells the entry what a packet means for the connection's life.

    A packet that has just been decided asks for replies to see whether another connection has them, and an ICMP error
    asks for the connection that it quotes: neither is a packet of that connection, nor means anything for its life.
    Where every packet `decides_first`, nothing asks like that but for replies.
    """
    service_id = param("service_id", 16)
    known = (count("service_requests", service_id), *tracking)
    request, reply_doc = "A packet of a known connection to a service.", "A reply: it comes from the service again."
    return (
        _translate(
            family,
            "translate",
            1,
            request,
            *(known if decides_first else (when(negate(meta("decided")), *known),)),
        ),
        _translate(
            family,
            "translate_reply",
            2,
            reply_doc,
            assign(meta("is_reply"), 1),
            when(negate(meta("decided")), count("service_replies", service_id), *tracking),
        ),
    )


def actions(family: Family) -> tuple[Action, ...]:
    return (*translate_actions(family, track()), *balancing.actions(family))


_MISS = ActionRef(name="miss", in_entries=False, as_default=True)


def tables(family: Family) -> tuple[Table, ...]:
    number, ip = _TABLE + family.first_id, family.name
    flow = Table(
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
    )
    replies = Table(
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
    )
    return (
        flow,
        replies,
        *related.tables(family, replies),
        *fragments.tables(family),
        *balancing.tables(family),
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


def read_tuple(family: Family, ports: Statement) -> tuple[Statement, ...]:
    """Read where a packet goes to, and its ports and protocol, as `ports` says."""
    return (assign(meta(family.named("route")), field(f"{family.name}.dst")), ports)


def _reading(family: Family) -> Statement:
    ports = read_ports(associations.reading(family))
    return options.reading(ports) if family is IPV4 else ports


def learn_flow(family: Family, full: tuple[Statement, ...], *, counted: bool) -> Statement:
    """Keep the decision for the direction of this packet; `full` says what to do when there is no room.

    This half of a connection is the one that counts for its backend, where connections are `counted`.
    """
    return learn(
        family.named("flow"),
        family.named("translate"),
        meta(family.named("new_src")),
        meta(family.named("new_dst")),
        meta("reverse_dst_port"),
        meta("new_dst_port"),
        meta("nexthop"),
        meta("service_id"),
        profile=meta("profile"),
        on_full=full,
        counted=counted,
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


FULL = (ports.let_go(), when(meta("decided"), drop("flow_table_full")))
"""What becomes of a packet whose connection there is no room for."""


def use_decision() -> tuple[Statement, ...]:
    """The packet that opens a connection is translated as it has just been decided."""
    return (
        assign(meta("translate"), 1),
        assign(meta("new_src_port"), meta("reverse_dst_port")),
        count("service_requests", meta("service_id")),
    )


def _learn(family: Family) -> Statement:
    """Keep the decision for both directions, and use it for this packet."""
    return when(
        meta("decided"),
        learn_flow(family, FULL, counted=True),
        learn_other_half(family),
        *affinity.remembering(family),
        *use_decision(),
    )


def learn_other_half(family: Family) -> Statement:
    """Unless there was no room for the first one."""
    return when(meta("decided"), learn_reverse(family, FULL))


def _connection(family: Family) -> Control:
    """Find the decision for a packet of a network: a known flow's, or a new one."""
    return Control(
        name=family.named("connection"),
        body=(
            *read_tuple(family, _reading(family)),
            when(
                ne(meta("protocol"), 0),
                apply(
                    family.named("flow"),
                    rarely=is_opening(),
                    on_miss=(
                        assign(meta("opens"), 1),
                        assign(meta("reverse_network"), meta("network")),
                        when(opens_connection(), run(family.named("redirect_out"))),
                        when(valid("vxlan"), run(family.named("remember_entrance"))),
                        serverreturn.meeting(family),
                        run(family.named("decide")),
                        when(opens_connection(), run(family.named("redirect_in"))),
                    ),
                ),
                otherwise=(
                    related.relating(family),
                    when(
                        negate(meta("translate")),
                        assign(meta("opens"), 1),
                        assign(meta("reverse_network"), meta("network")),
                        assign(meta(family.named("new_src")), field(f"{family.name}.src")),
                    ),
                ),
            ),
            when(meta("opens"), policing.policing(family), ports.telling_apart(family)),
            when(eq(meta("nexthop"), 0), apply(family.named("route"), on_miss=_without_route())),
            _learn(family),
            fragments.keeping(family),
        ),
        heat=Heat.HOT,
        doc=_connection.__doc__ or "",
        span=here(),
    )


def _without_route() -> tuple[Statement, ...]:
    return (policing.leave_to_kernel(), ports.leave_to_kernel(), when(meta("decided"), drop("no_route")))


def controls(family: Family) -> tuple[Control, ...]:
    refused = (run(family.named("refuse")),)
    leading = (gateway.crossing(family), serverreturn.directing(family))
    decides = decide(family, refused, affinity.recalling(family), admission.denying(), leading)
    return (
        *((options.CONTROL,) if family is IPV4 else ()),
        decides,
        *affinity.controls(family),
        *serverreturn.controls(family),
        *policing.controls(family),
        *ports.controls(family),
        *related.controls(family),
        *fragments.controls(family),
        _connection(family),
        refuse(family),
    )
