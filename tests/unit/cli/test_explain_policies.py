"""`turnout explain` where NetworkPolicies are: which ones concern the ends, and which line allows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.goldens import held
from tests.unit.cli.test_explain import GOLDEN, Devices, told, two_devices

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    with two_devices(tmp_path_factory.mktemp("policies"), "netpol.yaml") as made:
        yield made


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("policy-allows", ["shop/web-1", "10.1.0.20:5432"]),
        ("policy-allows-nobody", ["shop/client", "10.1.0.20:5432"]),
        ("policy-denies-port", ["shop/web-1", "[fd00:10:1::20]:5433"]),
    ],
)
def test_what_is_told(devices: Devices, name: str, words: list[str]) -> None:
    text = told(devices, devices.explain(*words))
    assert text == held(GOLDEN / f"{name}.txt", text)


def test_programs_are_told_the_reason(devices: Devices) -> None:
    (way,) = json.loads(told(devices, devices.explain("shop/client", "10.1.0.20:5432", "-o", "json")))["ways"]
    assert (way["fate"], way["drop_reason"]) == ("dropped", "ingress_denied")
