"""Damage to any field of any message, found by walking descriptors: what `faults` has no name for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.conformance.fuzzing.dice import Dice

_NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: (1, 0, -1, (1 << 31) - 1, -(1 << 31)),
    FieldDescriptor.CPPTYPE_INT64: (1, 0, -1, (1 << 63) - 1, -(1 << 63)),
    FieldDescriptor.CPPTYPE_UINT32: (1, 0, 2, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (1, 0, (1 << 64) - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: (1.0, 0.0, float("inf")),
    FieldDescriptor.CPPTYPE_FLOAT: (1.0, 0.0, float("inf")),
    FieldDescriptor.CPPTYPE_BOOL: (True, False),
    FieldDescriptor.CPPTYPE_ENUM: (1, 0, 2, 3, 4, 99),
}
_UNKNOWN_FIELD = b"\xfa\x3f\x03abc"
"""Number 1023, of three bytes: no message here has it, and whoever reads it passes it over."""


def damage(dice: Dice, message: Message) -> None:
    """Change one place, somewhere in it; unset ones as well."""
    inner = list(_messages(message))
    chosen = inner[0] if dice.rarely(4) else dice.one(inner)
    match dice.below(6):
        case 0:
            _set(dice, chosen, dice.one(chosen.DESCRIPTOR.fields))
        case 1:
            _clear(dice, chosen)
        case 2:
            _repeat(dice, chosen)
        case 3:
            _swap(dice, chosen, dice.one(inner))
        case 4:
            _scramble(dice, chosen)
        case _:
            chosen.MergeFromString(_UNKNOWN_FIELD)


def _messages(message: Message) -> Iterator[Message]:
    """It and all that is set in it."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for one in value if field.is_repeated else (value,):
                yield from _messages(one)


def _set(dice: Dice, message: Message, field: Any) -> None:
    if field.is_repeated:
        place = getattr(message, field.name)
        if field.message_type is not None:
            place.add()
        else:
            place.append(_value(dice, field))
    elif field.message_type is not None:
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, _value(dice, field))


def _value(dice: Dice, field: Any) -> Any:
    if field.type == field.TYPE_BYTES:
        return dice.bytes(5)
    if field.type == field.TYPE_STRING:
        return dice.one(("a", "", "\N{SNOWMAN}", "x" * 300))
    return dice.one(_NUMBERS[field.cpp_type])


def _clear(dice: Dice, message: Message) -> None:
    set_fields = [field for field, _ in message.ListFields()]
    if set_fields:
        message.ClearField(dice.one(set_fields).name)


def _repeat(dice: Dice, message: Message) -> None:
    """An element of a repeated field once more."""
    places = [value for field, value in message.ListFields() if field.is_repeated and field.message_type is not None]
    if places:
        place = dice.one(places)
        place.add().CopyFrom(place[dice.below(len(place) - 1)])


def _swap(dice: Dice, one: Message, other: Message) -> None:
    """Two messages of one kind change places, or one takes over a field of the other."""
    if one.DESCRIPTOR is other.DESCRIPTOR:
        kept = one.SerializeToString()
        one.CopyFrom(other)
        other.ParseFromString(kept)
        return
    for field, value in other.ListFields():
        target = one.DESCRIPTOR.fields_by_name.get(field.name)
        if target is not None and target.type == field.type and not field.is_repeated and field.message_type is None:
            setattr(one, field.name, value)
            return


def _scramble(dice: Dice, message: Message) -> None:
    """Random bytes in a field of bytes."""
    fields = [field for field in message.DESCRIPTOR.fields if field.type == field.TYPE_BYTES and not field.is_repeated]
    if fields:
        setattr(message, dice.one(fields).name, dice.bytes(20))
