"""Members of a selector to pick from, for tests of each way of picking."""

from __future__ import annotations

from compiler.ir.entries import ActionCall, Group, Member, WeightedMember
from compiler.ir.interpreter.selection import Selection
from compiler.ir.tables import Selector


def selection_of(selector: Selector, *weights: int) -> Selection:
    """Members 1, 2, ... in group 1; group 2 is empty."""
    made = Selection(selector)
    members = tuple(WeightedMember(member_id=at, weight=weight) for at, weight in enumerate(weights, 1))
    for member in members:
        action = ActionCall(action="put", arguments=())
        made.insert_member(Member(selector=selector.name, id=member.member_id, action=action))
    made.insert_group(Group(selector=selector.name, id=1, members=members))
    made.insert_group(Group(selector=selector.name, id=2, members=()))
    return made
