"""How new connections of a service spread over its backends: by what its entry says, which may change at any time.

The backend is picked by a hash over the tuple of the opening packet, in which `spread` stands for the source port. What
a service's action puts there is the algorithm. Or it is the next one in turn, by a number that each service has; or of
two drawn by chance the one with fewer connections, which are counted for every backend, whatever the algorithm was that
chose it. Only the packet that opens a connection is asked, so a known flow pays for none of it, and stays with its
backend when the algorithm changes.
"""

from __future__ import annotations

from compiler.ir.expressions import Const, Expr
from compiler.ir.tables import Action, Fewest, Param, Turns
from compiler.pipeline.family import Family
from compiler.pipeline.notation import assign, drawn, here, meta, param

_ACTION = 0x01000000
_YES = Const(value=1, width_bits=1)
IN_TURN, IN_TURN_ACTION = "in_turn", "to_service_in_turn"
"""Metadata that asks for turns, and the action that says so. P4 targets have neither (`compiler.pipeline.portable`)."""
BY_COUNT, BY_COUNT_ACTION = "by_count", "to_service_by_count"
"""The same for the backend with fewer connections."""


def to_service_actions(family: Family) -> tuple[Action, ...]:
    """One for each algorithm, the default one first."""
    return (
        _to_service(family, "to_service", 3, meta("src_port"), "each connection by itself"),
        _to_service(family, "to_service_by_source", 5, None, "all connections of one source to one backend"),
        _to_service(family, "to_service_by_chance", 6, drawn(16), "no connection as the one before"),
        _to_service(family, IN_TURN_ACTION, 0x0C, _YES, "each to the next backend", IN_TURN),
        _to_service(family, BY_COUNT_ACTION, 0x0D, _YES, "to the one with fewer connections of two", BY_COUNT),
    )


def turns() -> Turns:
    """Of the selector of backends: each service has a number of its own, in each family."""
    return Turns(asked=meta(IN_TURN), cell=meta("service_id"))


def fewest(family: Family) -> Fewest:
    """Of the same selector: what counts are the connections of a family."""
    return Fewest(asked=meta(BY_COUNT), store=family.named("connections"))


def _to_service(
    family: Family, name: str, action_id: int, value: Expr | None, how: str, said: str = "spread"
) -> Action:
    """What is said of the algorithm; `value` None is nothing, which is what it is before."""
    address = family.address_bits
    chosen = (assign(meta(said), value),) if value is not None else ()
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
