"""Calls of actions in their wire form, `p4.v1.Action`: a pattern of those that entries of a table may have. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from compiler.ir.entries import ActionCall
from compiler.ir.tables import Action
from compiler.span import InternalError
from runtime.device import wirepatterns as wire

Groups: TypeAlias = tuple[Any, ...]
"""Of a match: bytes, or None."""
_Call: TypeAlias = tuple[str, int, Callable[[Groups], tuple[int, ...]]]
"""An action, its group, and its arguments in those behind it."""
_ACTION_ID, _PARAMS = 1, 4
"""Of `p4.v1.Action`."""


class Calls:
    """Of actions without a restriction: the arguments of others are checked where they are decoded."""

    __slots__ = ("_calls", "pattern")

    def __init__(self, actions: Iterable[Action], group: int) -> None:
        """`group` is the number of the pattern's first group in the match."""
        patterns: list[bytes] = []
        found: list[_Call] = []
        for action in actions:
            if action.restriction:
                continue
            params = [wire.param_pattern(_PARAMS, param.id, param.width_bits) for param in action.params]
            head = re.escape(wire.number_field(_ACTION_ID, action.id))
            patterns.append(rb"(" + head + b"".join(pattern for pattern, _ in params) + rb")")
            arguments_of = of_numbers("(%s)", group + 1, [start for _, start in params], {})
            found.append((action.name, group, arguments_of))
            group += 1 + len(params)
        self.pattern = rb"(?:" + b"|".join(patterns) + rb")" if patterns else wire.NOTHING
        self._calls = tuple(found)

    def of(self, groups: Groups) -> ActionCall:
        """The one that was matched."""
        for name, marker, arguments_of in self._calls:
            if groups[marker] is not None:
                return ActionCall(action=name, arguments=arguments_of(groups))
        raise InternalError("a call was matched, and none of the actions")


def of_numbers(form: str, first: int, starts: Sequence[int], names: dict[str, Any]) -> Callable[[Groups], Any]:
    """A function of the values in groups from the first, each from its start.

    It is one expression, as one would write it by hand for these fields: a loop over them takes three times as long.
    """
    numbers = "".join(f"number(groups[{at}][{start}:], 'big')," for at, start in enumerate(starts, first))
    return eval(f"lambda groups: {form % numbers}", {"number": int.from_bytes, **names})
