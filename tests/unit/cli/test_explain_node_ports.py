"""`turnout explain` of clients outside who call a node by its address or name, at a node port or one of the host's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.goldens import held
from tests.unit.cli.test_explain import GOLDEN, Devices, told, two_devices

pytestmark = pytest.mark.slow


def two_nodes(documents: list[dict[str, Any]]) -> None:
    """Without the third one, and its workloads."""
    gone = ("node-c", "dpu-c", "client", "host-c")
    documents[:] = [document for document in documents if document["metadata"]["name"] not in gone]


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    with two_devices(tmp_path_factory.mktemp("nodes"), "nodeport.yaml", change=two_nodes) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("node-port", ["198.51.100.9", "192.168.50.11:30080"]),
        ("node-port-of-local-service", ["2001:db8:51::9", "node-b:30081"]),
        ("node-port-from-workload", ["web-2", "node-b:30080"]),
        ("port-of-the-host", ["198.51.100.9", "192.168.50.12:22"]),
        ("of-service-with-node-ports", ["default/local"]),
    ],
)
def test_what_is_told(devices: Devices, name: str, words: list[str]) -> None:
    text = told(devices, devices.explain(*words))
    assert text == held(GOLDEN / f"{name}.txt", text)


def test_programs_are_told_the_node_ports(devices: Devices) -> None:
    found = json.loads(told(devices, devices.explain("default/local", "-o", "json")))
    assert [(p["port"], p["node_port"]) for p in found["ports"]] == [(80, 30081), (5300, 30054)]
    assert found["external_traffic_policy"] == "Local"
    at_nodes = {(f["address"], f["port"], len(f["backends"])) for f in found["devices"][1]["fronts"]}
    assert {("192.168.50.2", 30081, 1), ("192.168.50.12", 30081, 1), ("10.96.0.20", 80, 2)} <= at_nodes
