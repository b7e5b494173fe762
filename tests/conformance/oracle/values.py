"""Byte strings, match fields and actions: whether they are well formed, and their canonical form.

Sections "Bytestrings", "Match Format" and "Action Specification".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from finsy.proto import p4r

from tests.conformance.oracle.judgement import BAD_BYTES, Code, Judgement
from tests.conformance.oracle.program import DEFAULT_ONLY, ENTRY_ONLY, Action, Kind, Program, Table, Value
from tests.conformance.oracle.restrictions import fulfils

Plain: TypeAlias = int | bytes
"""A value as the wire means it: a number, or an SDN string."""
Match: TypeAlias = tuple[tuple[int, tuple[Plain, ...]], ...]
"""Field ids in order, each with its numbers: value; value and prefix length; value and mask; low and high."""


_UNMAPPED = (Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE, Code.NOT_FOUND, Code.RESOURCE_EXHAUSTED)
_PARTS = {
    Kind.EXACT: ("value",),
    Kind.LPM: ("value", "prefix_length"),
    Kind.TERNARY: ("value", "mask"),
    Kind.RANGE: ("low", "high"),
    Kind.OPTIONAL: ("value", "mask"),
}


def to_bytes(value: Plain) -> bytes:
    """The shortest string."""
    if isinstance(value, bytes):
        return value
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def to_plain(data: bytes, value: Value, found: Judgement) -> Plain:
    """The value; when it is not within its type the fault is noted, and what is returned means nothing."""
    if value.is_translated:
        found.allow(*_UNMAPPED)  # only the device knows which there are
        if not value.width_bits:
            return data
    number = int.from_bytes(data, "big")
    if not data or number > value.highest:
        found.refuse(*BAD_BYTES)
    return number


def decode_matches(table: Table, given: Iterable[p4r.FieldMatch], found: Judgement) -> Match:
    """The key's fields, those that do not care left out."""
    matches: dict[int, tuple[Plain, ...]] = {}
    for one in given:
        field = table.fields.get(one.field_id)
        if field is None or one.field_id in matches:
            found.refuse(Code.INVALID_ARGUMENT)
            continue
        matches[field.id] = _decode_match(field, one, found)
    for field in table.fields.values():
        if field.kind is Kind.EXACT and field.id not in matches:
            found.refuse(Code.INVALID_ARGUMENT)
    return tuple(sorted(matches.items()))


def _decode_match(field: Value, given: p4r.FieldMatch, found: Judgement) -> tuple[Plain, ...]:
    if given.WhichOneof("field_match_type") != field.kind.value:
        found.refuse(Code.INVALID_ARGUMENT)
        return ()
    match field.kind:
        case Kind.EXACT:
            return (to_plain(given.exact.value, field, found),)
        case Kind.OPTIONAL:
            return (to_plain(given.optional.value, field, found),)
        case Kind.LPM:
            return _checked_lpm(field, to_plain(given.lpm.value, field, found), given.lpm.prefix_len, found)
        case Kind.TERNARY:
            value, mask = to_plain(given.ternary.value, field, found), to_plain(given.ternary.mask, field, found)
            if not isinstance(value, int) or not isinstance(mask, int) or not mask or value & ~mask:
                found.refuse(Code.INVALID_ARGUMENT)
            return value, mask
        case Kind.RANGE:
            low, high = to_plain(given.range.low, field, found), to_plain(given.range.high, field, found)
            is_ordered = isinstance(low, int) and isinstance(high, int) and low <= high
            if not is_ordered or (low, high) == (0, field.highest):
                found.refuse(Code.INVALID_ARGUMENT)
            return low, high


def _checked_lpm(field: Value, value: Plain, prefix_len: int, found: Judgement) -> tuple[Plain, ...]:
    rest = (1 << max(0, field.width_bits - prefix_len)) - 1
    if not 0 < prefix_len <= field.width_bits or (isinstance(value, int) and value & rest):
        found.refuse(Code.INVALID_ARGUMENT)
    return value, prefix_len


def check_restriction(table: Table, match: Match, priority: int, found: Judgement) -> None:
    """Of a key that fits its table."""
    if not table.restriction:
        return
    given, numbers = dict(match), {"::priority": priority}
    for field in table.fields.values():
        values = given.get(field.id) or ((0, field.highest) if field.kind is Kind.RANGE else (0, 0))
        if field.kind is Kind.OPTIONAL and field.id in given:
            values = (values[0], field.highest)
        for part, value in zip(_PARTS[field.kind], values, strict=False):
            assert isinstance(value, int)
            numbers[f"{field.name}::{part}"] = value
        if field.kind is Kind.EXACT:
            numbers[field.name] = numbers[f"{field.name}::value"]
    if not fulfils(table.restriction, numbers):
        found.refuse(Code.INVALID_ARGUMENT)


def encode_matches(table: Table, match: Match) -> list[p4r.FieldMatch]:
    return [_encode_match(table.fields[number], numbers) for number, numbers in match]


def _encode_match(field: Value, numbers: tuple[Plain, ...]) -> p4r.FieldMatch:
    made = p4r.FieldMatch(field_id=field.id)
    first, last = numbers[0], numbers[-1]
    match field.kind:
        case Kind.EXACT:
            made.exact.value = to_bytes(first)
        case Kind.OPTIONAL:
            made.optional.value = to_bytes(first)
        case Kind.LPM:
            assert isinstance(last, int)
            made.lpm.value, made.lpm.prefix_len = to_bytes(first), last
        case Kind.TERNARY:
            made.ternary.value, made.ternary.mask = to_bytes(first), to_bytes(last)
        case Kind.RANGE:
            made.range.low, made.range.high = to_bytes(first), to_bytes(last)
    return made


def decode_action(
    known: Program, scopes: Mapping[int, int], given: p4r.Action, found: Judgement, *, as_default: bool = False
) -> p4r.Action:
    """The canonical form: parameters by id, shortest strings."""
    action = known.actions.get(given.action_id)
    if action is None or given.action_id not in scopes:
        found.refuse(Code.INVALID_ARGUMENT)
        return p4r.Action()
    if scopes[action.id] == (ENTRY_ONLY if as_default else DEFAULT_ONLY):
        found.refuse(Code.PERMISSION_DENIED)
    params = _decode_params(action, given, found)
    if action.restriction and params.keys() == action.params.keys():
        named = {action.params[number].name: value for number, value in params.items()}
        if not fulfils(action.restriction, {name: value for name, value in named.items() if isinstance(value, int)}):
            found.refuse(Code.INVALID_ARGUMENT)
    encoded = [p4r.Action.Param(param_id=number, value=to_bytes(value)) for number, value in sorted(params.items())]
    return p4r.Action(action_id=action.id, params=encoded)


def _decode_params(action: Action, given: p4r.Action, found: Judgement) -> dict[int, Plain]:
    params: dict[int, Plain] = {}
    for one in given.params:
        param = action.params.get(one.param_id)
        if param is None or one.param_id in params:
            found.refuse(Code.INVALID_ARGUMENT)
            continue
        params[param.id] = to_plain(one.value, param, found)
    if params.keys() != action.params.keys():
        found.refuse(Code.INVALID_ARGUMENT)
    return params
