"""Members of action profiles recognised in their wire form, as `wireforms` recognises entries. Pure.

A form says what the codec of the member's action would, or nothing (tests/property/test_wire_updates.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from compiler.ir.entries import ActionCall
from compiler.ir.tables import Action, Selector, Table
from runtime.device import wirepatterns as wire
from runtime.device.wirecalls import Calls
from runtime.device.wireforms import have_forms, offered

RecognisedMember: TypeAlias = tuple[int, ActionCall]
"""Id and action."""
_PROFILE_ID, _MEMBER_ID, _ACTION = 1, 2, 3
"""Of `p4.v1.ActionProfileMember`."""
_ID: Final = rb"([\x80-\xff]{0,3}[\x01-\x7f]|[\x80-\xff]{4}[\x01-\x0f])"
"""A number of 32 bits that is not 0, in as few bytes as it takes."""
_FIRST_GROUP = 2
"""Of the call, behind the id and what the whole action is."""


class MemberForm:
    """The wire form of the members of one selector, whose actions are those of its table."""

    __slots__ = ("_calls", "_match")

    def __init__(self, selector: Selector, table: Table, actions: Mapping[str, Action]) -> None:
        self._calls = Calls(offered(table, actions), _FIRST_GROUP)
        head = re.escape(wire.number_field(_PROFILE_ID, selector.id)) + re.escape(_tag(_MEMBER_ID, wire.VARINT)) + _ID
        action = re.escape(_tag(_ACTION, wire.LENGTH)) + wire.SHORT + rb"(" + self._calls.pattern + rb")"
        self._match = re.compile(head + action, re.DOTALL).match

    def read_within(self, raw: bytes, start: int, stop: int) -> RecognisedMember | None:
        """A `p4.v1.ActionProfileMember` as protobuf writes it, between two places."""
        found = self._match(raw, start, stop)
        if found is None or found.end() != stop:
            return None
        groups = found.groups()
        size = len(groups[1])
        if raw[stop - size - 1] != size:
            return None  # there is more in it than what was matched
        return wire.varint_at(groups[0], 0)[0], self._calls.of(groups)


def member_form(table: Table, actions: Mapping[str, Action]) -> MemberForm | None:
    """None where members are always read the plain way: their actions have more than forms know of."""
    is_possible = table.selector is not None and have_forms(table, actions)
    return MemberForm(table.selector, table, actions) if table.selector is not None and is_possible else None


def _tag(field: int, wire_type: int) -> bytes:
    return wire.varint(field << 3 | wire_type)
