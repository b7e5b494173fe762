"""Which headers a packet can hold together: the paths through the parser."""

from __future__ import annotations

from functools import cache

from compiler.ir.headers import ACCEPT
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline


@cache
def header_sets(pipeline: Pipeline) -> tuple[frozenset[str], ...]:
    """The headers of each path from the first state to `accept`, without repetition, in a fixed order."""
    names = Names(pipeline)

    def behind(state_name: str) -> dict[frozenset[str], None]:
        if state_name == ACCEPT:
            return {frozenset(): None}
        state = names.states[state_name]
        own = frozenset(() if state.extract is None else (state.extract,))
        nexts = dict.fromkeys((*(case.next for case in state.cases), state.default))
        return {own | rest: None for following in nexts for rest in behind(following)}

    return tuple(behind(pipeline.parser[0].name))


def can_meet(pipeline: Pipeline, headers: frozenset[str]) -> bool:
    """Can a parsed packet hold all of these?"""
    return any(headers <= found for found in header_sets(pipeline))


def companions(pipeline: Pipeline, header: str, others: frozenset[str]) -> tuple[frozenset[str], ...]:
    """The sets of `others` that packets hold together with `header`, largest first."""
    sets = dict.fromkeys(found & others for found in header_sets(pipeline) if header in found)
    order = {h.name: i for i, h in enumerate(pipeline.headers)}
    return tuple(sorted(sets, key=lambda found: (-len(found), sorted(order[name] for name in found))))
