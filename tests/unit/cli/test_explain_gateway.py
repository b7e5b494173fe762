"""`turnout explain` of a service without a network, and of a client outside who calls it by a gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.goldens import held
from tests.unit.cli.test_explain import GOLDEN, Devices, told, two_devices

pytestmark = pytest.mark.slow
CLIENT, CALLED = "198.51.100.9", "203.0.113.9:80"


def of_two(found: list[dict[str, Any]]) -> None:
    """Without the first device and what is behind it; the gateway has its name."""
    found[:] = [d for d in found if d["metadata"]["name"] not in ("dpu-a", "node-a", "red-1")]
    edge = next(d for d in found if d["metadata"]["name"] == "edge")
    edge["metadata"]["name"] = "dpu-a"
    edge["spec"]["address"] = edge["spec"]["address"].replace("edge.sock", "dpu-a.sock")
    blue = next(d for d in found if d["metadata"]["name"] == "blue-2")
    blue["spec"]["network"] = "red"
    service = next(d for d in found if d["kind"] == "DpuService")
    service["spec"]["backends"] = [{"workload": "blue-1", "weight": 2}, {"address": "10.1.0.12", "network": "red"}]


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    with two_devices(tmp_path_factory.mktemp("gateway"), "gateway.yaml", change=of_two) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("of-service-without-network", ["default/api"]),
        ("through-a-gateway", [CLIENT, CALLED]),
        ("workload-to-no-network", ["blue-1", CALLED]),
    ],
)
def test_what_is_told(devices: Devices, name: str, words: list[str]) -> None:
    text = told(devices, devices.explain(*words))
    assert text == held(GOLDEN / f"{name}.txt", text)


def test_programs_are_told_of_ports_and_networks(devices: Devices) -> None:
    ways = json.loads(told(devices, devices.explain(CLIENT, CALLED, "-o", "json")))["ways"]
    assert [way["backend"] for way in ways] == [
        "10.1.0.11:8080 (default/blue-1) of network blue",
        "10.1.0.12:8080 (default/blue-2) of network red",
    ]
    assert [way["share"] for way in ways] == ["2/3", "1/3"]
    (sought,) = (step for step in ways[0]["hops"][0]["steps"] if step["kind"] == "seek")
    assert (sought["key"]["dst_port"], sought["is_free"], sought["tried"]) == ("49152", True, 1)
    found = json.loads(told(devices, devices.explain("default/api", "-o", "json")))
    assert (found["network"], found["addresses"]) == (None, [])
