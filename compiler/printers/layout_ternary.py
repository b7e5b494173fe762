"""How entries with ternary, range or optional keys lie in BPF maps: tuple space search. Pure.

A table of such entries has a hash map by {mask id, masked key}, and a list of the masks that its entries have, at most
`MAX_MASKS`. A packet is looked up once with each mask; the entry of the largest rank (`compiler.ir.ranks`) wins. An
entry lies at one *place* for each combination of prefixes that its ranges become. Prefix lengths are cut to steps of
`STEP_BITS` from the low end: that takes more places than prefixes of any length would, but a quarter of the masks, and
masks are what packets pay for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from compiler.ir.entries import Exact, Lpm, MatchValue, Optional, Range, Ternary
from compiler.ir.tables import WITH_PRIORITY, MatchKind
from compiler.printers.layout_struct import StructLayout, natural

MAX_MASKS = 16
"""Each costs a packet a look-up."""
STEP_BITS = 4
PLACES_PER_ENTRY = 16
"""What a table with range keys has room for on average."""
MASK_ID, HIGHEST = "mask_id", "highest"
Numbers = tuple[int, ...]
"""One for each key."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is found: a packet's keys, masked, are `values`."""

    mask: Numbers
    values: Numbers


@dataclass(frozen=True, slots=True)
class MaskSlot:
    """A mask as the list holds it. `highest`: no entry with this mask has a larger rank."""

    mask: Numbers
    mask_id: int
    highest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskLayout:
    """The list of masks: one value of `MAX_MASKS` slots, those in use first."""

    table: str
    slot: StructLayout
    widths: Numbers

    @property
    def size(self) -> int:
        return MAX_MASKS * self.slot.size

    def encode(self, slots: Sequence[MaskSlot]) -> bytes:
        """Slots in the order in which packets look at them, the largest `highest` first; where it is 0 they end."""
        used = (self.slot.encode((slot.highest, slot.mask_id, *slot.mask)) for slot in slots)
        return b"".join(used).ljust(self.size, b"\0")

    def decode(self, raw: bytes) -> list[MaskSlot]:
        """The opposite of `encode`."""
        slots: list[MaskSlot] = []
        for at in range(0, self.size, self.slot.size):
            highest, mask_id, *mask = self.slot.decode(raw[at : at + self.slot.size])
            if not highest:
                break
            slots.append(MaskSlot(tuple(mask), mask_id, highest))
        return slots

    def places(self, matches: tuple[MatchValue, ...]) -> Iterator[Place]:
        """Every place of an entry; no packet is found at two of them."""
        for parts in product(*(_parts(m, w) for m, w in zip(matches, self.widths, strict=True))):
            yield Place(tuple(mask for _, mask in parts), tuple(value for value, _ in parts))

    def place_count(self, matches: tuple[MatchValue, ...]) -> int:
        """How many `places` gives."""
        return prod(sum(1 for _ in _parts(m, w)) for m, w in zip(matches, self.widths, strict=True))


def mask_layout(table: str, widths: Sequence[tuple[str, int]]) -> MaskLayout:
    """`widths` are (name, bits) of the keys."""
    slot = natural(f"{table}_mask", ((HIGHEST, 64), (MASK_ID, 32), *widths))
    return MaskLayout(table=table, slot=slot, widths=tuple(width for _, width in widths))


def has_masks(kinds: Sequence[MatchKind]) -> bool:
    return not WITH_PRIORITY.isdisjoint(kinds)


def place_limit(kinds: Sequence[MatchKind], size: int) -> int:
    """Places that a table of `size` entries has."""
    return size * PLACES_PER_ENTRY if MatchKind.RANGE in kinds else size


def prefixes(low: int, high: int, width: int) -> Iterator[tuple[int, int]]:
    """The (value, mask) pairs that a range of numbers of `width` bits is made of, from the lowest up."""
    full = (1 << width) - 1
    if low == 0 and high == full:
        yield 0, 0
        return
    while low <= high:
        size = 1
        while low % (size << STEP_BITS) == 0 and low + (size << STEP_BITS) - 1 <= high:
            size <<= STEP_BITS
        yield low, full & -size
        low += size


def _parts(match: MatchValue, width: int) -> Iterator[tuple[int, int]]:
    full = (1 << width) - 1
    match match:
        case Exact(value=value):
            yield value, full
        case Lpm(value=value, prefix_len=prefix_len):
            yield value, full ^ full >> prefix_len
        case Ternary(value=value, mask=mask):
            yield value, mask
        case Optional(value=value):
            yield (0, 0) if value is None else (value, full)
        case Range(low=low, high=high):
            yield from prefixes(low, high, width)
