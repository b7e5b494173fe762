"""Structures as bytes: named members at offsets, and the codec between numbers and bytes. Pure.

Numbers are in the byte order of the target (little-endian) unless a member says big-endian; a number of more than 64
bits is two 64-bit words, the high one first. Gaps are written as zeros and ignored when read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from compiler.span import InternalError

WORD = 8
"""Bytes of the widest number that the target handles at once, and the strictest alignment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A number at `offset`, `size` bytes, of which the low `width_bits` are used."""

    name: str
    offset: int
    size: int
    width_bits: int
    big_endian: bool = False

    @property
    def is_wide(self) -> bool:
        """Two words instead of one number."""
        return self.size > WORD and not self.big_endian


@dataclass(frozen=True, slots=True, kw_only=True)
class StructLayout:
    """A structure of `size` bytes; `codec` packs its members in order, two items for a wide one."""

    name: str
    size: int
    members: tuple[Member, ...]
    codec: struct.Struct = field(compare=False, repr=False)

    def encode(self, values: Sequence[int]) -> bytes:
        """One value a member. Raises ValueError when there are too many or few, or one does not fit."""
        if len(values) != len(self.members):
            raise ValueError(f"{self.name} has {len(self.members)} members, got {len(values)} values")
        items: list[int | bytes] = []
        for member, value in zip(self.members, values, strict=True):
            if value < 0 or value >> member.width_bits:
                raise ValueError(f"{value} does not fit {self.name}.{member.name}, {member.width_bits} bits")
            if member.big_endian:
                items.append(value.to_bytes(member.size, "big"))
            elif member.is_wide:
                items += (value >> 64, value & (1 << 64) - 1)
            else:
                items.append(value)
        return self.codec.pack(*items)

    def decode(self, raw: bytes) -> tuple[int, ...]:
        """One value a member; `raw` has exactly `size` bytes."""
        items = iter(self.codec.unpack(raw))
        values: list[int] = []
        for member in self.members:
            if member.big_endian:
                values.append(int.from_bytes(next(items), "big"))
            elif member.is_wide:
                high, low = next(items), next(items)
                values.append(high << 64 | low)
            else:
                values.append(next(items))
        return tuple(values)

    def member(self, name: str) -> Member:
        return next(m for m in self.members if m.name == name)


def number_size(width_bits: int) -> int:
    """Bytes that a number of this width takes in memory."""
    for size in (1, 2, 4, 8, 16):
        if width_bits <= 8 * size:
            return size
    raise InternalError(f"a number of {width_bits} bits has no type in C")


def natural(name: str, members: Iterable[tuple[str, int]], *, size: int = 0) -> StructLayout:
    """Members given as (name, width in bits), each at its natural alignment, as a C compiler lays them out.

    The whole is padded to `size` bytes, or to its alignment.
    """
    placed: list[Member] = []
    at, alignment = 0, 1
    for member, width in members:
        length = number_size(width)
        step = min(length, WORD)
        at = round_up(at, step)
        placed.append(Member(name=member, offset=at, size=length, width_bits=width))
        at, alignment = at + length, max(alignment, step)
    at = round_up(at, alignment)
    if size and at > size:
        raise InternalError(f"{name} takes {at} bytes, there are {size}")
    return _made(name, tuple(placed), size or at)


def with_byte(struct: StructLayout, name: str) -> StructLayout:
    """The same members where they are, and one more byte: in the first gap, or behind them."""
    at = 0
    for member in struct.members:
        if at < member.offset:
            break
        at = member.offset + member.size
    byte = Member(name=name, offset=at, size=1, width_bits=8)
    alignment = max(min(member.size, WORD) for member in struct.members)
    members = sorted((*struct.members, byte), key=lambda member: member.offset)
    return _made(struct.name, tuple(members), round_up(max(struct.size, at + 1), alignment))


def packed(name: str, members: Iterable[tuple[str, int, bool]]) -> StructLayout:
    """Members given as (name, width in whole bytes as bits, big-endian), without gaps."""
    placed: list[Member] = []
    at = 0
    for member, width, big_endian in members:
        if width % 8:
            raise InternalError(f"{name}.{member} has {width} bits, which are no whole bytes")
        placed.append(Member(name=member, offset=at, size=width // 8, width_bits=width, big_endian=big_endian))
        at += width // 8
    return _made(name, tuple(placed), at)


def round_up(value: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-value // step) * step


_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def _made(name: str, members: tuple[Member, ...], size: int) -> StructLayout:
    parts: list[str] = []
    at = 0
    for member in members:
        parts.append(f"{member.offset - at}x")
        if member.big_endian:
            parts.append(f"{member.size}s")
        else:
            parts.append("QQ" if member.is_wide else _CODES[member.size])
        at = member.offset + member.size
    parts.append(f"{size - at}x")
    return StructLayout(name=name, size=size, members=members, codec=struct.Struct("<" + "".join(parts)))
