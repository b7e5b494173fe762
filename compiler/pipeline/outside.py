"""Clients outside: from the underlay, without a tunnel, to the address of a service that its network shows to them.

The device that gets such a packet lets it into the network, on a leg of its own (`LEG_OUTSIDE`), and keeps the way
back as it does for a workload. The client's address stays. So where the backend is behind another device, that one has
to answer to the device that let the packet in, and to no other: only that one knows the connection. It learns this
with the connection's first packet. The frame of what comes from outside has the underlay MAC address of the device that
let it in as its source, instead of the network's router: a source that a kernel's VXLAN device may learn as well. It
becomes that by a sum (`signature` is the difference of the two), since a branch where packets leave would cost the
kernel's verifier a tenth more.
"""

from __future__ import annotations

from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, Param, Table
from compiler.pipeline.family import Family
from compiler.pipeline.metadata import LEG_NETWORK, LEG_OUTSIDE
from compiler.pipeline.notation import all_of, apply, assign, field, here, meta, negate, param, valid, when

_TABLE = 0x02000000
_MISS = ActionRef(name="miss", in_entries=False, as_default=True)

ACTIONS = (
    Action(
        name="enter_from_outside",
        id=0x0100000B,
        params=(
            Param(name="network", id=1, width_bits=16),
            Param(name="nexthop", id=2, width_bits=16),
            Param(name="signature", id=3, width_bits=48),
        ),
        body=(
            assign(meta("leg"), LEG_OUTSIDE),
            assign(meta("network"), param("network", 16)),
            assign(meta("source_nexthop"), param("nexthop", 16)),
            assign(meta("signature"), param("signature", 48)),
        ),
        doc="The address of a service for clients outside; `nexthop` is the way back to them.",
        span=here(1),
    ),
    Action(
        name="came_in_by",
        id=0x0100000C,
        params=(Param(name="nexthop", id=1, width_bits=16),),
        body=(assign(meta("source_nexthop"), param("nexthop", 16)),),
        doc="From outside, let in by another device; `nexthop` leads there.",
        span=here(1),
    ),
)


def tables(family: Family) -> tuple[Table, ...]:
    return (
        Table(
            name=family.named("eip"),
            id=_TABLE + family.first_id + 6,
            keys=(
                Key(name="address", id=1, expr=field(f"{family.name}.dst"), format=family.name),
                Key(name="mac", id=2, expr=field("ethernet.dst"), format="mac"),
            ),
            actions=(ActionRef(name="enter_from_outside"), _MISS),
            default_action="miss",
            size=4096,
            doc="Addresses of services that clients outside call, and the network that each belongs to. `mac` is the "
            "device's own: a switch that does not know where it is sends frames everywhere, and one device may answer.",
            span=here(),
        ),
        Table(
            name=family.named("entrance"),
            id=_TABLE + family.first_id + 7,
            keys=(
                Key(name="network", id=1, expr=meta("network")),
                Key(name="source", id=2, expr=field("ethernet.src"), format="mac"),
            ),
            actions=(ActionRef(name="came_in_by"), _MISS),
            default_action="miss",
            size=4096,
            doc="Which device let a packet from outside into the network, by the source of the inner frame.",
            span=here(),
        ),
    )


def enter() -> tuple[Statement, ...]:
    """A packet of the underlay without a tunnel: is it for a network?"""
    is_ipv6 = all_of(valid("ipv6"), negate(valid("neighbor")))
    return (when(valid("ipv4"), apply("eip_ipv4"), otherwise=(when(is_ipv6, apply("eip_ipv6")),)),)


def keep_tuple(family: Family) -> tuple[Statement, ...]:
    """The decision of a flow that translates nothing."""
    return (assign(meta("decided"), 1), *same_tuple(family))


def same_tuple(family: Family) -> tuple[Statement, ...]:
    """What a flow is translated to that nobody translates."""
    ip = family.name
    return (
        assign(meta(family.named("new_src")), field(f"{ip}.src")),
        assign(meta(family.named("new_dst")), field(f"{ip}.dst")),
        assign(meta("new_dst_port"), meta("dst_port")),
        assign(meta(family.named("reverse_src")), field(f"{ip}.dst")),
        assign(meta(family.named("reverse_dst")), field(f"{ip}.src")),
        assign(meta("reverse_src_port"), meta("dst_port")),
        assign(meta("reverse_dst_port"), meta("src_port")),
    )


def remember_entrance(family: Family) -> Control:
    """A packet of no known connection, out of a tunnel: is it to be answered to the device that let it in?"""
    answered = (*keep_tuple(family), assign(meta("reverse_leg"), LEG_NETWORK))
    return Control(
        name=family.named("remember_entrance"),
        body=(apply(family.named("entrance"), on_hit=answered),),
        doc=remember_entrance.__doc__ or "",
        span=here(),
    )
