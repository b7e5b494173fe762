"""`turnout explain` of clients outside who call a node by its address or name, at a node port or one of the host's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.goldens import held
from tests.unit.cli.test_explain import GOLDEN, Devices, refused, told, two_devices

pytestmark = pytest.mark.slow


def two_nodes(documents: list[dict[str, Any]]) -> None:
    """Without the third one, and its workloads."""
    gone = ("node-c", "dpu-c", "client", "host-c")
    documents[:] = [document for document in documents if document["metadata"]["name"] not in gone]


def closed(documents: list[dict[str, Any]]) -> None:
    """And with no way for clients outside: web has an external address, which nobody answers for."""
    two_nodes(documents)
    for document in documents:
        if document["kind"] == "Device":
            del document["spec"]["underlay"]["gatewayMac"]
        if document["kind"] == "Service" and document["metadata"]["name"] == "web":
            document["spec"]["externalIPs"] = ["203.0.113.10"]


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


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("node-port-by-service", ["198.51.100.9", "default/web:80"]),
        ("node-port-by-name-of-port", ["2001:db8:51::9", "local:echo"]),
        ("node-port-by-another-port", ["198.51.100.9", "web:81"]),
    ],
)
def test_who_asks_for_the_service_is_told_where_it_is_called(devices: Devices, name: str, words: list[str]) -> None:
    text = refused(devices.explain(*words))
    assert text == held(GOLDEN / f"{name}.txt", text)


def test_what_is_told_to_ask_can_be_asked(devices: Devices) -> None:
    text = refused(devices.explain("2001:db8:51::9", "local:echo"))
    words = text.partition("`turnout explain ")[2].partition("`")[0].split()
    assert "(node node-a, node port of default/local:echo)" in told(devices, devices.explain(*words)).splitlines()[0]


def test_where_nobody_lets_clients_in(tmp_path: Path) -> None:
    with two_devices(tmp_path, "nodeport.yaml", change=closed) as devices:
        found = [refused(devices.explain(*words)) for words in (["198.51.100.9", "web:80"], ["2001:db8::9", "web:80"])]
    assert found == [
        "turnout: error: no workload has 198.51.100.9, and service 'default/web' has 203.0.113.10, where no device of "
        "dpu-a, dpu-b answers\n",
        "turnout: error: no workload has 2001:db8::9, and service 'default/web' has no IPv6 address for clients "
        "outside; its node ports are called at no IPv6 address of dpu-a, dpu-b\n",
    ]


def test_programs_are_told_the_node_ports(devices: Devices) -> None:
    found = json.loads(told(devices, devices.explain("default/local", "-o", "json")))
    assert [(p["port"], p["node_port"]) for p in found["ports"]] == [(80, 30081), (5300, 30054)]
    assert found["external_traffic_policy"] == "Local"
    at_nodes = {(f["address"], f["port"], len(f["backends"])) for f in found["devices"][1]["fronts"]}
    assert {("192.168.50.2", 30081, 1), ("192.168.50.12", 30081, 1), ("10.96.0.20", 80, 2)} <= at_nodes
