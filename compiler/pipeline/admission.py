"""Clients outside that a service lets in, and those that it does not: by the prefixes that their addresses are in.

Asked by `compiler.pipeline.balancing` at a connection's first packet from outside, of a packet to a service alone; a
known connection is not asked again. The longest prefix that holds the client decides, so the order in which prefixes
are written means nothing. Whoever is in none is let in: a service that lets in some alone has the prefix of no length
for all others.
"""

from __future__ import annotations

from compiler.ir.expressions import Expr
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, Key, MatchKind, Table
from compiler.pipeline.family import Family
from compiler.pipeline.metadata import LEG_OUTSIDE
from compiler.pipeline.notation import apply, assign, drop, eq, field, here, meta, when

RANGES = 10_000
TABLE = "source_range"
_TABLE, _ACTION, _COUNTER = 0x02000008, 0x01000008, 0x13000008
"""With a family's first id added."""


def actions(family: Family) -> tuple[Action, ...]:
    """Of one table alone: what counts by entry belongs to one table in PNA."""
    return (
        Action(
            name=family.named("admit_source"),
            id=_ACTION + family.first_id,
            doc="The client may connect to the service.",
            span=here(),
        ),
        Action(
            name=family.named("deny_source"),
            id=_ACTION + family.first_id + 1,
            body=(assign(meta("not_admitted"), 1),),
            doc="The client may not connect to the service.",
            span=here(),
        ),
    )


def table(family: Family) -> Table:
    return Table(
        name=family.named(TABLE),
        id=_TABLE + family.first_id,
        keys=(
            Key(name="service_id", id=1, expr=meta("service_id")),
            Key(name="source", id=2, expr=field(f"{family.name}.src"), match=MatchKind.LPM, format=family.name),
        ),
        actions=(
            *(ActionRef(name=action.name) for action in actions(family)),
            ActionRef(name="miss", in_entries=False, as_default=True),
        ),
        default_action="miss",
        size=RANGES,
        counter_id=_COUNTER + family.first_id,
        doc="Clients outside that a service lets in or does not, by the longest prefix; its counter counts new "
        "connections.",
        span=here(),
    )


def asking(family: Family) -> tuple[Statement, ...]:
    """Of the first packet of a connection to a service."""
    return (when(eq(meta("leg"), LEG_OUTSIDE), apply(family.named(TABLE))),)


def denying() -> tuple[Statement, ...]:
    """What becomes of it where the client is not let in."""
    return (when(is_denied(), drop("source_denied")),)


def is_denied() -> Expr:
    return eq(meta("not_admitted"), 1)
