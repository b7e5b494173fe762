"""How many masks and places the entries of a table have: what limits tables with ternary, range or optional keys.

Counted for both targets, so that both refuse the same, though only the kernel keeps such lists (`layout_ternary`).
"""

from __future__ import annotations

from collections import Counter

from compiler.ir.entries import MatchValue
from compiler.ir.expressions import width_bits
from compiler.ir.tables import MatchKind, Table
from compiler.printers.layout_ternary import MAX_MASKS, Numbers, has_masks, mask_layout, place_limit
from runtime.device.refusals import exhausted


class MaskCount:
    """Of the entries that are in one table."""

    def __init__(self, table: Table) -> None:
        kinds = [key.match for key in table.keys]
        self._table = table
        self._layout = mask_layout(table.name, [(key.name, width_bits(key.expr)) for key in table.keys])
        self._has_ranges = MatchKind.RANGE in kinds
        self._limit = place_limit(kinds, table.size)
        self._entries_of: Counter[Numbers] = Counter()
        self._places = 0

    @property
    def mask_count(self) -> int:
        """Different masks that its entries have now."""
        return len(self._entries_of)

    @property
    def prefixes(self) -> tuple[int, int] | None:
        """Of a table with ranges: the prefixes that they have become, and how many there is room for."""
        return (self._places, self._limit) if self._has_ranges else None

    def check_new(self, matches: tuple[MatchValue, ...]) -> None:
        """Raises RESOURCE_EXHAUSTED."""
        if self._has_ranges:
            self._check_places(self._layout.place_count(matches))
        new = {place.mask for place in self._layout.places(matches)} - self._entries_of.keys()
        if len(self._entries_of) + len(new) > MAX_MASKS:
            raise exhausted(
                f"table {self._table.name}: its entries have {len(self._entries_of)} different masks, this one needs "
                f"{len(new)} more, and at most {MAX_MASKS} are possible"
            )

    def add(self, matches: tuple[MatchValue, ...]) -> None:
        masks = [place.mask for place in self._layout.places(matches)]
        self._entries_of.update(masks)
        self._places += len(masks)

    def remove(self, matches: tuple[MatchValue, ...]) -> None:
        for place in self._layout.places(matches):
            self._places -= 1
            self._entries_of[place.mask] -= 1
            if not self._entries_of[place.mask]:
                del self._entries_of[place.mask]

    def _check_places(self, needed: int) -> None:
        free = self._limit - self._places
        if needed > free:
            raise exhausted(
                f"table {self._table.name} is full: the ranges of this entry become {needed} prefixes, and of the "
                f"{self._limit} that the table has room for {free} are free"
            )


def mask_count(table: Table) -> MaskCount | None:
    """None for a table without such keys."""
    return MaskCount(table) if has_masks([key.match for key in table.keys]) else None
