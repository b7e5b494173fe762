"""The key of a table's entry as bytes: what a device names its entries by, and what they take least memory as. Pure.

The numbers of all fields (`compiler.ir.entries.numbers_of`) in the table's order, big-endian, and the priority where
the table has one: one string of bytes for each key, the same for equal keys. `runtime.device.schema` makes one form for
each table.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from compiler.ir.entries import Exact, Lpm, MatchValue, Optional, Range, Ternary, numbers_of
from compiler.ir.expressions import width_bits
from compiler.ir.tables import WITH_PRIORITY, Key, MatchKind
from compiler.printers.layout_struct import WORD, number_size
from runtime.device.records import RowKey

Numbers = Sequence[int]
PRIORITY_BITS = 32
_PREFIX_BITS = 16
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q", 16: "16s"}


class KeyForm:
    """`pack` takes one argument a number; `numbers_of` gives them back, the priority (if any) among them, last."""

    __slots__ = ("_kinds", "_starts", "has_priority", "numbers_of", "pack")

    def __init__(self, keys: Sequence[Key]) -> None:
        self._kinds = tuple(key.match for key in keys)
        self.has_priority = any(kind in WITH_PRIORITY for kind in self._kinds)
        widths: list[int] = []
        starts: list[int] = []
        for key in keys:
            starts.append(len(widths))
            widths += _widths(key.match, width_bits(key.expr))
        self._starts = tuple(starts)
        self.pack, self.numbers_of = _packing(widths + [PRIORITY_BITS] * self.has_priority)

    def key_of(self, matches: Sequence[MatchValue], priority: int = 0) -> RowKey:
        """One match for each field, of the kind that the field has."""
        numbers = [number for match in matches for number in numbers_of(match)]
        return self.pack(*numbers, priority) if self.has_priority else self.pack(*numbers)

    def matches_of(self, key: RowKey) -> tuple[MatchValue, ...]:
        numbers = self.numbers_of(key)
        return tuple(_match(kind, numbers, at) for kind, at in zip(self._kinds, self._starts, strict=True))

    def priority_of(self, key: RowKey) -> int:
        """0 in a table without priorities."""
        return int.from_bytes(key[-PRIORITY_BITS // 8 :], "big") if self.has_priority else 0


def unpacker(fields: Sequence[tuple[MatchKind, int]]) -> Callable[[RowKey], tuple[int, ...]]:
    """From a key without a priority to the numbers in it. Fields are kinds of match, and widths in bits."""
    return _packing([width for field in fields for width in _widths(*field)])[1]


def number_sizes(kind: MatchKind, width: int) -> list[int]:
    """Bytes in a key of each number that a field of some bits has."""
    return [number_size(one) for one in _widths(kind, width)]


def _widths(kind: MatchKind, width: int) -> list[int]:
    match kind:
        case MatchKind.EXACT:
            return [width]
        case MatchKind.LPM:
            return [width, _PREFIX_BITS]
        case MatchKind.TERNARY | MatchKind.RANGE:
            return [width, width]
        case MatchKind.OPTIONAL:
            return [width, 1]


def _match(kind: MatchKind, numbers: Numbers, at: int) -> MatchValue:
    match kind:
        case MatchKind.EXACT:
            return Exact(value=numbers[at])
        case MatchKind.LPM:
            return Lpm(value=numbers[at], prefix_len=numbers[at + 1])
        case MatchKind.TERNARY:
            return Ternary(value=numbers[at], mask=numbers[at + 1])
        case MatchKind.RANGE:
            return Range(low=numbers[at], high=numbers[at + 1])
        case MatchKind.OPTIONAL:
            return Optional(value=numbers[at] if numbers[at + 1] else None)


def _packing(widths: Sequence[int]) -> tuple[Callable[..., bytes], Callable[[bytes], tuple[int, ...]]]:
    """The two directions. Numbers that fit a word go through `struct` alone."""
    sizes = [number_size(width) for width in widths]
    codec = struct.Struct(">" + "".join(_CODES[size] for size in sizes))
    wide = [at for at, size in enumerate(sizes) if size > WORD]
    if not wide:
        return codec.pack, codec.unpack

    def pack(*numbers: int) -> bytes:
        items: list[int | bytes] = list(numbers)
        for at in wide:
            items[at] = numbers[at].to_bytes(2 * WORD, "big")
        return codec.pack(*items)

    def unpack(raw: bytes) -> tuple[int, ...]:
        items = list(codec.unpack(raw))
        for at in wide:
            items[at] = int.from_bytes(items[at], "big")
        return tuple(items)

    return pack, unpack
