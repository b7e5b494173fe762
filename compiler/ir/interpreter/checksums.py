"""Internet checksums (RFC 1071), computed and updated.

An update gives the same bytes as Linux's `csum_replace4` and `bpf_l4_csum_replace`: with sums in one's complement,

    new = ~fold(0xffff + ~old + ~m1 + m1' + ~m2 + m2' + ...)

which is RFC 1624, equation 3. The 0xffff (a zero of one's complement) makes the sum never the number 0, so an update
never yields 0xffff; where `zero_is_none` holds, 0 is then written as 0xffff (RFC 768).
"""

from __future__ import annotations


def word_sum(data: bytes) -> int:
    """The plain sum of 16-bit big-endian words; an odd last byte has a zero behind it."""
    if len(data) % 2:
        data += b"\0"
    return sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))


def fold(total: int) -> int:
    """The one's complement sum in 16 bits; 0 only for 0."""
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def computed(data: bytes, *, zero_is_none: bool = False) -> int:
    """The checksum of `data`, in which the checksum field itself is 0."""
    result = ~fold(word_sum(data)) & 0xFFFF
    return 0xFFFF if zero_is_none and result == 0 else result


def updated(checksum: int, old: bytes, new: bytes, *, zero_is_none: bool = False) -> int:
    """The checksum after covered bytes changed from `old` to `new`, both of one even length, at even offsets."""
    if zero_is_none and checksum == 0:
        return 0
    inverted = bytes(byte ^ 0xFF for byte in old)
    result = ~fold(0xFFFF + (~checksum & 0xFFFF) + word_sum(inverted) + word_sum(new)) & 0xFFFF
    return 0xFFFF if zero_is_none and result == 0 else result
