"""What a P4 profile cannot say. Nothing is left out of a program silently."""

from __future__ import annotations

from compiler.ir.tables import Selector
from compiler.span import NOWHERE, InternalError, Span


class UnprintableError(InternalError):
    """A part of the pipeline has no equal in the profile; pipelines are written by us, so it is our mistake."""

    def __init__(self, profile: str, what: str, span: Span = NOWHERE) -> None:
        super().__init__(f"{span}: {profile} cannot say it: {what}")
        self.profile = profile
        self.span = span


def refuse_turns(profile: str, selector: Selector) -> None:
    """A P4 action selector picks by a hash, whatever it is given; a number in that hash would be chance."""
    if selector.turns is not None:
        raise UnprintableError(
            profile, f"members of selector {selector.name} that get turns", selector.turns.asked.span
        )
    if selector.fewest is not None:
        raise UnprintableError(
            profile, f"members of selector {selector.name} with the fewest entries", selector.fewest.asked.span
        )
