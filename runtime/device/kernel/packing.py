"""Bytes of a table's keys and values, for many entries: what `compiler.printers.layout` encodes, made ready once.

The layout says what every byte means and checks what it is given; here numbers have been checked, and one call of
`struct` makes a key or a value of them (tests/unit/device/test_packing.py holds the two together).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate

from compiler.ir.entries import ActionCall
from compiler.ir.tables import MatchKind
from compiler.printers.layout import GroupSlice, MapKind, StructLayout, TableLayout, ValueLayout
from compiler.printers.layout_maps import SIDE_BITS
from compiler.printers.layout_values import GROUP_WORDS, VALUE_HEAD, group_words
from compiler.span import InternalError
from runtime.device.keyforms import number_sizes, unpacker
from runtime.device.records import RowKey

PackKey = Callable[[RowKey], bytes]
"""From a key of `runtime.device.keyforms` to the one in the map, on side 0."""
PackValue = Callable[[ActionCall, int], bytes]
"""From an action and the index of its entry's direct counter."""


def key_packer(table: TableLayout) -> PackKey:
    kinds = list(zip(table.matches, (member.width_bits for member in table.key_members), strict=True))
    if table.map.kind is MapKind.LPM_TRIE:
        return _trie_packer(table, [size for kind in kinds for size in number_sizes(*kind)])
    pack, side, numbers_of = _packer(table.key, "", table.key.size), table.side_index, unpacker(kinds)
    if table.map.kind is MapKind.ARRAY:
        return lambda key: pack(*numbers_of(key))

    def packed(key: RowKey) -> bytes:
        numbers = numbers_of(key)
        return pack(*numbers[:side], 0, *numbers[side:])

    return packed


def _trie_packer(table: TableLayout, sizes: Sequence[int]) -> PackKey:
    """The number of bits that count, the side, then the fields, which are big-endian here as there."""
    length, _, *fields = table.key.members
    exact = sum(m.width_bits for m, kind in zip(fields, table.matches, strict=True) if kind is MatchKind.EXACT)
    head, longest, behind = struct.Struct("<I"), fields[-1].width_bits, sizes[-1]
    if length.size != head.size:
        raise InternalError(f"{table.key.name} does not begin with a word")
    heads = [head.pack(SIDE_BITS + exact + count) + bytes(SIDE_BITS // 8) for count in range(longest + 1)]
    if sizes[:-1] == [member.size for member in fields]:
        return lambda key: heads[key[-1]] + key[:-behind]
    ends = list(accumulate(sizes[:-1]))
    places = [slice(end - member.size, end) for end, member in zip(ends, fields, strict=True)]
    return lambda key: heads[key[-1]] + b"".join([key[place] for place in places])


def value_packer(table: TableLayout) -> PackValue:
    """Of a table without a selector; one with a selector takes no actions."""
    return call_packer(table.value) if table.value is not None else _takes_none


def _takes_none(given: ActionCall | GroupSlice, counter: int) -> bytes:
    raise InternalError(f"a table takes actions, or groups where it has a selector, but not {given}, counter {counter}")


def group_packer(table: TableLayout) -> Callable[[GroupSlice, int], bytes]:
    """From a slice of the ring and the index of an entry's direct counter; of a table with a selector."""
    if table.group is None:
        return _takes_none
    pack = _packer(table.group, "", table.group.size)
    places = [GROUP_WORDS.index(member.name) for member in table.group.members]

    def packed(group: GroupSlice, counter: int) -> bytes:
        words = group_words(group, counter)
        return pack(*[words[place] for place in places])

    return packed


def call_packer(value: ValueLayout) -> PackValue:
    """Of a table, or of the members of a selector; what stands for the counter there is a member's number."""
    packers = _call_packers(value)
    return lambda call, counter: packers[call.action](counter, *call.arguments)


def _call_packers(value: ValueLayout) -> dict[str, Callable[..., bytes]]:
    """By action: counter and arguments to bytes."""
    head = VALUE_HEAD.format.removeprefix("<")
    return {
        action.name: partial(_packer(action.arguments, head, value.size), action.number) for action in value.actions
    }


def _packer(layout: StructLayout, head: str, size: int) -> Callable[..., bytes]:
    """The layout's own codec behind a head of two words, padded to `size` bytes; one argument a number."""
    if any(member.big_endian for member in layout.members):
        raise InternalError(f"{layout.name} is of a trie")
    body = layout.codec.format.removeprefix("<")
    codec = struct.Struct(f"<{head}{body}")
    codec = struct.Struct(f"{codec.format}{size - codec.size}x")
    first = 2 if head else 0
    wide = [first + at for at, member in enumerate(layout.members) if member.is_wide]
    if not wide:
        return codec.pack

    def pack(*numbers: int) -> bytes:
        items = list(numbers)
        for at in reversed(wide):
            items[at : at + 1] = (numbers[at] >> 64, numbers[at] & (1 << 64) - 1)
        return codec.pack(*items)

    return pack
