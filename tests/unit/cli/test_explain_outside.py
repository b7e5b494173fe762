"""`turnout explain` of clients outside whom a service lets in or does not: which range, of which line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.goldens import held
from tests.unit.cli.test_explain import GOLDEN, Devices, told, two_devices

pytestmark = pytest.mark.slow
RANGES = {"allow": ["198.51.100.0/24", "2001:db8:51::/64"], "deny": ["198.51.100.66/32"]}


def bounded(documents: list[dict[str, Any]]) -> None:
    web = next(d for d in documents if d["kind"] == "DpuService" and d["metadata"]["namespace"] == "shop")
    web["spec"]["sourceRanges"] = RANGES


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    with two_devices(tmp_path_factory.mktemp("outside"), "eip.yaml", change=bounded) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("outside-let-in", ["198.51.100.9", "203.0.113.10:80"]),
        ("outside-denied", ["198.51.100.66", "203.0.113.10:80"]),
        ("outside-in-no-range", ["2001:db8:52::1", "[2001:db8:113::10]:80"]),
        ("of-service-with-ranges", ["shop/web"]),
    ],
)
def test_what_is_told(devices: Devices, name: str, words: list[str]) -> None:
    text = told(devices, devices.explain(*words))
    assert text == held(GOLDEN / f"{name}.txt", text)


def test_programs_are_told_the_ranges(devices: Devices) -> None:
    found = json.loads(told(devices, devices.explain("shop/web", "-o", "json")))
    assert [(r["range"], r["is_allowed"]) for r in found["source_ranges"]] == [
        ("198.51.100.0/24", True),
        ("198.51.100.66/32", False),
        ("2001:db8:51::/64", True),
    ]
    assert (found["admits_others"], found["bounded_addresses"]) == (False, ["203.0.113.10", "2001:db8:113::10"])
    (way,) = json.loads(told(devices, devices.explain("192.0.2.1", "203.0.113.10:80", "-o", "json")))["ways"]
    assert (way["fate"], way["drop_reason"]) == ("dropped", "source_denied")
