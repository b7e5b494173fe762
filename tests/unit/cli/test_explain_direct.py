"""`turnout explain` of services whose backends answer clients outside by themselves: where answers leave."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.goldens import held
from tests.unit.cli.test_explain import GOLDEN, Devices, told, two_devices

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    with two_devices(tmp_path_factory.mktemp("direct"), "direct.yaml") as made:
        yield made


@pytest.mark.parametrize(
    ("name", "words"),
    [("direct-outside", ["198.51.100.9", "203.0.113.30:80"]), ("direct-service", ["shop/web"])],
)
def test_what_is_told(devices: Devices, name: str, words: list[str]) -> None:
    text = told(devices, devices.explain(*words))
    assert text == held(GOLDEN / f"{name}.txt", text)


def test_programs_are_told_who_answers_by_itself(devices: Devices) -> None:
    outside = json.loads(told(devices, devices.explain("2001:db8:52::1", "[2001:db8:113::30]:80", "-o", "json")))
    assert {way["fate"] for way in outside["ways"]} == {"delivered"}
    assert {(way["device"], way["answers_itself"]) for way in outside["ways"]} == {("dpu-a", True), ("dpu-b", True)}
    inside = json.loads(told(devices, devices.explain("shop/client", "203.0.113.30:80", "-o", "json")))
    assert {(way["fate"], way["answers_itself"]) for way in inside["ways"]} == {("delivered", False)}
    assert json.loads(told(devices, devices.explain("shop/web", "-o", "json")))["server_return"] == "Direct"
