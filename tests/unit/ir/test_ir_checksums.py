"""Updates give what Linux gives, and what a computation from scratch gives."""

from __future__ import annotations

import pytest

from compiler.ir.interpreter.checksums import computed, fold, updated, word_sum


def linux_replace(checksum: int, old: int, new: int) -> int:
    """`csum_replace4` of include/net/checksum.h: sums of 32 bits with end-around carry, then folded."""

    def add(left: int, right: int) -> int:
        total = left + right
        return (total & 0xFFFFFFFF) + (total >> 32)

    total = add(add(~checksum & 0xFFFFFFFF, ~old & 0xFFFFFFFF), new)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


EDGES = (0, 1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)


@pytest.mark.parametrize("checksum", EDGES)
def test_an_update_is_that_of_linux(checksum: int) -> None:
    for high in EDGES:
        for low in EDGES:
            old = high << 16 | low
            for new in (0, 0xFFFFFFFF, 0x0A00000B, low << 16 | high, old):
                got = updated(checksum, old.to_bytes(4, "big"), new.to_bytes(4, "big"))
                assert got == linux_replace(checksum, old, new)
                assert got != 0xFFFF


def test_rfc_1624_example() -> None:
    assert updated(0xDD2F, b"\x55\x55", b"\x32\x85") == 0x0000


def test_udp() -> None:
    assert updated(0, b"\x00\x01", b"\x00\x02", zero_is_none=True) == 0
    assert updated(0xDD2F, b"\x55\x55", b"\x32\x85", zero_is_none=True) == 0xFFFF
    assert computed(b"\xff\xff", zero_is_none=True) == 0xFFFF
    assert computed(b"\xff\xff") == 0


def test_computed() -> None:
    header = bytes.fromhex("4500003c1c4640004006 0000 ac100a63ac100a0c".replace(" ", ""))
    assert computed(header) == 0xB1E6
    assert word_sum(b"\x01\x02\x03") == 0x0102 + 0x0300
    assert (fold(0), fold(0xFFFF), fold(0x10000), fold(0x1FFFE)) == (0, 0xFFFF, 1, 0xFFFF)
