"""One match field of a table, compiled from its key: `p4.v1.FieldMatch` to a match value and back.

The rules are those of the specification's section "Match Format". A field that does not care is never on the wire:
it is an absent `FieldMatch`, and here the kind's wildcard value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from finsy.proto import p4r

from compiler.ir.entries import Exact, Lpm, MatchValue, Optional, Range, Ternary, numbers_of
from compiler.ir.expressions import width_bits
from compiler.ir.tables import Key, MatchKind
from runtime.device.bytestrings import bits, to_bytes, to_int
from runtime.device.refusals import invalid
from runtime.device.translation import Translation


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchCodec:
    """`wildcard` is None for exact fields, which must be there. `where` names table and field in texts."""

    id: int
    name: str
    kind: MatchKind
    width_bits: int
    where: str
    wildcard: MatchValue | None
    decode: Callable[[p4r.FieldMatch], MatchValue]
    """Raises INVALID_ARGUMENT; the message's field id is the caller's affair."""
    translation: Translation | None = None

    def encode(self, value: MatchValue) -> p4r.FieldMatch | None:
        """The message, None for a wildcard."""
        if value == self.wildcard:
            return None
        if self.translation is not None:
            return _encode_translated(self.id, value, self.translation)
        return _encode(self.id, value)


def match_codec(table: str, key: Key, translation: Translation | None = None) -> MatchCodec:
    """`translation` where the key has a translated type; it is exact or optional then."""
    width = width_bits(key.expr)
    where = f"table {table}, match field {key.name}"
    return MatchCodec(
        id=key.id,
        name=key.name,
        kind=key.match,
        width_bits=width,
        where=where,
        wildcard=_wildcard(key.match, width),
        decode=_decoder(key.match, width, where, translation),
        translation=translation,
    )


def _wildcard(kind: MatchKind, width: int) -> MatchValue | None:
    match kind:
        case MatchKind.EXACT:
            return None
        case MatchKind.LPM:
            return Lpm(value=0, prefix_len=0)
        case MatchKind.TERNARY:
            return Ternary(value=0, mask=0)
        case MatchKind.RANGE:
            return Range(low=0, high=(1 << width) - 1)
        case MatchKind.OPTIONAL:
            return Optional(value=None)


def _decoder(
    kind: MatchKind, width: int, where: str, translation: Translation | None
) -> Callable[[p4r.FieldMatch], MatchValue]:
    make = {
        MatchKind.EXACT: _exact,
        MatchKind.LPM: _lpm,
        MatchKind.TERNARY: _ternary,
        MatchKind.RANGE: _range,
        MatchKind.OPTIONAL: _optional,
    }[kind]
    decode = make(width, where) if translation is None else _translated(kind, translation, where)
    expected = kind.value

    def checked(message: p4r.FieldMatch) -> MatchValue:
        given = message.WhichOneof("field_match_type")
        if given != expected:
            raise invalid(f"{where}: is matched as {expected}, given is {given or 'nothing'}")
        return decode(message)

    return checked


def _translated(kind: MatchKind, translation: Translation, where: str) -> Callable[[p4r.FieldMatch], MatchValue]:
    def decode(message: p4r.FieldMatch) -> MatchValue:
        if kind is MatchKind.EXACT:
            return Exact(value=translation.decode(message.exact.value, where))
        return Optional(value=translation.decode(message.optional.value, where))

    return decode


def _exact(width: int, where: str) -> Callable[[p4r.FieldMatch], MatchValue]:
    def decode(message: p4r.FieldMatch) -> MatchValue:
        return Exact(value=to_int(message.exact.value, width, where))

    return decode


def _lpm(width: int, where: str) -> Callable[[p4r.FieldMatch], MatchValue]:
    def decode(message: p4r.FieldMatch) -> MatchValue:
        value, prefix_len = to_int(message.lpm.value, width, where), message.lpm.prefix_len
        if prefix_len == 0:
            raise invalid(f"{where}: a prefix of length 0 matches anything; the field is left out then")
        if not 0 < prefix_len <= width:
            raise invalid(f"{where}: prefix length {prefix_len} is not within 1 to {width}")
        if value & ((1 << width - prefix_len) - 1):
            raise invalid(f"{where}: value {value:#x} has bits set behind its prefix of {bits(prefix_len)}")
        return Lpm(value=value, prefix_len=prefix_len)

    return decode


def _ternary(width: int, where: str) -> Callable[[p4r.FieldMatch], MatchValue]:
    def decode(message: p4r.FieldMatch) -> MatchValue:
        value = to_int(message.ternary.value, width, where)
        mask = to_int(message.ternary.mask, width, f"{where}, mask")
        if mask == 0:
            raise invalid(f"{where}: a mask of 0 matches anything; the field is left out then")
        if value & ~mask:
            raise invalid(f"{where}: value {value:#x} has bits set outside of mask {mask:#x}")
        return Ternary(value=value, mask=mask)

    return decode


def _range(width: int, where: str) -> Callable[[p4r.FieldMatch], MatchValue]:
    highest = (1 << width) - 1

    def decode(message: p4r.FieldMatch) -> MatchValue:
        low = to_int(message.range.low, width, f"{where}, low end")
        high = to_int(message.range.high, width, f"{where}, high end")
        if low > high:
            raise invalid(f"{where}: the low end {low} is above the high end {high}")
        if low == 0 and high == highest:
            raise invalid(f"{where}: a range of all values matches anything; the field is left out then")
        return Range(low=low, high=high)

    return decode


def _optional(width: int, where: str) -> Callable[[p4r.FieldMatch], MatchValue]:
    def decode(message: p4r.FieldMatch) -> MatchValue:
        return Optional(value=to_int(message.optional.value, width, where))

    return decode


def _encode_translated(field_id: int, value: MatchValue, translation: Translation) -> p4r.FieldMatch:
    message = p4r.FieldMatch(field_id=field_id)
    (number, *_) = numbers_of(value)
    if isinstance(value, Exact):
        message.exact.value = translation.encode(number)
    else:
        message.optional.value = translation.encode(number)
    return message


def _encode(field_id: int, value: MatchValue) -> p4r.FieldMatch:
    message = p4r.FieldMatch(field_id=field_id)
    match value:
        case Exact():
            message.exact.value = to_bytes(value.value)
        case Lpm():
            message.lpm.value, message.lpm.prefix_len = to_bytes(value.value), value.prefix_len
        case Ternary():
            message.ternary.value, message.ternary.mask = to_bytes(value.value), to_bytes(value.mask)
        case Range():
            message.range.low, message.range.high = to_bytes(value.low), to_bytes(value.high)
        case Optional():
            message.optional.value = to_bytes(value.value or 0)
    return message
