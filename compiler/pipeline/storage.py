"""Storage steering: the class and the rate of connections to portals and registries.

A portal is a service whose number is above `LAST_SERVICE`: which target a host gets is decided and learned as for any
service (`compiler.pipeline.balancing`). What comes on top is asked of each packet of such a connection, by its number
and direction, so that a changed class or rate holds for connections that are known. A packet of another connection
pays one comparison.

Which target a host has is remembered as a client of a service with affinity is (`compiler.pipeline.affinity`), in the
same store, but for another time: each packet that a host sends to a portal finds its entry by table `storage_host`, so
the entry lives as long as any of the host's connections does.
"""

from __future__ import annotations

from compiler.ir.metering import Color
from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, DirectMeter, Key, MeterType, MeterUnit, Param, Table
from compiler.pipeline import affinity
from compiler.pipeline.family import IPV4, IPV6, Family
from compiler.pipeline.notation import (
    any_of,
    apply,
    assign,
    bit_and,
    bit_or,
    drop,
    eq,
    execute_direct,
    field,
    gt,
    here,
    meta,
    negate,
    param,
    rewrite,
    run,
    valid,
    when,
)

LAST_SERVICE = 0xBFFF
"""The highest number of a service that is none of storage; those above belong to portals and registries."""
PORTALS = 1 << 14
ECN_BITS = 3
_TABLE, _ACTION, _METER = 0x02000078, 0x01000078, 0x15000078
_MISS = ActionRef(name="miss", in_entries=False, as_default=True)

ACTIONS = (
    Action(
        name="admit",
        id=_ACTION,
        body=(execute_direct(meta("rate_color")),),
        doc="Packets within the rate pass, with the class that they came with.",
        span=here(1),
    ),
    Action(
        name="classify_storage",
        id=_ACTION + 1,
        params=(Param(name="traffic_class", id=1, width_bits=8),),
        body=(
            execute_direct(meta("rate_color")),
            assign(meta("storage_marked"), 1),
            assign(meta("storage_class"), param("traffic_class", 8)),
        ),
        doc="Packets within the rate pass, in this class: DSCP times 4 (RFC 2474). Their two bits of ECN stay.",
        span=here(1),
    ),
)

HOST_TABLE = "storage_host"


def host_tables(family: Family) -> tuple[Table, ...]:
    """Writes nothing and is never learned into: its look-ups keep entries of table `affinity` alive."""
    return (
        Table(
            name=family.named(HOST_TABLE),
            id=0x02000000 + family.first_id + 12,
            keys=affinity.client_keys(family),
            actions=(ActionRef(name="remembered"), _MISS),
            default_action="miss",
            size=affinity.CLIENTS,
            store=affinity.STORE.name,
            doc="Hosts of portals, by any packet that they send: a host keeps its target while it has connections.",
            span=here(),
        ),
    )


TABLES = (
    Table(
        name="storage",
        id=_TABLE,
        keys=(
            Key(name="service_id", id=1, expr=meta("service_id")),
            Key(name="is_reply", id=2, expr=meta("is_reply")),
        ),
        actions=(ActionRef(name="admit"), ActionRef(name="classify_storage"), _MISS),
        default_action="miss",
        size=2 * PORTALS,
        meter=DirectMeter(id=_METER, unit=MeterUnit.BYTES, type=MeterType.SINGLE_RATE_TWO_COLOR),
        doc="Class and rate of a portal's packets, from hosts and, `is_reply`, to them.",
        span=here(1),
    ),
)


CONTROLS = (
    Control(
        name="steer_storage",
        body=(
            apply("storage"),
            when(eq(meta("rate_color"), Color.RED), drop("rate_exceeded")),
            when(
                negate(any_of(meta("decided"), meta("is_reply"))),
                when(
                    valid(IPV4.name),
                    apply(IPV4.named(HOST_TABLE)),
                    otherwise=(when(valid(IPV6.name), apply(IPV6.named(HOST_TABLE))),),
                ),
            ),
        ),
        doc="A packet to or from storage: within its rate? If from a host, that one is remembered for longer.",
        span=here(1),
    ),
    Control(
        name="mark_class",
        body=(
            assign(meta("traffic_class"), bit_or(bit_and(meta("traffic_class"), ECN_BITS), meta("storage_class"))),
            when(
                valid("ipv4"),
                rewrite((field("ipv4.traffic_class"), meta("traffic_class"))),
                otherwise=(when(valid("ipv6"), rewrite((field("ipv6.traffic_class"), meta("traffic_class")))),),
            ),
        ),
        doc="The class of a packet to or from storage, in its own header and in the one of its tunnel.",
        span=here(1),
    ),
)


def steer() -> Statement:
    """Behind the decision, of whichever packet."""
    return when(gt(meta("service_id"), LAST_SERVICE), run("steer_storage"))


def mark() -> Statement:
    """On the way out, when it is sure that the packet is sent."""
    return when(meta("storage_marked"), run("mark_class"))
