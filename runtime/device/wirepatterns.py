"""Patterns of match fields and parameters in their wire form, as protobuf writes them. Pure; for `wireforms`.

Protobuf writes fields by their numbers, each as a tag and a value, what is 0 or empty not at all. A pattern spells out
every length that a value of its width may have, longest first, so lengths of messages are held to as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

VARINT, LENGTH = 0, 2
"""Wire types."""
FIELD_ID, EXACT, LPM = 1, 2, 4
"""Of `p4.v1.FieldMatch`."""
VALUE, PREFIX_LEN = 1, 2
"""Of its kinds."""
PARAM_ID, PARAM_VALUE = 2, 3
"""Of `p4.v1.Action.Param`."""
ANY_LENGTH = rb"(?:[\x00-\x7f]|[\x80-\xff][\x00-\x7f])"
LONGEST_BYTE = 127
"""A number above it takes two bytes, or more."""
SHORT, NOTHING = rb"[\x00-\x7f]", rb"(?!)"
"""A length of one byte; what never matches."""


def varint(value: int) -> bytes:
    out = bytearray()
    while value > LONGEST_BYTE:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_at(raw: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends. Raises IndexError when the bytes end before it does."""
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte <= LONGEST_BYTE:
            return value, at


def number_field(field: int, value: int) -> bytes:
    return varint(field << 3 | VARINT) + varint(value)


def bytes_field(field: int, value: bytes) -> bytes:
    return varint(field << 3 | LENGTH) + varint(len(value)) + value


def tag(field: int) -> bytes:
    """Of a field that has a length."""
    return varint(field << 3 | LENGTH)


def exact_field(number: int, field_id: int, value: bytes) -> bytes:
    """A match field; `number` is that of match fields in their entry."""
    return bytes_field(number, number_field(FIELD_ID, field_id) + bytes_field(EXACT, bytes_field(VALUE, value)))


def lpm_field(number: int, field_id: int, value: bytes, prefix: bytes) -> bytes:
    """The same; `prefix` is what `prefix_length` gives."""
    return bytes_field(number, number_field(FIELD_ID, field_id) + bytes_field(LPM, bytes_field(VALUE, value) + prefix))


def prefix_length(length: int) -> bytes:
    return number_field(PREFIX_LEN, length)


def param_field(number: int, param_id: int, value: bytes) -> bytes:
    """`number` is that of parameters in their action."""
    return bytes_field(number, number_field(PARAM_ID, param_id) + bytes_field(PARAM_VALUE, value))


def exact_pattern(number: int, field_id: int, width_bits: int) -> tuple[bytes, int]:
    """A group that matches the whole field, and how many of its bytes come before the value."""
    heads = [(exact_field(number, field_id, bytes(size))[:-size], size) for size in _sizes(width_bits)]
    return _group(re.escape(head) + _value(size, width_bits) for head, size in heads), len(heads[0][0])


def lpm_pattern(number: int, field_id: int, width_bits: int) -> tuple[bytes, int]:
    """The same. Behind the value come a tag and the prefix length: one byte, two for 128."""
    head, tag = b"", re.escape(varint(PREFIX_LEN << 3 | VARINT))
    endings = [(1, rb"[\x01-\x7f]")] + [(2, rb"\x80\x01")] * (width_bits > LONGEST_BYTE)
    found: list[bytes] = []
    for size in _sizes(width_bits):
        for length, ending in endings:
            head = lpm_field(number, field_id, bytes(size), bytes(1 + length))[: -size - 1 - length]
            found.append(re.escape(head) + _value(size, width_bits) + tag + ending)
    return _group(found) + b"?", len(head)


def param_pattern(number: int, param_id: int, width_bits: int) -> tuple[bytes, int]:
    heads = [(param_field(number, param_id, bytes(size))[:-size], size) for size in _sizes(width_bits)]
    return _group(re.escape(head) + _value(size, width_bits) for head, size in heads), len(heads[0][0])


def _sizes(width_bits: int) -> range:
    return range((width_bits + 7) // 8, 0, -1)


def _value(size: int, width_bits: int) -> bytes:
    """`size` bytes, of which no bit above the width is set."""
    spare = size * 8 - width_bits
    if spare <= 0:
        return b".{%d}" % size
    return rb"[\x00-" + re.escape(bytes([0xFF >> spare])) + b"]" + b".{%d}" % (size - 1)


def _group(alternatives: Iterator[bytes] | list[bytes]) -> bytes:
    return b"(" + b"|".join(alternatives) + b")"
