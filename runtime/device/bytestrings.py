"""Integers as P4Runtime carries them (specification, section "Bytestrings"): big-endian, unsigned, shortest form.

Any number of leading zero bytes is taken, only the shortest form is given; the empty string is never a value.
"""

from __future__ import annotations

from runtime.device.refusals import invalid

SHOWN_BYTES = 20
"""Longer values are cut in texts."""


def to_bytes(value: int) -> bytes:
    """The canonical string: `00` for 0, no leading zero byte otherwise."""
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def shortest(data: bytes) -> bytes:
    """The canonical string of the same value."""
    return to_bytes(int.from_bytes(data, "big"))


def to_int(data: bytes, width_bits: int, what: str) -> int:
    """The number. Raises INVALID_ARGUMENT, naming `what`, for an empty string and for more than `width_bits` bits.

    The specification's section on bytestrings says OUT_OF_RANGE, those on match fields and action parameters, the only
    places where the device meets them, say INVALID_ARGUMENT.
    """
    if not data:
        raise invalid(f"{what}: the value is empty")
    value = int.from_bytes(data, "big")
    if value >> width_bits:
        raise invalid(f"{what}: value {shown(data)} does not fit in {bits(width_bits)}")
    return value


def shown(data: bytes) -> str:
    """A value for a text: `0x0a00` and so on, cut when long."""
    more = "..." if len(data) > SHOWN_BYTES else ""
    return f"0x{data[:SHOWN_BYTES].hex()}{more}"


def bits(width: int) -> str:
    return "1 bit" if width == 1 else f"{width} bits"
