"""The updates of a request where they lie in its bytes, recognised there: no message is made of any of them. Pure.

A `p4.v1.WriteRequest` is a few fields and, one behind the other, its updates. Where an update is no more than its type
and an entry, a table's form (`runtime.device.wireforms`) reads the entry in place; where it is a member, that of its
profile does (`runtime.device.wiremembers`). Where it is short and no more than its type and something else, as a group
is, the answer is `NO_ENTRY`. For anything else, and for all that comes once another field lies between updates, it is
None, and whoever asks looks at the message: so the bytes have been decoded before, and these say nothing that the
message does not (tests/property/test_wire_updates.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Final, Literal, TypeAlias

from runtime.device import wirepatterns as wire
from runtime.device.wireforms import Recognised
from runtime.device.wiremembers import RecognisedMember

Read: TypeAlias = Callable[[bytes, int, int], Recognised | RecognisedMember | None]
"""A `p4.v1.TableEntry` or `p4.v1.ActionProfileMember` between two places in a request."""
Source: TypeAlias = tuple[int, int]
"""What an update is about: `TABLE` and the id of a table, `PROFILE` and that of an action profile."""
Given: TypeAlias = tuple[int, Source, Recognised | RecognisedMember]
"""An update: its type, what it is about, its entry or member."""
TABLE, PROFILE = 2, 3
"""The fields `table_entry` and `action_profile_member` of `p4.v1.Entity`."""
NO_ENTRY: Final = False
"""What an update is about is neither an entry of a table nor a member."""
Answer: TypeAlias = Given | Literal[False] | None
REMEMBERED = 4096
"""Beginnings of updates: a few for each table and length."""
_UPDATE = wire.tag(4)
"""`p4.v1.WriteRequest.updates`."""
_SHORT, _LONG = 13, 16
"""Bytes before the first match field: tags, type, id, and three lengths of one byte, or of two at most."""
_SHORT_MEMBER = 14
"""The same before a member's id. Ids of action profiles begin with 0x11 and so take a byte more."""
_LENGTH = rb"(" + wire.ANY_LENGTH + rb")"
_BEGINNING = re.compile(
    re.escape(_UPDATE) + _LENGTH + rb"\x08([\x01-\x03])\x12" + _LENGTH + rb"([\x12\x1a])" + _LENGTH + rb"(\x08)"
    # updates; type, entity; table_entry or action_profile_member; table_id or action_profile_id
    rb"([\x80-\xff]*[\x00-\x7f])",
    re.DOTALL,
)
_ENTRY, _MEMBER = wire.tag(TABLE), wire.tag(PROFILE)
_OTHER = re.compile(re.escape(_UPDATE) + rb"[\x00-\x7f]\x08[\x01-\x03]\x12.[\x02-\x7a]", re.DOTALL)
"""Updates, then type and entity, then a field of that; all lengths are of one byte."""
_FIXED = {1: 8, 5: 4}
"""Bytes of a value, by its wire type."""
_GROUP = frozenset({3, 4})
"""Wire types of no field that there is."""


def _nothing(_raw: bytes, _start: int, _stop: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Place:
    """Of an update that begins in some way: its type, whose it is, where its entry is, counted from there, its form."""

    kind: int = 0
    source: Source = (TABLE, 0)
    start: int = 0
    stop: int = 0
    read: Read = _nothing


class WireUpdates:
    """Of one pipeline. `forms` are those of its tables and action profiles."""

    __slots__ = ("_forms", "_places")

    def __init__(self, forms: Mapping[Source, Read]) -> None:
        self._forms = forms
        self._places: dict[bytes, _Place] = {}

    def read(self, raw: bytes, count: int) -> Iterator[Answer]:
        """All `count` updates of a request in their order; `raw` has been decoded without an error."""
        at, place_of = _first(raw), self._places.get
        for done in range(count):
            if raw[at : at + 1] != _UPDATE:
                yield from repeat(None, count - done)
                return
            size = raw[at + 1]
            if size <= wire.LONGEST_BYTE:
                head, end = raw[at : at + _SHORT], at + 2 + size
                field = head[6:7]
                if field == _MEMBER:
                    head = raw[at : at + _SHORT_MEMBER]
                elif field != _ENTRY and _is_of_another(head):
                    yield NO_ENTRY
                    at = end
                    continue
            else:
                head, end = raw[at : at + _LONG], _end(raw, at + 1)
            place = place_of(head) or self._find(head)
            found = place.read(raw, at + place.start, at + place.stop)
            yield None if found is None else (place.kind, place.source, found)
            at = end

    @property
    def remembered(self) -> int:
        return len(self._places)

    def _find(self, head: bytes) -> _Place:
        if len(self._places) >= REMEMBERED:
            self._places.clear()
        place = self._places[head] = self._place(head) or _Place()
        return place

    def _place(self, head: bytes) -> _Place | None:
        found = _BEGINNING.match(head)
        if found is None:
            return None
        ends = {found.end(group) + _number(found[group]) for group in (1, 3, 5)}
        source = found[4][0] >> 3, _number(found[7])
        form = self._forms.get(source)
        if len(ends) > 1 or form is None:
            return None  # there is more in it than an entry
        return _Place(kind=found[2][0], source=source, start=found.start(6), stop=ends.pop(), read=form)


def _is_of_another(head: bytes) -> bool:
    """Whether a short update ends where its entity does, and that where its first field does."""
    is_so = _OTHER.match(head) is not None and head[6] & 7 == wire.LENGTH
    return is_so and len(head) > 7 and head[1] - 4 == head[5] == head[7] + 2  # what tags, type and lengths take


def _first(raw: bytes) -> int:
    """Where the first update begins; the end, if what comes before is nothing that a client has reason to send."""
    at = 0
    while at < len(raw) and raw[at] != _UPDATE[0]:
        tag, at = wire.varint_at(raw, at)
        wire_type = tag & 7
        if wire_type in _GROUP:
            return len(raw)
        at = _over(raw, at, wire_type)
    return at


def _over(raw: bytes, at: int, wire_type: int) -> int:
    """Where a value ends."""
    if wire_type == wire.VARINT:
        return wire.varint_at(raw, at)[1]
    return at + _FIXED[wire_type] if wire_type in _FIXED else _end(raw, at)


def _end(raw: bytes, at: int) -> int:
    """Where something ends whose length is at a place."""
    size, at = wire.varint_at(raw, at)
    return at + size


def _number(varint: bytes) -> int:
    return wire.varint_at(varint, 0)[0]
