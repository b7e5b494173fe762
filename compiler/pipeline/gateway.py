"""Services whose backends are in several networks: the way to them, and the source that they see.

A client outside calls an address that belongs to no network: its packets are in network `OUTSIDE`, which no workload
is in, so nobody but a client outside reaches such a service. The backend that is chosen says by which *crossing* its
network is reached: which network that is, which the replies will come from (`reverse_network`), and two next hops: the
way to the backend for packets of `OUTSIDE`, and the way back to the client for those of that network. Next hops name
the network of the packets that may take them, so neither can be taken by others.

The backend sees the device's own gateway address, which the service's entry says (`hairpin`). So replies come back to
the device whoever the client is, and networks whose addresses are equal, or equal to the client's, stay apart. The
source port has to tell the connections of all clients to one backend apart: it is the client's own, where that is not
below 1024 (a drawn one instead) and no other connection to the backend has it, and else another one, as for connections
of one network (`compiler.pipeline.connections`). Where all that are tried are taken the packet is dropped
(`no_source_port`), and the client tries again: of 64,512 ports of a backend nine of ten may be in use before that meets
one of six connections.
"""

from __future__ import annotations

from typing import Final

from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, Param, Table
from compiler.pipeline.family import Family
from compiler.pipeline.notation import apply, assign, bit_or, drawn, here, lt, meta, ne, param, when
from compiler.pipeline.ports import ACROSS, FIRST_PORT

OUTSIDE: Final = 0
"""The network of clients outside, as in tables `arp` and `nd`: the underlay."""
BACKEND_ACTION: Final = "to_backend_across"
TABLE: Final = "crossing"
ACROSS_BITS: Final = 14
_DRAWN_FROM: Final = 0x8000
_TABLE, _ACTION = 0x02000000, 0x01000000
_MISS = ActionRef(name="miss", in_entries=False, as_default=True)

ACTION = Action(
    name="cross",
    id=0x01000080,
    params=(
        Param(name="network", id=1, width_bits=16),
        Param(name="nexthop", id=2, width_bits=16),
        Param(name="way_back", id=3, width_bits=16),
    ),
    body=(
        assign(meta("reverse_network"), param("network", 16)),
        assign(meta("nexthop"), param("nexthop", 16)),
        assign(meta("source_nexthop"), param("way_back", 16)),
    ),
    doc="The backend is in this network; `nexthop` leads there, `way_back` from there to clients outside.",
    span=here(1),
)


def backend_action(family: Family) -> Action:
    return Action(
        name=family.named(BACKEND_ACTION),
        id=_ACTION + family.first_id + 0x0E,
        params=(
            Param(name="address", id=1, width_bits=family.address_bits, format=family.name),
            Param(name="port", id=2, width_bits=16),
            Param(name="crossing", id=3, width_bits=ACROSS_BITS),
        ),
        body=(
            assign(meta("decided"), 1),
            assign(meta(family.named("new_dst")), param("address", family.address_bits)),
            assign(meta("new_dst_port"), param("port", 16)),
            assign(meta(ACROSS), param("crossing", ACROSS_BITS)),
        ),
        doc="The backend that gets the connection, of another network; it sees the service's `hairpin` as source.",
        span=here(),
    )


def table(family: Family) -> Table:
    return Table(
        name=family.named(TABLE),
        id=_TABLE + family.first_id + 13,
        keys=(Key(name="crossing", id=1, expr=meta(ACROSS)),),
        actions=(ActionRef(name=ACTION.name), _MISS),
        default_action="miss",
        size=1 << ACROSS_BITS,
        doc="How backends of other networks are reached by clients outside, and the other way round.",
        span=here(),
    )


def crossing(family: Family) -> Statement:
    """Of a packet whose backend has been chosen, behind what concerns those of its own network: the way there, and the
    source that the backend sees.

    Without a crossing there is no next hop, and in `OUTSIDE` no route: the packet is dropped for that.
    """
    source, hairpin = meta(family.named("new_src")), meta(family.named("hairpin"))
    port = meta("reverse_dst_port")
    return when(
        ne(meta(ACROSS), 0),
        assign(source, hairpin),
        assign(meta(family.named("reverse_dst")), hairpin),
        when(lt(port, FIRST_PORT), assign(port, bit_or(drawn(16), _DRAWN_FROM))),
        apply(family.named(TABLE)),
    )
