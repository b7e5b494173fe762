"""Services of one IP family and their backends: whether a packet opens a connection to one, and which backend gets it.

Asked by `compiler.pipeline.connections` at a connection's first packet only.
"""

from __future__ import annotations

from compiler.ir.nodes import Control, Heat
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, Param, Selector, Table
from compiler.ir.turns import MAX_COUNTED
from compiler.pipeline import admission, gateway, serverreturn
from compiler.pipeline.family import Family
from compiler.pipeline.metadata import LEG_NETWORK
from compiler.pipeline.notation import all_of, apply, assign, eq, field, here, meta, negate, param, when
from compiler.pipeline.spreading import fewest, to_service_actions, turns

_TABLE, _ACTION, _PROFILE, _COUNTER = 0x02000000, 0x01000000, 0x11000000, 0x13000000
SERVICES = 10_000
BACKENDS = MAX_COUNTED

_MISS = ActionRef(name="miss", in_entries=False, as_default=True)


def actions(family: Family) -> tuple[Action, ...]:
    return (
        *to_service_actions(family),
        Action(
            name=family.named("to_backend"),
            id=_ACTION + family.first_id + 4,
            params=(
                Param(name="address", id=1, width_bits=family.address_bits, format=family.name),
                Param(name="port", id=2, width_bits=16),
            ),
            body=(
                assign(meta("decided"), 1),
                assign(meta(family.named("new_dst")), param("address", family.address_bits)),
                assign(meta("new_dst_port"), param("port", 16)),
            ),
            doc="The backend that gets the connection.",
            span=here(),
        ),
        gateway.backend_action(family),
        serverreturn.backend_action(family),
    )


def tables(family: Family) -> tuple[Table, ...]:
    number, ip = _TABLE + family.first_id, family.name
    tuple_selector = (field(f"{ip}.src"), field(f"{ip}.dst"), meta("spread"), meta("dst_port"), meta("protocol"))
    return (
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
            actions=(
                ActionRef(name=family.named("to_backend")),
                ActionRef(name=family.named(gateway.BACKEND_ACTION)),
                ActionRef(name=family.named(serverreturn.BACKEND_ACTION)),
                _MISS,
            ),
            default_action="miss",
            size=SERVICES,
            selector=Selector(
                name=family.named("backends"),
                id=_PROFILE + family.first_id + 4,
                size=BACKENDS,
                max_group_size=1000,
                inputs=tuple_selector,
                turns=turns(),
                fewest=fewest(family),
            ),
            doc="The backends of a service.",
            span=here(),
        ),
    )


def decide(
    family: Family,
    without_backend: tuple[Statement, ...],
    recalling: tuple[Statement, ...] = (),
    denying: tuple[Statement, ...] = (),
    leading: tuple[Statement, ...] = (),
) -> Control:
    """A packet of no known connection, and not the proxy's: does it open one to a service, and to which backend?

    `recalling` may decide it before the group of backends is asked. `denying` ends one of a client that the service
    does not let in; without, it stays undecided. `leading` is for backends that are reached in other ways.
    """
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
                assign(new_src, field(f"{ip}.src")),
                apply(
                    family.named("service"),
                    on_hit=(
                        *admission.asking(family),
                        *denying,
                        *recalling,
                        *_choose(family, without_backend, may_be_decided=bool(recalling), may_be_denied=not denying),
                        when(eq(new_dst, field(f"{ip}.src")), assign(new_src, meta(family.named("hairpin")))),
                        assign(meta(family.named("route")), new_dst),
                        assign(meta("reverse_leg"), LEG_NETWORK),
                        assign(reverse_src, new_dst),
                        assign(reverse_dst, new_src),
                        assign(meta("reverse_src_port"), meta("new_dst_port")),
                        assign(meta("reverse_dst_port"), meta("src_port")),
                        *leading,
                    ),
                ),
            ),
        ),
        heat=Heat.WARM,
        doc=(decide.__doc__ or "").partition("\n")[0],
        span=here(),
    )


def _choose(
    family: Family, without_backend: tuple[Statement, ...], *, may_be_decided: bool, may_be_denied: bool
) -> tuple[Statement, ...]:
    """Have the group choose, unless it is decided already, or nobody is to be chosen."""
    choice = apply(family.named("backend"), on_miss=without_backend)
    undecided = (negate(meta("decided")),) if may_be_decided else ()
    admitted = (negate(admission.is_denied()),) if may_be_denied else ()
    conditions = (*undecided, *admitted)
    return (when(all_of(*conditions), choice),) if conditions else (choice,)
