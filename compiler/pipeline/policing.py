"""NetworkPolicies of one IP family: which connections may be opened by a workload, and which to it.

Asked by `compiler.pipeline.connections` at the first packet of a connection, behind the choice of a backend, so that
rules are held against the backend; of what has no ports (ICMP, a fragment without its first) at each packet. Known
connections are not asked again, in neither direction, so what may be opened may be answered.

Who is opened a connection to is held against its own network's rules, and these against the source that it sees: with
a gateway in between (`compiler.pipeline.gateway`) that is the gateway's.

A workload's next hop says who opens a connection: that number comes from the port, and no packet can forge it. A
workload with policies has the number of a *policy* in each direction, which is 0 where it may do everything; workloads
that the same NetworkPolicies concern have the same one. The longest prefix that holds the peer says which *ports* of
it a policy allows, and the longest prefix of protocol and port whether these do. Prefixes alone, so the order in which
rules are written means nothing, and a look-up costs the same however many there are.

The connections of a workload with policies are learned, as those to a service are: its answers need no rule. Nobody
is kept from itself, and what stays on the link (multicast of that scope) is the node's.
"""

from __future__ import annotations

from compiler.ir.expressions import Concat, Const, Expr, Extend
from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, MatchKind, Param, Table
from compiler.pipeline.family import Family
from compiler.pipeline.metadata import LEG_NETWORK
from compiler.pipeline.notation import (
    all_of,
    apply,
    assign,
    bits,
    drop,
    here,
    meta,
    ne,
    negate,
    param,
    run,
    when,
)
from compiler.pipeline.outside import keep_tuple

WORKLOADS = 1 << 12
PEERS = 1 << 16
PORTS = 10_000
SOURCE, DESTINATION = "isolated_source", "isolated_destination"
PEER, PORT = {"egress": "egress_peer", "ingress": "ingress_peer"}, {"egress": "egress_port", "ingress": "ingress_port"}
DIRECTIONS = ("egress", "ingress")
REASONS = tuple(f"{direction}_denied" for direction in DIRECTIONS)
"""Why packets are dropped."""
STEMS = (SOURCE, DESTINATION, *PEER.values(), *PORT.values())
"""Of the names of tables."""
KEPT = "kept"
"""Metadata: the connection is learned for its policies' sake alone."""
METADATA = (KEPT, "policed", "reply_leg", "egress_policy", "ingress_policy", "receiver_nexthop", "policy_ports")
"""Of this module alone."""
PROTOCOL_BITS, PORT_SHIFT, PORT_BITS = 8, 8, 32
"""Protocol, port and 8 bits of nothing: so wide as an IPv4 address, so that the map may lie with those of prefixes."""
_SOURCE_BITS = 48
"""As wide as a MAC address, for the same reason (`printers.ebpf.gathering`)."""
_LINK_LOCAL = {"ipv4": (31, 8, 0xE00000), "ipv6": (127, 112, 0xFF02)}
"""Multicast that does not leave the link (RFC 5771, section 4; RFC 4291, section 2.7): high bit, low bit, value."""
_TABLE, _ACTION, _COUNTER = 0x02000100, 0x01000100, 0x13000100
"""With a family's first id added."""
_MISS = ActionRef(name="miss", in_entries=False, as_default=True)

ACTIONS = (
    Action(
        name="isolate_source",
        id=_ACTION,
        params=(Param(name="policy", id=1, width_bits=16),),
        body=(assign(meta("policed"), 1), assign(meta("egress_policy"), param("policy", 16))),
        doc="Who sends has NetworkPolicies; `policy` is the one that connections from it are held against, 0 for none.",
        span=here(1),
    ),
    Action(
        name="isolate_destination",
        id=_ACTION + 1,
        params=(
            Param(name="policy", id=1, width_bits=16),
            Param(name="nexthop", id=2, width_bits=16),
            Param(name="reply_leg", id=3, width_bits=8),
        ),
        body=(
            assign(meta("policed"), 1),
            assign(meta("ingress_policy"), param("policy", 16)),
            assign(meta("receiver_nexthop"), param("nexthop", 16)),
            assign(meta("reply_leg"), param("reply_leg", 8)),
        ),
        doc="Who is to get the packet has NetworkPolicies; `nexthop` is its own, `reply_leg` that of its answers.",
        span=here(1),
    ),
    Action(
        name="has_ports",
        id=_ACTION + 2,
        params=(Param(name="ports", id=1, width_bits=16),),
        body=(assign(meta("policy_ports"), param("ports", 16)),),
        doc="A peer that a policy allows something with; 0: nothing.",
        span=here(1),
    ),
)


def service(protocol: int, port: int) -> int:
    """The key of a protocol and a port, `PORT_BITS` wide."""
    return protocol << PORT_BITS - PROTOCOL_BITS | port << PORT_SHIFT


