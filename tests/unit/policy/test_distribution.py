"""Which backends clients get who would rather have near ones: hints, and what comes of them on each node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from compiler.policy.distribution import NO_HINTS, Hints, hints_for, preferred
from compiler.policy.loading import Loaded, load_text

HERE, THERE = "node-a", "node-b"
FABRIC = """
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: default}
spec: {vni: 100, cidrs: [10.1.0.0/16]}
"""
ZONE = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class Meant:
    address: str
    hints: Hints


def meant(**by_name: Hints) -> tuple[Meant, ...]:
    return tuple(Meant(name, hints) for name, hints in by_name.items())


def hints(nodes: str = "", zones: str = "") -> Hints:
    return Hints(nodes=tuple(nodes.split()), zones=tuple(zones.split()))


@pytest.mark.parametrize(
    ("backends", "found"),
    [
        pytest.param(meant(), "", id="none"),
        pytest.param(meant(a=NO_HINTS, b=NO_HINTS), "a b", id="no hints"),
        pytest.param(meant(a=hints(zones="east"), b=hints(zones="west")), "a", id="their zone"),
        pytest.param(meant(a=hints(zones="west east"), b=hints(zones="east")), "a b", id="a backend for two zones"),
        pytest.param(meant(a=hints(zones="west"), b=hints(zones="north")), "a b", id="none for their zone"),
        pytest.param(meant(a=hints(zones="east"), b=NO_HINTS), "a b", id="one without hints"),
        pytest.param(meant(a=hints(HERE, "east"), b=hints(THERE, "east")), "a", id="their node before their zone"),
        pytest.param(meant(a=hints("node-c", "east"), b=hints(THERE, "west")), "a", id="their zone, since none here"),
        pytest.param(meant(a=hints(HERE), b=hints(zones="east")), "a b", id="neither kind is whole"),
        pytest.param(meant(a=hints(HERE, "west"), b=hints("", "east")), "b", id="zones are whole, nodes are not"),
    ],
)
def test_what_clients_on_a_node_get(backends: tuple[Meant, ...], found: str) -> None:
    assert [one.address for one in preferred(backends, HERE, "east")] == found.split()


def test_a_node_without_a_zone_gets_all() -> None:
    backends = meant(a=hints(zones="east"), b=hints(zones="west"))
    assert preferred(backends, HERE, "") == backends


@pytest.mark.parametrize(
    ("distribution", "node", "zone", "found"),
    [
        (None, HERE, "east", NO_HINTS),
        ("PreferSameZone", HERE, "east", hints(zones="east")),
        ("PreferClose", HERE, "east", hints(zones="east")),
        ("PreferSameNode", HERE, "east", hints(HERE, "east")),
        ("PreferSameNode", HERE, "", hints(HERE)),
        ("PreferSameNode", "", "", NO_HINTS),
    ],
)
def test_hints_of_a_backend(distribution: str | None, node: str, zone: str, found: Hints) -> None:
    assert hints_for(distribution, node, zone) == found


def fabric(zones: dict[str, str]) -> list[dict[str, Any]]:
    """Two nodes with a device and a workload of app web each."""
    made: list[dict[str, Any]] = []
    for number, node in enumerate((HERE, THERE), 1):
        labels = {ZONE: zones[node]} if node in zones else {}
        made.append(turnout("Node", node, {}, labels))
        spec: dict[str, Any] = {"type": "Pod", "network": "default", "node": node, "addresses": [f"10.1.0.1{number}"]}
        made.append(turnout("Workload", f"web-{number}", spec, {"app": "web"}))
        port = {"id": 16, "name": "p", "type": "workload", "workload": f"web-{number}"}
        made.append(turnout("Device", f"dpu-{node}", {"node": node, "ports": [port]}))
    return made


def turnout(kind: str, name: str, spec: dict[str, Any], labels: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "turnout.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def dpu_service(distribution: str, **more: Any) -> list[dict[str, Any]]:
    spec = {"network": "default", "addresses": ["10.96.0.1"], "ports": [{"port": 80}], "selector": {"app": "web"}}
    return [turnout("DpuService", "web", {**spec, "trafficDistribution": distribution, **more})]


def kubernetes_service(
    hinted: dict[str, Any], *, ready: bool = True, distribution: str = "PreferSameZone"
) -> list[dict[str, Any]]:
    """`hinted`: the hints of each node's endpoint."""
    spec = {"clusterIP": "10.96.0.1", "ports": [{"port": 80}], "trafficDistribution": distribution}
    conditions = {"ready": ready, "serving": True, "terminating": not ready}
    endpoints = [
        {"addresses": [f"10.1.0.1{number}"], "nodeName": node, "conditions": conditions}
        | ({"hints": hinted[node]} if node in hinted else {})
        for number, node in enumerate((HERE, THERE), 1)
    ]
    metadata = {"name": "web-x", "labels": {"kubernetes.io/service-name": "web"}}
    endpoint_slice = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
    ports = {"addressType": "IPv4", "ports": [{"name": "", "port": 80}], "endpoints": endpoints}
    return [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}, endpoint_slice | ports]


