"""How new connections of a service spread over its backends: by what its entry says, which may change at any time.

The backend is picked by a hash over the tuple of the opening packet, in which `spread` stands for the source port. What
a service's action puts there is the algorithm. Only the packet that opens a connection is asked, so a known flow pays
for none of it, and stays with its backend when the algorithm changes.
"""

from __future__ import annotations

from compiler.ir.expressions import Expr
from compiler.ir.tables import Action, Param
from compiler.pipeline.family import Family
from compiler.pipeline.notation import assign, drawn, here, meta, param

_ACTION = 0x01000000


def to_service_actions(family: Family) -> tuple[Action, ...]:
    """One for each algorithm, the default one first."""
    return (
        _to_service(family, "to_service", 3, meta("src_port"), "each connection by itself"),
        _to_service(family, "to_service_by_source", 5, None, "all connections of one source to one backend"),
        _to_service(family, "to_service_by_chance", 6, drawn(16), "no connection as the one before"),
    )


def _to_service(family: Family, name: str, action_id: int, spread: Expr | None, how: str) -> Action:
    """`spread` None is nothing, which is what it is before."""
    address = family.address_bits
    chosen = (assign(meta("spread"), spread),) if spread is not None else ()
    return Action(
        name=family.named(name),
        id=_ACTION + family.first_id + action_id,
        params=(
            Param(name="service_id", id=1, width_bits=16),
            Param(name="hairpin", id=2, width_bits=address, format=family.name),
            Param(name="affinity_ms", id=3, width_bits=32),
        ),
        body=(
            assign(meta("service_id"), param("service_id", 16)),
            assign(meta(family.named("hairpin")), param("hairpin", address)),
            assign(meta("affinity_ms"), param("affinity_ms", 32)),
            *chosen,
        ),
        doc=f"The packet opens a connection: {how}. `hairpin` is the source that a backend sees of its own packet; so "
        "many ms after its last connection a client still goes to the same backend, 0: it need not.",
        span=here(),
    )
