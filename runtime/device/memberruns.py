"""New members of an action profile that are handed to the target together: what `runtime.device.runs` does with them.

Other updates of members are few, and lead entries elsewhere: they are done one by one.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from finsy.proto import p4r

from compiler.ir.entries import Member
from runtime.device.refusals import RefusedError
from runtime.device.selectorcontents import SelectorContents
from runtime.device.target import Instance
from runtime.device.wiremembers import RecognisedMember


class MemberRun:
    """Inserts of one profile's members, checked and noted in its contents."""

    __slots__ = ("_contents", "_members", "_places", "kind")

    def __init__(self, contents: SelectorContents) -> None:
        self.kind = p4r.Update.INSERT
        self._contents = contents
        self._places: list[int] = []
        """Of the updates in their batch."""
        self._members: dict[int, Member] = {}

    @property
    def keys(self) -> Collection[int]:
        return self._members

    def take(self, place: int, recognised: RecognisedMember) -> bool:
        """Whether the update passes its check. It is noted then."""
        member_id, action = recognised
        member = Member(selector=self._contents.selector.name, id=member_id, action=action)
        try:
            self._contents.check_new_member(member)
        except RefusedError:
            return False
        self._contents.add_member(member)
        self._places.append(place)
        self._members[member_id] = member
        return True

    def hand_over(self, instance: Instance) -> list[int]:
        """Have the target do it. Returns the places of updates that it has not done; they are forgotten."""
        done = instance.insert_members(list(self._members.values()))
        self._forget(done, len(self._members))
        instance.undo.note(partial(self._forget, 0, done))
        return self._places[done:]

    def is_slow(self, instance: Instance) -> bool:
        return not instance.takes_many_members

    def take_back(self) -> None:
        """None of it has taken effect after all."""
        self._forget(0, len(self._members))

    def _forget(self, first: int, end: int) -> None:
        for member_id in list(self._members)[first:end][::-1]:
            self._contents.remove_member(member_id)
