"""Client affinity: which backend of a service a client's last connection got, and that its next one gets it, too.

One store for both families: a client is a 128-bit address, an IPv4 one as RFC 4291 maps it (section 2.5.5.2). It is
asked at a connection's first packet, of a service that asks for affinity alone (`ASKED` in the service's entry), and
told behind it, when the connection has been learned. An entry counts for `affinity_ms` since the client's last new
connection, as the service says it now, and only while its backend is one that the service has: `affinity_backend` has
those, each by the crossing that leads to it where it is in a network of its own (`compiler.pipeline.gateway`), since
its address may be another's there. Else the choice is made anew, by the service's algorithm, and remembered.

So a client keeps its backend as with kube-proxy (its chains of iptables: `recent --rcheck --seconds --reap`): packets
of known connections do not prolong it. What a connection carries is its own decision, whatever is remembered of its
client.
"""

from __future__ import annotations

from compiler.ir.expressions import Concat, Const, Expr, Extend
from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, Param, Profile, Store, Table
from compiler.pipeline.family import IPV4, Family
from compiler.pipeline.gateway import ACROSS_BITS
from compiler.pipeline.lifetimes import ESTABLISHED_MS
from compiler.pipeline.notation import (
    any_of,
    apply,
    assign,
    bits,
    field,
    gt,
    here,
    le,
    learn,
    lt,
    meta,
    ne,
    now,
    param,
    run,
    sub,
    when,
)
from compiler.pipeline.ports import ACROSS

CLIENTS = 1 << 16
"""Clients of services, of both families together."""
BACKENDS = 1 << 15
LONGEST_MS = 86_400_000
"""A day, which is as long as Kubernetes lets a service remember."""
KEPT_MS = 0xFFFFFFFF
"""Asks that a host stays with its target as long as its entry lives (`compiler.pipeline.storage`)."""
TABLE, BACKEND_TABLE = "affinity", "affinity_backend"
ASKED = "affinity_ms"
"""What a service's action says of it: a parameter, and metadata of this name."""
METADATA = ("affine_address", "affine_port", "affine_since_ms", "affine_across", "affine_profile")
"""Of this module alone."""
_TABLE, _ACTION = 0x02000000, 0x01000070
_MAPPED = 0xFFFF
_CLASSES = ((4, LONGEST_MS), (3, 10_800_000), (2, 600_000), (1, 60_000))
"""Profiles by number, longest first: an entry has the shortest that its service's time fits in."""
_NAMES = {1: "minute", 2: "ten_minutes", 3: "three_hours", 4: "day"}
_HOST = Profile(name="host", id=5, timeout_ms=ESTABLISHED_MS, rank=1)
"""Lives as long as any connection of the host may be idle, and is not pushed out by clients of services."""
_MISS = ActionRef(name="miss", in_entries=False, as_default=True)

STORE = Store(
    name="affinities",
    size=CLIENTS,
    ways=4,
    profiles=(*(Profile(name=_NAMES[n], id=n, timeout_ms=ms, rank=0) for n, ms in reversed(_CLASSES)), _HOST),
    events=(),
    transitions=(),
    doc="The backend that a client's last connection to a service got. How long that counts is the service's to say; a "
    "profile only says when its place is free.",
)

ACTIONS = (
    Action(
        name="remembered",
        id=_ACTION,
        params=(
            Param(name="address", id=1, width_bits=128, format="ipv6"),
            Param(name="port", id=2, width_bits=16),
            Param(name="since_ms", id=3, width_bits=32),
            Param(name="crossing", id=4, width_bits=ACROSS_BITS),
        ),
        body=(
            assign(meta("affine_address"), param("address", 128)),
            assign(meta("affine_port"), param("port", 16)),
            assign(meta("affine_since_ms"), param("since_ms", 32)),
            assign(meta("affine_across"), param("crossing", ACROSS_BITS)),
        ),
        doc="The client's last connection went to this backend, at this time: the low 32 bits of the device's clock. "
        "`crossing` leads to a backend in a network of its own; 0: it is in the service's.",
        span=here(1),
    ),
    Action(
        name="may_stay",
        id=_ACTION + 1,
        body=(assign(meta("decided"), 1),),
        doc="A client that is remembered with this backend stays with it.",
        span=here(1),
    ),
)