def loaded(*manifests: dict[str, Any]) -> Loaded:
    return load_text(f"{FABRIC}---\n{yaml.safe_dump_all(manifests)}")


def got(found: Loaded, node: str) -> list[str]:
    """The backends that clients on a node get."""
    assert not found.is_refused, found.render()
    assert found.policies is not None
    (service,) = found.policies.services
    device = next(d for d in found.policies.devices if d.node.name == node)
    return [str(b.address) for b in service.backends(service.ports[0], service.addresses[0], device)]


def codes(found: Loaded) -> list[str]:
    """But for that of devices that have no underlay, as none here has."""
    return [d.code.id for d in found.diagnostics if d.code.id != "W0227"]


def test_a_dpu_service_by_zone() -> None:
    apart = loaded(*fabric({HERE: "east", THERE: "west"}), *dpu_service("PreferSameZone"))
    assert (got(apart, HERE), got(apart, THERE), codes(apart)) == (["10.1.0.11"], ["10.1.0.12"], [])
    together = loaded(*fabric({HERE: "east", THERE: "east"}), *dpu_service("PreferSameZone"))
    assert got(together, HERE) == ["10.1.0.11", "10.1.0.12"]


def test_a_dpu_service_by_node() -> None:
    found = loaded(*fabric({}), *dpu_service("PreferSameNode"))
    assert (got(found, HERE), got(found, THERE), codes(found)) == (["10.1.0.11"], ["10.1.0.12"], [])


def test_local_clients_get_nothing_else_whatever_they_prefer() -> None:
    spec: dict[str, Any] = {"backends": [{"workload": "web-2"}], "selector": {}, "internalTrafficPolicy": "Local"}
    found = loaded(*fabric({HERE: "east", THERE: "east"}), *dpu_service("PreferSameZone", **spec))
    assert (got(found, HERE), got(found, THERE)) == ([], ["10.1.0.12"])


def test_a_zone_that_is_not_known_is_told() -> None:
    found = loaded(*fabric({HERE: "east"}), *dpu_service("PreferSameZone"))
    assert (got(found, HERE), codes(found)) == (["10.1.0.11", "10.1.0.12"], ["W0110"])
    assert "nothing says which clients 10.1.0.12 is meant for" in found.render()


def test_endpoints_with_hints() -> None:
    hinted = {HERE: {"forZones": [{"name": "west"}]}, THERE: {"forZones": [{"name": "east"}]}}
    found = loaded(*fabric({HERE: "east", THERE: "west"}), *kubernetes_service(hinted))
    assert (got(found, HERE), got(found, THERE), codes(found)) == (["10.1.0.12"], ["10.1.0.11"], [])


def test_hints_count_also_where_the_service_asks_for_nothing() -> None:
    """As with kube-proxy: they may be there for the older annotation of topology aware routing."""
    hinted = {HERE: {"forNodes": [{"name": HERE}]}, THERE: {"forNodes": [{"name": THERE}]}}
    found = loaded(*fabric({}), *kubernetes_service(hinted, distribution=""))
    assert (got(found, HERE), got(found, THERE), codes(found)) == (["10.1.0.11"], ["10.1.0.12"], [])


def test_hints_of_endpoints_that_are_not_ready_count_for_nothing() -> None:
    hinted = {HERE: {"forZones": [{"name": "west"}]}, THERE: {"forZones": [{"name": "east"}]}}
    found = loaded(*fabric({HERE: "east", THERE: "west"}), *kubernetes_service(hinted, ready=False))
    assert (got(found, HERE), codes(found)) == (["10.1.0.11", "10.1.0.12"], [])


def test_endpoints_without_hints_are_told() -> None:
    found = loaded(
        *fabric({HERE: "east", THERE: "west"}), *kubernetes_service({HERE: {"forZones": [{"name": "east"}]}})
    )
    assert (got(found, HERE), codes(found)) == (["10.1.0.11", "10.1.0.12"], ["W0110"])