def actions(family: Family) -> tuple[Action, ...]:
    """Of one table alone: what counts by entry belongs to one table in PNA."""
    return tuple(
        Action(
            name=family.named(f"allow_{direction}"),
            id=_ACTION + family.first_id + at,
            doc="The connection may be opened.",
            span=here(),
        )
        for at, direction in enumerate(DIRECTIONS)
    )


def tables(family: Family) -> tuple[Table, ...]:
    number, ip = _TABLE + family.first_id, family.name
    source, destination = meta(family.named("new_src")), meta(family.named("route"))
    return (
        Table(
            name=family.named(SOURCE),
            id=number,
            keys=(
                Key(name="network", id=1, expr=meta("network")),
                Key(name="nexthop", id=2, expr=Extend(operand=meta("source_nexthop"), width_bits=_SOURCE_BITS)),
            ),
            actions=(ActionRef(name="isolate_source"), _MISS),
            default_action="miss",
            size=WORKLOADS,
            doc="Workloads of this device that NetworkPolicies concern, by their own next hop.",
            span=here(),
        ),
        Table(
            name=family.named(DESTINATION),
            id=number + 1,
            keys=(
                Key(name="network", id=1, expr=meta("reverse_network")),
                Key(name="address", id=2, expr=destination, match=MatchKind.LPM, format=ip),
            ),
            actions=(ActionRef(name="isolate_destination"), _MISS),
            default_action="miss",
            size=WORKLOADS,
            doc="The same workloads by their addresses, whole ones.",
            span=here(),
        ),
        _peers(family, "egress", number + 2, destination),
        _peers(family, "ingress", number + 3, source),
        _ports(family, "egress", 4),
        _ports(family, "ingress", 5),
    )


def _peers(family: Family, direction: str, number: int, peer: Expr) -> Table:
    return Table(
        name=family.named(PEER[direction]),
        id=number,
        keys=(
            Key(name="policy", id=1, expr=meta(f"{direction}_policy")),
            Key(name="peer", id=2, expr=peer, match=MatchKind.LPM, format=family.name),
        ),
        actions=(ActionRef(name="has_ports"), _MISS),
        default_action="miss",
        size=PEERS,
        doc="Which ports a policy allows, by the longest prefix that holds the peer; a peer in none has none.",
        span=here(),
    )


def _ports(family: Family, direction: str, at: int) -> Table:
    asked = Concat(parts=(meta("protocol"), meta("server_port"), Const(value=0, width_bits=PORT_SHIFT)))
    return Table(
        name=family.named(PORT[direction]),
        id=_TABLE + family.first_id + at,
        keys=(
            Key(name="ports", id=1, expr=meta("policy_ports")),
            Key(name="port", id=2, expr=asked, match=MatchKind.LPM),
        ),
        actions=(ActionRef(name=family.named(f"allow_{direction}")), _MISS),
        default_action="miss",
        size=PORTS,
        counter_id=_COUNTER + family.first_id + at,
        doc="Protocols and ports that peers are allowed, by prefixes of 8 bits of protocol and 16 of port; its counter "
        "counts new connections.",
        span=here(),
    )


def controls(family: Family) -> tuple[Control, ...]:
    first, last, link = _LINK_LOCAL[family.name]
    return (
        Control(
            name=family.named("police"),
            body=(
                apply(family.named(SOURCE)),
                apply(family.named(DESTINATION)),
                when(
                    ne(meta("receiver_nexthop"), meta("source_nexthop")),
                    assign(meta("server_port"), meta("dst_port")),
                    when(meta("decided"), assign(meta("server_port"), meta("new_dst_port"))),
                    when(
                        all_of(ne(meta("egress_policy"), 0), ne(bits(meta(family.named("route")), first, last), link)),
                        _ask(family, "egress"),
                    ),
                    when(ne(meta("ingress_policy"), 0), _ask(family, "ingress")),
                    when(
                        all_of(meta("policed"), negate(meta("decided")), ne(meta("protocol"), 0)),
                        *keep_tuple(family),
                        assign(meta(KEPT), 1),
                        assign(meta("reverse_leg"), LEG_NETWORK),
                        when(ne(meta("reply_leg"), 0), assign(meta("reverse_leg"), meta("reply_leg"))),
                    ),
                ),
            ),
            idle_without=(family.named(SOURCE), family.named(DESTINATION)),
            doc="A packet of no known connection: do the NetworkPolicies of both its ends allow it?",
            span=here(),
        ),
    )


def _ask(family: Family, direction: str) -> Statement:
    denied = (drop(f"{direction}_denied"),)
    port = apply(family.named(PORT[direction]), on_miss=denied)
    return apply(family.named(PEER[direction]), on_hit=(port,), on_miss=denied)


def policing(family: Family) -> Statement:
    """Of the first packet of a connection, and of what has no ports."""
    return run(family.named("police"))


def leave_to_kernel() -> Statement:
    """What was to be learned for its policies' sake and has no route is the kernel's, as without policies."""
    return when(meta(KEPT), assign(meta("decided"), 0))