def mapped(family: Family, address: Expr) -> Expr:
    """An address of a family as one of 128 bits."""
    if family is not IPV4:
        return address
    return Extend(operand=Concat(parts=(Const(value=_MAPPED, width_bits=16), address)), width_bits=128)


def _remembered(family: Family) -> Expr:
    return meta("affine_address") if family is not IPV4 else bits(meta("affine_address"), 31, 0)


def _now_ms() -> Expr:
    return bits(now(), 31, 0)


def client_keys(family: Family) -> tuple[Key, ...]:
    """Of the tables of the store: who sends a packet, and to which service."""
    return (
        Key(name="network", id=1, expr=meta("network")),
        Key(name="service_id", id=2, expr=meta("service_id")),
        Key(name="client", id=3, expr=mapped(family, field(f"{family.name}.src")), format="ipv6"),
    )


def tables(family: Family) -> tuple[Table, ...]:
    number = _TABLE + family.first_id
    return (
        Table(
            name=family.named(TABLE),
            id=number + 10,
            keys=client_keys(family),
            actions=(ActionRef(name="remembered"), _MISS),
            default_action="miss",
            size=CLIENTS,
            store=STORE.name,
            doc="Clients of services with affinity, and the backends of their last connections.",
            span=here(),
        ),
        Table(
            name=family.named(BACKEND_TABLE),
            id=number + 11,
            keys=(
                Key(name="service_id", id=1, expr=meta("service_id")),
                Key(name="address", id=2, expr=_remembered(family), format=family.name),
                Key(name="port", id=3, expr=meta("affine_port")),
                Key(name="crossing", id=4, expr=meta("affine_across")),
            ),
            actions=(ActionRef(name="may_stay"), _MISS),
            default_action="miss",
            size=BACKENDS,
            doc="Backends of services with affinity: those that clients may stay with.",
            span=here(),
        ),
    )


def recalling(family: Family) -> tuple[Statement, ...]:
    """Of a packet to a service: it is decided, when its client is remembered."""
    return (when(ne(meta(ASKED), 0), run(family.named("recall"))),)


def remembering(family: Family) -> tuple[Statement, ...]:
    """Of a packet that has just been decided and learned. Where its client has no place, its next one goes anywhere."""
    return (
        when(
            ne(meta(ASKED), 0),
            assign(meta("affine_profile"), _CLASSES[0][0]),
            *(
                when(le(meta(ASKED), longest_ms), assign(meta("affine_profile"), number))
                for number, longest_ms in _CLASSES[1:]
            ),
            when(gt(meta(ASKED), LONGEST_MS), assign(meta("affine_profile"), _HOST.id)),
            learn(
                family.named(TABLE),
                "remembered",
                mapped(family, meta(family.named("new_dst"))),
                meta("new_dst_port"),
                _now_ms(),
                meta(ACROSS),
                profile=meta("affine_profile"),
                renews=True,
            ),
        ),
    )


def _recall(family: Family) -> Control:
    backend = apply(
        family.named(BACKEND_TABLE),
        on_hit=(
            assign(meta(family.named("new_dst")), _remembered(family)),
            assign(meta("new_dst_port"), meta("affine_port")),
            assign(meta(ACROSS), meta("affine_across")),
        ),
    )
    is_recent = any_of(gt(meta(ASKED), LONGEST_MS), lt(sub(_now_ms(), meta("affine_since_ms")), meta(ASKED)))
    return Control(
        name=family.named("recall"),
        body=(apply(family.named(TABLE), on_hit=(when(is_recent, backend),)),),
        doc="A client of a service with affinity goes where it went, if not too long ago, and to a backend still.",
        span=here(),
    )


def controls(family: Family) -> tuple[Control, ...]:
    return (_recall(family),)
