"""A small reader of BTF (Documentation/bpf/btf.rst): global variables, structures and their members. Pure.

Used to set constants by name before a load, and by whoever wants to check that the layout of a map key in Python is
the one the C compiler chose. Reads little-endian BTF (all our targets), of a linked ELF as libbpf has fixed it up:
an unlinked ELF still has zeros where sections and offsets belong.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = 0xEB9F
INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(12, 20)
_ITEM_SIZE = {STRUCT: 12, UNION: 12, ENUM: 8, FUNC_PROTO: 8, DATASEC: 12, ENUM64: 12}
_TAIL_SIZE = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}
_SIZED = frozenset({INT, STRUCT, UNION, ENUM, ENUM64, FLOAT, DATASEC})
_DEEPEST = 64
_NAMES_ANOTHER = frozenset({TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG})


class BtfError(ValueError):
    """The bytes are no BTF that this reader knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A global of the C program: where it lies in its section, in bytes."""

    name: str
    section: str
    offset: int
    size: int
    is_signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a structure. `size` is in bytes, 0 for a flexible array; a bit field has `width_bits`."""

    name: str
    offset_bits: int
    size: int
    width_bits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Struct:
    """A structure or union, its size in bytes."""

    name: str
    size: int
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Type:
    name: str
    kind: int
    flag: bool
    size_or_type: int
    items: tuple[tuple[int, ...], ...] = ()
    item_names: tuple[str, ...] = ()
    tail: tuple[int, ...] = ()


_VOID = _Type(name="void", kind=0, flag=False, size_or_type=0)


class Btf:
    """The types of one program. Type id 0 is void."""

    def __init__(self, raw: bytes) -> None:
        """Raises `BtfError`."""
        try:
            self._types = (_VOID, *_read_types(raw))
        except (struct.error, ValueError, IndexError) as problem:
            raise BtfError(f"BTF ends early or is damaged: {problem}") from problem

    def variables(self) -> tuple[Variable, ...]:
        """All globals, in the order of their sections."""
        return tuple(
            self._variable(section.name, type_id, offset, size)
            for section in self._types
            if section.kind == DATASEC and section.name != ".maps"
            for type_id, offset, size in section.items
            if self._type(type_id).kind == VAR
        )

    def structs(self) -> tuple[Struct, ...]:
        """All named structures and unions."""
        return tuple(self._struct(t) for t in self._types if t.kind in (STRUCT, UNION) and t.name)

    def struct(self, name: str) -> Struct | None:
        """One structure or union by its tag, None if there is none."""
        return next((s for s in self.structs() if s.name == name), None)

    def size_of(self, type_id: int) -> int:
        """Bytes that a value of the type takes; 0 for void, functions and flexible arrays. Raises `BtfError`."""
        count = 1
        for _ in range(_DEEPEST):
            t = self._type(type_id)
            if t.kind in _NAMES_ANOTHER:
                type_id = t.size_or_type
            elif t.kind == ARRAY:
                type_id, count = t.tail[0], count * t.tail[2]
            else:
                return count * _own_size(t)
        raise BtfError("types refer to each other in a ring")

    def _type(self, type_id: int) -> _Type:
        if type_id >= len(self._types):
            raise BtfError(f"there is no type {type_id}")
        return self._types[type_id]

    def _resolve(self, type_id: int) -> _Type:
        for _ in range(_DEEPEST):
            t = self._type(type_id)
            if t.kind not in _NAMES_ANOTHER:
                return t
            type_id = t.size_or_type
        raise BtfError("types refer to each other in a ring")

    def _variable(self, section: str, type_id: int, offset: int, size: int) -> Variable:
        var = self._type(type_id)
        inner = self._resolve(var.size_or_type)
        signed = inner.kind == INT and bool((inner.tail[0] >> 24) & 1)
        return Variable(name=var.name, section=section, offset=offset, size=size, is_signed=signed)

    def _struct(self, t: _Type) -> Struct:
        members = (self._member(t.flag, *pair) for pair in zip(t.item_names, t.items, strict=True))
        return Struct(name=t.name, size=t.size_or_type, members=tuple(members))

    def _member(self, has_bit_fields: bool, name: str, item: tuple[int, ...]) -> Member:
        _, type_id, offset = item
        width = offset >> 24 if has_bit_fields else 0
        bits = offset & 0xFFFFFF if has_bit_fields else offset
        return Member(name=name, offset_bits=bits, size=self.size_of(type_id), width_bits=width)


def _own_size(t: _Type) -> int:
    if t.kind == PTR:
        return 8
    return t.size_or_type if t.kind in _SIZED else 0


def _read_types(raw: bytes) -> list[_Type]:
    magic, _version, _flags, header_len = struct.unpack_from("<HBBI", raw)
    if magic != MAGIC:
        raise BtfError(f"BTF starts with {magic:#06x}, not {MAGIC:#06x} (little-endian)")
    type_off, type_len, str_off, str_len = struct.unpack_from("<IIII", raw, 8)
    strings = raw[header_len + str_off : header_len + str_off + str_len]
    at = header_len + type_off
    end = at + type_len
    if end > len(raw):
        raise BtfError(f"BTF says {end} bytes, there are {len(raw)}")
    types: list[_Type] = []
    while at < end:
        found, at = _read_type(raw, at, strings)
        types.append(found)
    return types


def _read_type(raw: bytes, at: int, strings: bytes) -> tuple[_Type, int]:
    name_off, info, size_or_type = struct.unpack_from("<III", raw, at)
    at += 12
    kind, count = (info >> 24) & 0x1F, info & 0xFFFF
    if not 1 <= kind <= ENUM64:
        raise BtfError(f"BTF kind {kind} is unknown")
    item_size, tail_size = _ITEM_SIZE.get(kind, 0), _TAIL_SIZE.get(kind, 0)
    item = struct.Struct(f"<{item_size // 4}I")
    items = tuple(item.unpack_from(raw, at + item_size * n) for n in range(count)) if item_size else ()
    at += item_size * len(items)
    found = _Type(
        name=_text(strings, name_off),
        kind=kind,
        flag=bool(info >> 31),
        size_or_type=size_or_type,
        items=items,
        item_names=tuple(_text(strings, i[0]) for i in items) if kind in (STRUCT, UNION) else (),
        tail=struct.unpack_from(f"<{tail_size // 4}I", raw, at),
    )
    return found, at + tail_size


def _text(strings: bytes, offset: int) -> str:
    return strings[offset : strings.index(b"\0", offset)].decode()
