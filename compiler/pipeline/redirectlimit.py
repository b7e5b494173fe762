"""How many new connections of a workload go to the proxy, so that one cannot starve it for the others.

Asked behind everything that says whether a connection goes to the proxy, and only if it does: of what is denied, goes
on without the proxy or is known, no token is taken. A workload has a limiter of one number in each IP family, which the
rules carry; of a connection that two workloads have redirected it is that of the one who opens it.
"""

from __future__ import annotations

from compiler.ir.metering import Color
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, ActionRef, DirectMeter, Key, MeterType, MeterUnit, Param, Table
from compiler.pipeline.family import Family
from compiler.pipeline.metadata import LEG_PROXY
from compiler.pipeline.notation import (
    all_of,
    apply,
    assign,
    drop,
    eq,
    execute_direct,
    here,
    meta,
    ne,
    param,
    when,
)

LIMITER_BITS = 12
LAST_LIMITER = (1 << LIMITER_BITS) - 1
"""0 is none. A device has 512 ports, so more workloads than this are not behind one."""
_TABLE, _ACTION, _METER = 0x0200002C, 0x0100002C, 0x1500002C
"""With a family's first id added."""


def action(family: Family) -> Action:
    return Action(
        name=family.named("limit_redirects"),
        id=_ACTION + family.first_id,
        body=(execute_direct(meta("rate_color")),),
        doc="Connections within the rate go to the proxy.",
        span=here(),
    )


def table(family: Family) -> Table:
    return Table(
        name=family.named("redirect_limit"),
        id=_TABLE + family.first_id,
        keys=(Key(name="limiter", id=1, expr=meta("limiter")),),
        actions=(
            ActionRef(name=family.named("limit_redirects")),
            ActionRef(name="miss", in_entries=False, as_default=True),
        ),
        default_action="miss",
        size=LAST_LIMITER,
        meter=DirectMeter(id=_METER + family.first_id, unit=MeterUnit.PACKETS, type=MeterType.SINGLE_RATE_TWO_COLOR),
        doc="New connections a second of a workload that the proxy gets; its meter counts these, and those beyond.",
        span=here(),
    )


def limiter_param() -> Param:
    """Of what redirects: the limiter of its workload, 0 for none."""
    return Param(name="limiter", id=2, width_bits=LIMITER_BITS)


def set_limiter() -> Statement:
    """The first one counts: who opens a connection is asked before whom it is opened to."""
    return when(eq(meta("limiter"), 0), assign(meta("limiter"), param("limiter", LIMITER_BITS)))


def keep_limit(family: Family) -> Statement:
    """Where it is known that the connection goes to the proxy, if it does."""
    return when(
        all_of(ne(meta("limiter"), 0), eq(meta("reverse_leg"), LEG_PROXY)),
        apply(family.named("redirect_limit")),
        when(eq(meta("rate_color"), Color.RED), drop("mesh_limit")),
    )
