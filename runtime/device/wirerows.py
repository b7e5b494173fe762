"""Rows as entries in their wire form, byte by byte as protobuf writes them: the opposite of `wireforms`. Pure.

To make a message of an entry field by field, only to have it written, takes ten times as long as to put its bytes
together; a million entries are read that way, and written to snapshots of the journal. Tables whose entries `wireforms`
recognises have such a form; it says what `TableCodec.encode` would (tests/property/test_wire_forms.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from compiler.ir.entries import ActionCall
from compiler.ir.expressions import width_bits
from compiler.ir.tables import Action, Key, MatchKind, Table
from compiler.printers.layout_struct import number_size
from runtime.device import wirepatterns as wire
from runtime.device.records import Row, RowAction, Tally

EncodeAction = Callable[[RowAction], bytes]
"""To the bytes of a `p4.v1.TableAction`."""
_TABLE_ID, _MATCH, _ACTION, _COOKIE, _COUNTER_DATA, _METADATA = 1, 2, 3, 5, 7, 11
"""Of `p4.v1.TableEntry`."""
_BYTES, _PACKETS = 1, 2
"""Of `p4.v1.CounterData`."""
_ACTION_ID, _PARAMS = 1, 4
"""Of `p4.v1.Action`."""
_CALL = 1
"""Of `p4.v1.TableAction`."""
_PREFIX_BYTES = 2
"""Of a prefix length in a `RowKey`."""
_ZERO = b"\0"
_LENGTHS = tuple(wire.varint(length) for length in range(1024))
_ENTRY_TAG, _ENTITY_TAG = wire.tag(2), wire.tag(1)
"""`p4.v1.Entity.table_entry` and `p4.v1.ReadResponse.entities`."""
_UPDATE_TAG, _INSERT, _UPDATED_TAG = wire.tag(4), wire.number_field(1, 1), wire.tag(2)
"""`p4.v1.WriteRequest.updates`; of `p4.v1.Update` its type and the tag of its entity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """Where a field is in a `RowKey`, and what comes before its value, by the value's length.

    `endings` is what comes behind the value of an lpm field, by the length of its prefix, and `long_heads` what comes
    before one whose prefix length takes two bytes.
    """

    start: int
    end: int
    heads: Sequence[bytes]
    long_heads: Sequence[bytes] = ()
    endings: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """An action: its id, and what comes before each argument, by the argument's length."""

    head: bytes
    params: Sequence[Sequence[bytes]]


class RowForm:
    """The wire form of one table's rows."""

    __slots__ = ("_calls", "_encode_action", "_fields", "_head")

    def __init__(self, table: Table, actions: Mapping[str, Action], encode_action: EncodeAction) -> None:
        self._head = wire.number_field(_TABLE_ID, table.id)
        self._fields = _fields(table.keys)
        self._calls = {ref.name: _call(actions[ref.name]) for ref in table.actions}
        self._encode_action = encode_action

    def write(self, row: Row, counted: bytes = b"") -> bytes:
        """A `p4.v1.TableEntry`; `counted` is what `counter_data` has made."""
        parts = [self._head]
        self._write_key(row.key, parts)
        action = row.action
        raw = self._written(action) if isinstance(action, ActionCall) else self._encode_action(action)
        parts.append(_framed(wire.tag(_ACTION), raw))
        if row.controller_metadata:
            parts.append(wire.number_field(_COOKIE, row.controller_metadata))
        parts.append(counted)
        if row.metadata:
            parts.append(wire.bytes_field(_METADATA, row.metadata))
        return b"".join(parts)

    def _write_key(self, key: bytes, parts: list[bytes]) -> None:
        for field in self._fields:
            value = key[field.start : field.end].lstrip(_ZERO) or _ZERO
            if not field.endings:
                parts += (field.heads[len(value)], value)
                continue
            length = int.from_bytes(key[field.end : field.end + _PREFIX_BYTES], "big")
            if length:
                heads = field.heads if length <= wire.LONGEST_BYTE else field.long_heads
                parts += (heads[len(value)], value, field.endings[length])

    def _written(self, action: ActionCall) -> bytes:
        call = self._calls[action.action]
        raw = call.head
        for heads, number in zip(call.params, action.arguments, strict=True):
            size = (number.bit_length() + 7) // 8 or 1
            raw += heads[size] + number.to_bytes(size, "big")
        return _framed(wire.tag(_CALL), raw)


def counter_data(tally: Tally) -> bytes:
    """The field of an entry, there also when nothing was counted."""
    counts = ((_BYTES, tally.bytes), (_PACKETS, tally.packets))
    return wire.bytes_field(_COUNTER_DATA, b"".join(wire.number_field(n, count) for n, count in counts if count))


def read_response(entries: Iterable[bytes]) -> bytes:
    """A `p4.v1.ReadResponse`."""
    return b"".join([_framed(_ENTITY_TAG, _framed(_ENTRY_TAG, entry)) for entry in entries])


def inserts(entries: Iterable[bytes]) -> bytes:
    """A `p4.v1.WriteRequest` that inserts these."""
    return b"".join(
        [_framed(_UPDATE_TAG, _INSERT + _framed(_UPDATED_TAG, _framed(_ENTRY_TAG, entry))) for entry in entries]
    )


def _framed(tag: bytes, body: bytes) -> bytes:
    size = len(body)
    return tag + (_LENGTHS[size] if size < len(_LENGTHS) else wire.varint(size)) + body


def _fields(keys: Sequence[Key]) -> tuple[_Field, ...]:
    found: list[_Field] = []
    start = 0
    for key in keys:
        size = number_size(width_bits(key.expr))
        found.append(_field(key, start, size))
        start += size + _PREFIX_BYTES * (key.match is MatchKind.LPM)
    return tuple(found)


def _field(key: Key, start: int, size: int) -> _Field:
    if key.match is MatchKind.EXACT:
        heads = _heads(lambda value: wire.exact_field(_MATCH, key.id, value), size)
        return _Field(start=start, end=start + size, heads=heads)
    endings = [wire.prefix_length(length) for length in range(8 * size + 1)]
    heads, long_heads = (
        _heads(lambda value, ending=ending: wire.lpm_field(_MATCH, key.id, value, ending), size, len(ending))
        for ending in (endings[1], endings[-1])
    )
    return _Field(start=start, end=start + size, heads=heads, long_heads=long_heads, endings=endings)


def _call(action: Action) -> _Call:
    params = [
        _heads(lambda value, number=param.id: wire.param_field(_PARAMS, number, value), number_size(param.width_bits))
        for param in action.params
    ]
    return _Call(head=wire.number_field(_ACTION_ID, action.id), params=params)


def _heads(whole: Callable[[bytes], bytes], size: int, behind: int = 0) -> tuple[bytes, ...]:
    """What comes before a value of each length up to `size`, where `behind` bytes come after it."""
    return tuple(whole(bytes(length))[: -length - behind or None] for length in range(size + 1))
