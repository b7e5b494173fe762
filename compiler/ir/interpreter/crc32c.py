"""CRC32c (RFC 9260, appendix A), updated by what changes at the front of what it covers.

A CRC is linear: flipping bits of the covered bytes flips bits of the CRC that depend on those and on how many bytes
follow, on nothing else. So the update needs what changed and the length, as an Internet checksum's needs what changed.

Polynomials over GF(2) are held as the CRC's register holds them, reflected: the highest bit is the factor of x^0.
"""

from __future__ import annotations

from typing import Final

POLYNOMIAL: Final = 0x82F63B78
"""x^32 + x^28 + x^27 + ... + 1 (0x1EDC6F41), reflected, without x^32."""
ONE: Final = 1 << 31
MAX_LENGTH: Final = 0xFFFF
"""Of an IP packet, in bytes; what is longer is taken modulo 65,536."""
FRONT_BYTES: Final = 4
"""What an update may change: the ports of SCTP."""


def times(left: int, right: int) -> int:
    """The product of two polynomials modulo the CRC's."""
    product = 0
    for bit in range(31, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (POLYNOMIAL if right & 1 else 0)
    return product


def _powers() -> tuple[int, ...]:
    found = [ONE >> 8]
    while len(found) < MAX_LENGTH.bit_length():
        found.append(times(found[-1], found[-1]))
    return tuple(found)


POWERS: Final = _powers()
"""x^8, x^16, x^32, ...: what 1, 2, 4, ... bytes multiply by."""


def behind(change: int, length: int) -> int:
    """How the register differs after `length` bytes of which the first four differ by `change`, in the wire's order
    read as a little-endian number."""
    for bit, power in enumerate(POWERS):
        if length >> bit & 1:
            change = times(change, power)
    return change


def updated(checksum: int, old: bytes, new: bytes, length: int) -> int:
    """The checksum of `length` bytes after the first `FRONT_BYTES` changed from `old` to `new`, as the 4
    bytes in the packet read big-endian.

    A field of 0 stays: the kernel leaves it so for a network card (or itself, later) to fill in.
    """
    if checksum == 0:
        return 0
    change = int.from_bytes(old[:FRONT_BYTES], "little") ^ int.from_bytes(new[:FRONT_BYTES], "little")
    return checksum ^ _wire(behind(change, length))


def _wire(register: int) -> int:
    """The register's lowest byte goes first (RFC 9260, appendix A)."""
    return int.from_bytes(register.to_bytes(4, "little"), "big")
