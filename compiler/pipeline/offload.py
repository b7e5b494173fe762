"""The pipeline for hardware that learns by itself, in the default action of the very table (PNA's `add_on_miss`).

The tables, ids and headers of `compiler.pipeline.portable`, put together in another order:

* The decision (service, backend, route) stands in front of `flow`, for every packet, because a default action can only
  keep what is known when the table is applied. A known flow then overrules it. So the counter of `service` counts all
  packets to a service, and `backend` picks again for each, to no effect.
* `flow` learns before `flow_reverse` is asked, so a clash is found when one half has been learned already.
* An entry cannot see what profile it is in, so events say more: only data that TCP pushes makes a connection
  established, and what follows a FIN (the last ACK) does not revive it.
* ICMP errors quote a cut packet, and PNA cannot cut. Nor can it send a packet back where it came from: only an entry
  can say a port. So packets that are answered (too large, too old, to a service without backends, ARP, neighbour
  solicitations) go to the kernel as they came, whose pipeline answers them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from compiler.ir.nodes import Control, Heat, Pipeline
from compiler.ir.statements import Statement
from compiler.ir.tables import Store, Transition
from compiler.pipeline import balancing, connections
from compiler.pipeline.family import FAMILIES, Family
from compiler.pipeline.headers import PROTOCOL_TCP, TCP_FIN, TCP_RST, TCP_SYN
from compiler.pipeline.notation import (
    advance,
    all_of,
    any_of,
    apply,
    assign,
    bit_and,
    drop,
    eq,
    here,
    meta,
    ne,
    negate,
    run,
    to_kernel,
    valid,
    when,
)
from compiler.pipeline.portable import portable_pipeline
from compiler.pipeline.redirect import opens_connection
from compiler.pipeline.transport import read_ports

TCP_PSH = 0x08
_NEXT = {"close": "tcp_closing", "tcp_data": "tcp_established", "udp_data": "udp_stream"}
"""The profile that each event leads to, from whichever."""
_IN_SOFTWARE = tuple(family.named("refuse") for family in FAMILIES)
"""Controls of the whole pipeline that this one has no need of."""


@cache
def offload_pipeline() -> Pipeline:
    """What `compiler.printers.p4.printing.print_pna` prints."""
    whole = portable_pipeline()
    actions = {
        a.name: a for family in FAMILIES for a in connections.translate_actions(family, _track(), decides_first=True)
    }
    controls = {control.name: control for control in _controls()}
    return replace(
        whole,
        actions=tuple(actions.get(action.name, action) for action in whole.actions),
        stores=tuple(_store(store) for store in whole.stores),
        controls=tuple(controls.get(c.name, c) for c in whole.controls if c.name not in _IN_SOFTWARE),
    )


def _controls() -> tuple[Control, ...]:
    families = (control for family in FAMILIES for control in (balancing.decide(family, ()), _connection(family)))
    errors = (_error("error_ipv4"), _error("error_ipv6"))
    return (*families, *errors, _answer("answer_arp", "arp"), _answer("answer_nd", "nd"))


def _store(store: Store) -> Store:
    transitions = (
        Transition(current=profile.name, event=event, next=after)
        for event, after in _NEXT.items()
        for profile in store.profiles
        if profile.name != after
    )
    return replace(store, events=tuple(_NEXT), transitions=tuple(transitions))


def _track() -> Statement:
    """Tell the entry what this packet means for the connection's life."""
    flags = meta("tcp_flags")
    return when(
        eq(meta("protocol"), PROTOCOL_TCP),
        when(
            ne(bit_and(flags, TCP_FIN | TCP_RST), 0),
            advance("close"),
            otherwise=(when(eq(bit_and(flags, TCP_PSH | TCP_SYN), TCP_PSH), advance("tcp_data")),),
        ),
        otherwise=(advance("udp_data"),),
    )


def _connection(family: Family) -> Control:
    """Decide for a packet of a network, as if it opened a connection; what a known flow says overrules that."""
    full, decided = (drop("flow_table_full"),), meta("decided")
    entrance = when(valid("vxlan"), run(family.named("remember_entrance")))
    decide = (entrance, run(family.named("decide")))
    return Control(
        name=family.named("connection"),
        body=(
            *connections.read_tuple(family, read_ports()),
            assign(meta("reverse_network"), meta("network")),
            when(opens_connection(), run(family.named("redirect_out"))),
            when(ne(meta("protocol"), 0), *decide),
            when(opens_connection(), run(family.named("redirect_in"))),
            when(eq(meta("nexthop"), 0), apply(family.named("route"))),
            when(
                ne(meta("protocol"), 0),
                apply(
                    family.named("flow"),
                    on_hit=(assign(decided, 0),),
                    on_miss=(
                        when(
                            all_of(decided, ne(meta("nexthop"), 0)), connections.learn_flow(family, full, counted=False)
                        ),
                        when(all_of(ne(meta("service_id"), 0), negate(decided)), to_kernel()),
                        when(all_of(decided, eq(meta("nexthop"), 0)), drop("no_route")),
                        apply(
                            family.named("flow_reverse"),
                            on_hit=(when(decided, drop("flow_clash")),),
                            on_miss=(when(decided, connections.learn_reverse(family, full)),),
                        ),
                    ),
                ),
            ),
            when(decided, *connections.use_decision()),
        ),
        heat=Heat.HOT,
        doc=_connection.__doc__ or "",
        span=here(),
    )


def _error(name: str) -> Control:
    return Control(
        name=name,
        body=(when(any_of(valid("tcp"), valid("udp")), to_kernel()), drop("error_not_sent")),
        doc="PNA cannot cut a packet to quote it in an ICMP error: the kernel gets it as it came, and answers.",
        span=here(),
    )


def _answer(name: str, table: str) -> Control:
    return Control(
        name=name,
        body=(apply(table, on_hit=(to_kernel(),)),),
        doc="PNA cannot send a packet back where it came from: the kernel answers for these addresses.",
        span=here(),
    )
