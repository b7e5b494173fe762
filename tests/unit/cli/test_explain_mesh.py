"""`turnout explain` in a network with proxies: which rule, which proxy, and which backends where none is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.goldens import held
from tests.unit.cli.test_explain import GOLDEN, Devices, told, two_devices

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    with two_devices(tmp_path_factory.mktemp("mesh"), "mesh.yaml") as made:
        yield made


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("redirected", ["shop/client", "10.1.0.11:8080"]),
        ("redirected-ipv6", ["shop/client", "web:80", "--ipv6"]),
        ("redirected-service", ["shop/client", "web:80"]),
        ("past-the-proxy", ["shop/plain", "web:80"]),
        ("redirected-there", ["shop/plain", "shop/web-2:8080"]),
        ("not-redirected", ["shop/client", "10.1.0.13:22"]),
        ("denied", ["shop/client", "10.1.0.13:7000"]),
        ("redirected-in-another-network", ["blue/blue-client", "10.1.0.12:80"]),
    ],
)
def test_what_is_told(devices: Devices, name: str, words: list[str]) -> None:
    text = told(devices, devices.explain(*words))
    assert text == held(GOLDEN / f"{name}.txt", text)


def ways(devices: Devices, *words: str) -> set[tuple[str | None, str | None, str]]:
    """Proxy, backend and fate of each."""
    found = json.loads(told(devices, devices.explain(*words, "-o", "json")))["ways"]
    return {(way["proxy"], way["backend"], way["fate"]) for way in found}


def test_programs_are_told_the_proxy(devices: Devices) -> None:
    assert ways(devices, "shop/client", "web:80") == {("shop/envoy-a", None, "delivered")}
    assert ways(devices, "shop/client", "10.1.0.13:22") == {(None, None, "delivered")}
    backends = ("10.1.0.12:8080 (shop/web-1)", "10.1.0.13:8080 (shop/web-2)")
    assert ways(devices, "shop/plain", "web:80") == {
        ("shop/envoy-a", backends[0], "delivered"),
        ("shop/envoy-b", backends[1], "delivered"),
    }
