"""The list of masks of one table, as packets read it: which there are, in which order, and up to which rank.

The list is one value, on two sides as entries are: a packet reads the one that belongs to the entries it looks up.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from compiler.ir.ranks import highest_rank
from compiler.printers.layout_ternary import MAX_MASKS, MaskLayout, MaskSlot, Numbers
from compiler.span import InternalError
from runtime.device.kernel.sidedmap import SidedMap
from runtime.device.kernel.sides import Sides
from runtime.device.undo import UndoLog

_ONLY = bytes(4)
"""The key of the list."""


@dataclass(slots=True)
class _Slot:
    """A mask in use; `priorities` counts the places of each. Its id may have been that of a mask without entries."""

    mask_id: int
    priorities: Counter[int] = field(default_factory=lambda: Counter())
    heap: list[int] = field(default_factory=list[int])
    """Priorities as negative numbers, also some that are gone."""

    def add(self, priority: int) -> None:
        if not self.priorities[priority]:
            heapq.heappush(self.heap, -priority)
        self.priorities[priority] += 1

    def remove(self, priority: int) -> None:
        self.priorities[priority] -= 1
        if not self.priorities[priority]:
            del self.priorities[priority]

    @property
    def highest(self) -> int:
        """The largest priority; 0 for none."""
        while self.heap and -self.heap[0] not in self.priorities:
            heapq.heappop(self.heap)
        return -self.heap[0] if self.heap else 0


class MaskSlots:
    """Masks are named by their numbers, one for each key of the table."""

    def __init__(self, layout: MaskLayout, sides: Sides, mask_list: SidedMap, undo: UndoLog) -> None:
        self._layout = layout
        self._sides = sides
        self._undo = undo
        self._map = mask_list
        self._used: dict[Numbers, _Slot] = {}
        self._expected: dict[Numbers, int] = {}
        self._written = self._encode()

    def expect(self, raw: bytes) -> None:
        """A list of masks that packets read: those that come again have the ids that they have there."""
        for slot in self._layout.decode(raw):
            if 1 <= slot.mask_id <= MAX_MASKS and slot.mask_id not in self._expected.values():
                self._expected[slot.mask] = slot.mask_id

    def stop_expecting(self) -> None:
        self._expected.clear()

    def id_of(self, mask: Numbers) -> int:
        return self._used[mask].mask_id

    def use(self, masks: Sequence[Numbers], priority: int) -> None:
        """Before an entry is written at a place under each of `masks`; there are enough slots. Raises INTERNAL."""
        new = [mask for mask in dict.fromkeys(masks) if mask not in self._used]
        for mask in new:
            self._undo.put(self._used, mask, _Slot(self._new_id(mask)))
        for mask in masks:
            self._used[mask].add(priority)
            self._undo.note(partial(self._used[mask].remove, priority))
        self._write()

    def _new_id(self, mask: Numbers) -> int:
        """The one that it is expected to have; else one that no other has, or is expected to have if that can be."""
        used = {slot.mask_id for slot in self._used.values()}
        expected = self._expected.get(mask)
        if expected is not None and expected not in used:
            return expected
        free = [mask_id for mask_id in range(1, MAX_MASKS + 1) if mask_id not in used]
        if not free:
            raise InternalError(f"table {self._layout.table} gets more than {MAX_MASKS} masks")
        others = set(self._expected.values())
        return next((mask_id for mask_id in free if mask_id not in others), free[0])

    def leave(self, masks: Iterable[Numbers], priority: int) -> None:
        """After the entry is gone from a place under each of `masks`."""
        for mask in masks:
            slot = self._used[mask]
            slot.remove(priority)
            self._undo.note(partial(slot.add, priority))
            if not slot.priorities:
                self._undo.pop(self._used, mask)
        self._write()

    def _encode(self) -> bytes:
        in_order = sorted(self._used.items(), key=lambda used: (-used[1].highest, used[1].mask_id))
        return self._layout.encode(
            [MaskSlot(mask, slot.mask_id, highest_rank(slot.highest)) for mask, slot in in_order]
        )

    def _write(self) -> None:
        raw = self._encode()
        if raw != self._written:
            self._sides.write(self._map, _ONLY, raw)
            self._undo.note(partial(setattr, self, "_written", self._written))
            self._written = raw
