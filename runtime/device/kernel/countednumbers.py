"""The numbers by which learned entries say for which member of a selector they count (`compiler.ir.tables.Fewest`).

A number outlives its member while entries have it: a member of the same id gets it back, and no other one does. So of
all numbers those are free that no member has and for which nothing counts, which the store's map of counts says.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import partial

from compiler.ir.turns import MAX_COUNTED
from compiler.span import InternalError
from runtime.bpf.maps import Map
from runtime.device.undo import UndoLog

_NUMBER = struct.Struct("=I")
AT_ONCE = 64
"""Counts that are looked up together: new members come in batches, and each asks for the next number."""


class CountedNumbers:
    """Of one selector; `counts` is the map `<store>_counts` (ebpf/include/turnout/flow_table.h)."""

    def __init__(self, counts: Map, undo: UndoLog) -> None:
        self._counts = counts
        self._undo = undo
        self._numbers: dict[int, int] = {}
        """By member id."""
        self._left: dict[int, int] = {}
        """Of members that have gone, by id, until somebody else gets them."""
        self._left_by: dict[int, int] = {}
        """Who has gone and left a number."""
        self._expected: dict[int, int] = {}
        self._used: dict[int, int] = {}
        """Whose a number is."""
        self._last = 0
        self._first, self._read = 0, b""
        """The counts that were looked up last in this batch, and the number of the first of them."""

    def expect(self, numbers: Mapping[int, int]) -> None:
        """Members that are about to come have these already, by member id. Before any is taken."""
        self._expected = {member: number for member, number in numbers.items() if number}
        self._used = {number: member for member, number in self._expected.items()}

    def take(self, member_id: int) -> int:
        """For a new member. There are as many as a selector may have members, so one is always left."""
        last = self._last
        number = self._expected.pop(member_id, 0) or self._left.get(member_id, 0) or self._free()
        self._undo.note(partial(self._go_back, last))
        self._not_left_any_more(number)
        self._undo.put(self._numbers, member_id, number)
        self._undo.put(self._used, number, member_id)
        return number

    def take_many(self, member_ids: Sequence[int]) -> list[int]:
        """The same for many, of which none is there, and none twice."""
        if any(member_id in self._expected or member_id in self._left for member_id in member_ids):
            return [self.take(member_id) for member_id in member_ids]
        found: list[int] = []
        self._undo.note(partial(self._forget_many, member_ids, found, self._last))
        for member_id in member_ids:
            number = self._free()
            self._not_left_any_more(number)
            self._used[number] = member_id
            found.append(number)
        self._numbers.update(zip(member_ids, found, strict=True))
        return found

    def _forget_many(self, member_ids: Sequence[int], found: Sequence[int], last: int) -> None:
        for member_id, number in zip(member_ids, found, strict=False):
            self._numbers.pop(member_id, None)
            del self._used[number]
        self._go_back(last)

    def _go_back(self, last: int) -> None:
        self._last = last

    def _not_left_any_more(self, number: int) -> None:
        if number in self._left_by:
            self._undo.pop(self._left, self._undo.pop(self._left_by, number))

    def of(self, member_id: int) -> int:
        return self._numbers[member_id]

    def give_back(self, member_id: int) -> None:
        number = self._undo.pop(self._numbers, member_id)
        self._undo.pop(self._used, number)
        self._undo.put(self._left, member_id, number)
        self._undo.put(self._left_by, number, member_id)

    def counts(self) -> dict[int, int]:
        """How many entries count for each member, by id; those with none left out."""
        _, values = self._counts.lookup_batch()
        step = self._counts.details.buffer_size
        found = ((member, _NUMBER.unpack_from(values, number * step)[0]) for member, number in self._numbers.items())
        return {member: count for member, count in found if count}

    def _free(self) -> int:
        """The next one for which nothing counts; where all of them have entries, the one with the fewest."""
        fewest: tuple[int, int] | None = None
        for step in range(1, MAX_COUNTED + 1):
            number = (self._last + step - 1) % MAX_COUNTED + 1
            if number in self._used:
                continue
            count = self._count(number)
            if not count:
                self._last = number
                return number
            if fewest is None or count < fewest[0]:
                fewest = count, number
        if fewest is None:
            raise InternalError("a selector has no more members than there are numbers")
        return fewest[1]

    def _count(self, number: int) -> int:
        """As it was in this batch."""
        step = self._counts.details.buffer_size
        at = (number - self._first) * step
        if not 0 <= at < len(self._read):
            self._first, self._read, at = number, self._counts.lookup_slots(number, AT_ONCE), 0
            self._undo.note(self._forget)
            self._undo.at_commit(self._forget)
        return _NUMBER.unpack_from(self._read, at)[0] if self._read else 0

    def _forget(self) -> None:
        self._read = b""
