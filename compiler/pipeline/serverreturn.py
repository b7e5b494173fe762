"""Direct server return: backends that have the service's address themselves, and answer clients outside by themselves.

A packet to such a service keeps its destination. Its backend is chosen as any other, but comes with the next hop that
leads to it alone: the workload's own here, and behind another device one whose inner frame has the workload's MAC
address as its destination, where all other frames have that of the network's router. The device there finds in table
`direct_backend` whom the frame is for, learns the connection, which it sees both sides of, and sends answers out by its
own uplink (`back`), not to the device that let the client in. Answers to clients of the network itself find their way
as what has no service does.

So the device that lets clients in sees one side of a connection: it lives by what the client says alone
(`compiler.pipeline.lifetimes`). Nothing is translated, so a connection that would look like another one there gets no
other source port (`compiler.pipeline.ports`): its packet is dropped.
"""

from __future__ import annotations

from typing import Final

from compiler.ir.expressions import Expr, Extend
from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, Param, Table
from compiler.pipeline.family import Family
from compiler.pipeline.headers import PROTOCOL_UDP
from compiler.pipeline.lifetimes import DIRECT_NEW
from compiler.pipeline.metadata import LEG_NETWORK
from compiler.pipeline.notation import apply, assign, field, here, meta, ne, param, run, valid, when
from compiler.pipeline.outside import keep_tuple, same_tuple

BACKEND_ACTION: Final = "to_direct_backend"
TABLE: Final = "direct_backend"
ASKED: Final = "answers_itself"
"""Metadata: the backend that this device has chosen does."""
_BACK: Final = "way_back"
METADATA: Final = (ASKED, _BACK)
"""Of this module alone."""
BACKENDS: Final = 4096
_MEET: Final = "meet_direct"
_TABLE, _ACTION = 0x02000000, 0x01000000
_MISS = ActionRef(name="miss", in_entries=False, as_default=True)

ACTION = Action(
    name="has_backend",
    id=0x01000081,
    params=(Param(name="nexthop", id=1, width_bits=16), Param(name="back", id=2, width_bits=16)),
    body=(assign(meta("nexthop"), param("nexthop", 16)), assign(meta(_BACK), param("back", 16))),
    doc="The workload's own next hop, and the one that leads from here to clients outside.",
    span=here(1),
)


def backend_action(family: Family) -> Action:
    return Action(
        name=family.named(BACKEND_ACTION),
        id=_ACTION + family.first_id + 0x0F,
        params=(
            Param(name="address", id=1, width_bits=family.address_bits, format=family.name),
            Param(name="port", id=2, width_bits=16),
            Param(name="nexthop", id=3, width_bits=16),
        ),
        body=(
            assign(meta("decided"), 1),
            assign(meta(family.named("new_dst")), param("address", family.address_bits)),
            assign(meta("nexthop"), param("nexthop", 16)),
            assign(meta(ASKED), 1),
        ),
        doc="The backend that gets the connection as it is, by a next hop that leads to it alone, and answers itself. "
        "`port` is the one that was called.",
        span=here(),
    )


def table(family: Family) -> Table:
    return Table(
        name=family.named(TABLE),
        id=_TABLE + family.first_id + 17,
        keys=(
            Key(name="network", id=1, expr=meta("network")),
            Key(name="mac", id=2, expr=field("ethernet.dst"), format="mac"),
        ),
        actions=(ActionRef(name=ACTION.name), _MISS),
        default_action="miss",
        size=BACKENDS,
        doc="Workloads of this device that other devices may choose as backends which answer by themselves.",
        span=here(),
    )


def directing(family: Family) -> Statement:
    """Of a packet whose backend has been chosen: it stays as it is."""
    return when(
        is_direct(),
        *same_tuple(family),
        when(ne(meta("protocol"), PROTOCOL_UDP), assign(meta("profile"), DIRECT_NEW)),
    )


def is_direct() -> Expr:
    """Whether the packet opens a connection to a backend that answers by itself, as this device has chosen it."""
    return meta(ASKED)


def meeting(family: Family) -> Statement:
    """Of a packet of no known connection, behind the question which device let it in."""
    return when(valid("vxlan"), run(family.named(_MEET)))


def stand_in(family: Family) -> Expr:
    """What NetworkPolicies know a workload by that is met so: its next hop, as an address that no host can have."""
    return Extend(operand=meta("nexthop"), width_bits=family.address_bits)


def controls(family: Family) -> tuple[Control, ...]:
    return (
        Control(
            name=family.named(_MEET),
            body=(
                apply(
                    family.named(TABLE),
                    on_hit=(
                        when(meta("decided"), assign(meta("source_nexthop"), meta(_BACK))),
                        *keep_tuple(family),
                        assign(meta("reverse_leg"), LEG_NETWORK),
                        assign(meta(family.named("route")), stand_in(family)),
                    ),
                ),
            ),
            doc="A packet of no known connection, out of a tunnel: is it for a backend that answers by itself?",
            span=here(),
        ),
    )
