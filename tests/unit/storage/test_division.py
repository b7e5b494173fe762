"""Where layers are divided among volumes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.storage.translate.division import common, divide, history_breaks


@pytest.mark.parametrize(
    ("count", "shared", "breaks", "expected"),
    [
        (5, (), (), ()),
        (5, (2,), (), (2,)),
        (5, (3, 2), (1,), (2, 3)),
        (5, (), (4, 1, 2), (1, 4)),
        (5, (0, 5, 6), (), ()),
        (5, (2, 2), (2, 3), (2, 3)),
        (1, (1,), (1,), ()),
        (0, (), (), ()),
    ],
)
def test_places(count: int, shared: tuple[int, ...], breaks: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert divide(count, shared, breaks) == expected


def test_what_is_common() -> None:
    assert [common("abc", text) for text in ("abd", "abcd", "xbc", "")] == [2, 3, 0, 0]


def _config(*times: Any) -> bytes:
    return json.dumps({"history": [{"created": time} for time in times]}).encode()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (_config("2024-01-01T00:00:00Z", "2024-01-01T00:59:59Z", "2024-01-02T00:00:00Z"), (2,)),
        (_config("2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z", "2024-05-02T00:00:00+02:00"), (2, 1)),
        (_config("2024-01-02T00:00:00Z", "2024-01-01T00:00:00Z"), (1,)),
        (_config("2024-01-01T00:00:00Z", "yesterday"), ()),
        (_config("2024-01-01T00:00:00Z", None), ()),
        (b'{"history": [7]}', ()),
        (b'{"history": {}}', ()),
        (b"{}", ()),
        (b"[]", ()),
    ],
)
def test_breaks_of_a_history(config: bytes, expected: tuple[int, ...]) -> None:
    assert history_breaks(config) == expected
