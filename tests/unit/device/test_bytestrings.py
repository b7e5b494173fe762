"""Tables 5 and 6 of the specification's section "Bytestrings", and what the texts say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.device.bytestrings import to_bytes, to_int
from runtime.device.refusals import Code, RefusedError


@pytest.mark.parametrize(
    ("width", "data", "value"),
    [
        (8, "63", 99),
        (16, "0063", 99),
        (16, "63", 99),
        (16, "3064", 12388),
        (16, "003064", 12388),
        (12, "0063", 99),
        (12, "000063", 99),
        (1, "01", 1),
        (9, "01ff", 511),
        (16, "0000", 0),
    ],
)
def test_valid(width: int, data: str, value: int) -> None:
    assert to_int(bytes.fromhex(data), width, "x") == value


@pytest.mark.parametrize(
    ("width", "data", "text"),
    [
        (8, "0163", "x: value 0x0163 does not fit in 8 bits"),
        (8, "", "x: the value is empty"),
        (16, "010063", "x: value 0x010063 does not fit in 16 bits"),
        (12, "1063", "x: value 0x1063 does not fit in 12 bits"),
        (12, "004063", "x: value 0x004063 does not fit in 12 bits"),
        (1, "02", "x: value 0x02 does not fit in 1 bit"),
        (8, "ff" * 30, f"x: value 0x{'ff' * 20}... does not fit in 8 bits"),
    ],
)
def test_invalid(width: int, data: str, text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        to_int(bytes.fromhex(data), width, "x")
    assert (refused.value.code, refused.value.text) == (Code.INVALID_ARGUMENT, text)


@given(st.integers(0, (1 << 128) - 1))
def test_shortest_and_back(value: int) -> None:
    data = to_bytes(value)
    assert to_int(data, 128, "x") == value
    assert data == b"\0" or data[0] != 0
