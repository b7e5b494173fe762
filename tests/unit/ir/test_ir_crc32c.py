"""CRC32c: frames have what RFC 3720 and others compute, and updates give what such a computation gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.interpreter import crc32c
from runtime.verification import wire


def computed(data: bytes) -> int:
    """As the interpreter reads the field: the lowest byte goes first in the packet."""
    return int.from_bytes(wire.crc32c(data).to_bytes(4, "little"), "big")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"123456789", "839206e3"),  # the check value of the CRC catalogues, its lowest byte first
        (bytes(32), "aa36918a"),  # RFC 3720, appendix B.4, as all below
        (b"\xff" * 32, "43aba862"),
        (bytes(range(32)), "4e79dd46"),
        (bytes(range(31, -1, -1)), "5cdb3f11"),
    ],
)
def test_known_values(data: bytes, expected: str) -> None:
    assert computed(data).to_bytes(4, "big").hex() == expected


@given(st.binary(min_size=4, max_size=200), st.binary(min_size=4, max_size=4))
def test_an_update_is_a_computation(data: bytes, front: bytes) -> None:
    was, changed = computed(data), front + data[4:]
    if was:
        assert crc32c.updated(was, data, changed, len(data)) == computed(changed)


@given(st.integers(1, 0xFFFFFFFF), st.binary(min_size=4, max_size=90), st.binary(min_size=4, max_size=4))
def test_a_wrong_one_stays_as_wrong(wrong: int, data: bytes, front: bytes) -> None:
    was, changed = computed(data) ^ wrong, front + data[4:]
    if was:
        assert crc32c.updated(was, data, changed, len(data)) == computed(changed) ^ wrong


def test_one_that_is_still_to_be_written_stays() -> None:
    assert crc32c.updated(0, bytes(8), b"\1\2\3\4" + bytes(4), 8) == 0


@pytest.mark.parametrize("length", [4, 1000, 65_535])
def test_of_any_length(length: int) -> None:
    data = bytes(length)
    changed = b"\xa5\5\xa5\5" + data[4:]
    assert crc32c.updated(computed(data), data, changed, length) == computed(changed)
