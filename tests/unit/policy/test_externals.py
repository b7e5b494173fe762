"""Addresses for clients outside: of a Kubernetes Service, and which backends connections to them get."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
import yaml

from compiler.policy.loading import Loaded, load_text
from compiler.policy.policyset import Service, TrafficPolicy

FABRIC = """
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: default}
spec: {vni: 100, cidrs: [10.1.0.0/16]}
---
apiVersion: turnout.dev/v1alpha1
kind: Node
metadata: {name: node-a}
---
apiVersion: turnout.dev/v1alpha1
kind: Workload
metadata: {name: web-1}
spec: {type: Pod, network: default, node: node-a, addresses: [10.1.0.11]}
---
apiVersion: turnout.dev/v1alpha1
kind: Device
metadata: {name: dpu-a}
spec:
  node: node-a
  underlay:
    {address: 192.168.50.1/24, mac: "02:00:00:00:50:01", gateway: 192.168.50.254, gatewayMac: "02:00:00:00:50:fe"}
  ports:
  - {id: 1, name: p0, type: uplink}
  - {id: 16, name: web-1, type: workload, workload: web-1}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-x, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: 8080}]
endpoints:
- {addresses: [10.1.0.11], nodeName: node-a}
- {addresses: [10.1.0.12], nodeName: node-b}
"""


def loaded(
    ingress: list[dict[str, Any]] | None = None,
    annotations: dict[str, str] | None = None,
    fabric: str = FABRIC,
    **spec: Any,
) -> Loaded:
    metadata = {"name": "web", "annotations": annotations or {}}
    service: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    service["spec"] = {"clusterIP": "10.96.0.1", "ports": [{"port": 80}], **spec}
    if ingress is not None:
        service["status"] = {"loadBalancer": {"ingress": ingress}}
    return load_text(f"{fabric}---\n{yaml.safe_dump(service)}")


def service_of(found: Loaded) -> Service:
    assert not found.is_refused, found.render()
    return found.policies.services[0]


def codes(found: Loaded) -> list[str]:
    return [diagnostic.code.id for diagnostic in found.diagnostics]


BALANCED: dict[str, Any] = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}


@pytest.mark.parametrize(
    ("spec", "ingress", "externals"),
    [
        ({}, None, []),
        ({"externalIPs": ["203.0.113.7"]}, None, ["203.0.113.7"]),
        (BALANCED, None, []),
        (BALANCED, [{"ip": "203.0.113.8"}], ["203.0.113.8"]),
        (BALANCED, [{"ip": "203.0.113.8", "ipMode": "VIP"}, {"ip": "203.0.113.9"}], ["203.0.113.8", "203.0.113.9"]),
        (BALANCED, [{"ip": "203.0.113.8", "ipMode": "Proxy"}, {"hostname": "lb.example"}], []),
        ({**BALANCED, "externalIPs": ["203.0.113.8"]}, [{"ip": "203.0.113.8"}], ["203.0.113.8"]),
        ({}, [{"ip": "203.0.113.8"}], []),
    ],
)
def test_where_the_addresses_come_from(
    spec: dict[str, Any], ingress: list[dict[str, Any]] | None, externals: list[str]
) -> None:
    found = loaded(ingress, **spec)
    assert [str(address) for address in service_of(found).externals] == externals
    assert codes(found) == []


def test_node_ports_are_told_to_be_missing() -> None:
    found = loaded([{"ip": "203.0.113.8"}], type="LoadBalancer")
    assert codes(found) == ["W0243"]
    assert len(service_of(found).externals) == 1


RANGES: dict[str, Any] = {**BALANCED, "loadBalancerSourceRanges": ["192.0.2.0/24", " 198.51.100.9/24 "]}


def test_source_ranges_are_those_of_the_load_balancers_addresses_alone() -> None:
    found = loaded([{"ip": "203.0.113.8"}], **RANGES, externalIPs=["203.0.113.7"])
    service = service_of(found)
    assert [str(address) for address in service.externals] == ["203.0.113.7", "203.0.113.8"]
    assert service.bounded == {ip_address("203.0.113.8")}
    assert [(str(r.prefix), r.is_allowed) for r in service.source_ranges] == [
        ("192.0.2.0/24", True),
        ("198.51.100.0/24", True),
    ]
    assert not service.admits_others
    assert codes(found) == []


def test_an_annotation_makes_of_them_those_that_may_not_connect() -> None:
    found = loaded([{"ip": "203.0.113.8"}], annotations={"turnout.dev/source-ranges": "Deny"}, **RANGES)
    service = service_of(found)
    assert [r.is_allowed for r in service.source_ranges] == [False, False]
    assert service.admits_others
    assert codes(found) == []


def test_what_is_no_address_is_refused() -> None:
    assert codes(loaded(externalIPs=["nowhere"])) == ["E0105"]
    assert codes(loaded(externalIPs=["127.0.0.1"])) == ["E0208"]


def test_each_traffic_policy_is_that_of_its_addresses() -> None:
    found = loaded([{"ip": "203.0.113.8"}], **BALANCED, externalTrafficPolicy="Local")
    service = service_of(found)
    outside, inside = ip_address("203.0.113.8"), ip_address("10.96.0.1")
    assert (service.traffic_policy(outside), service.traffic_policy(inside)) == (
        TrafficPolicy.LOCAL,
        TrafficPolicy.CLUSTER,
    )
    device, port = found.policies.devices[0], service.ports[0]
    assert [str(b.address) for b in service.backends(port, outside, device)] == ["10.1.0.11"]
    assert [str(b.address) for b in service.backends(port, inside, device)] == ["10.1.0.11", "10.1.0.12"]


AT_NODES: dict[str, Any] = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}


def test_a_node_port_is_called_at_the_addresses_of_each_host() -> None:
    found = loaded(**AT_NODES)
    fronts = service_of(found).fronts(found.policies.devices[0])
    assert [(str(f.address), f.number) for f in fronts] == [("10.96.0.1", 80), ("192.168.50.1", 30080)]
    assert codes(found) == []


@pytest.mark.parametrize(
    ("spec", "numbers"),
    [
        ({**AT_NODES, "type": "LoadBalancer"}, [30080]),
        ({**AT_NODES, "type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}, [30080]),
        (BALANCED, [0]),
        ({"ports": [{"port": 80, "nodePort": 0}]}, [0]),
    ],
)
def test_node_ports_of_load_balancers_that_are_asked_for_are_served(spec: dict[str, Any], numbers: list[int]) -> None:
    """Without allocateLoadBalancerNodePorts the API server gives none, and takes those that somebody has written."""
    found = loaded(**spec)
    assert [port.node_port for port in service_of(found).ports] == numbers
    assert codes(found) == []


def test_the_external_traffic_policy_is_that_of_node_ports() -> None:
    found = loaded(**AT_NODES, externalTrafficPolicy="Local", internalTrafficPolicy="Cluster")
    service, device = service_of(found), found.policies.devices[0]
    front = next(f for f in service.fronts(device) if f.number == 30080)
    assert service.traffic_policy(front.address) is TrafficPolicy.LOCAL
    assert [str(b.address) for b in service.backends(front.port, front.address, device)] == ["10.1.0.11"]


def test_source_ranges_of_a_load_balancer_are_not_those_of_its_node_ports() -> None:
    found = loaded([{"ip": "203.0.113.8"}], **{**AT_NODES, **RANGES})
    service = service_of(found)
    bounded = {str(f.address) for f in service.fronts(found.policies.devices[0]) if service.is_bounded(f.address)}
    assert bounded == {"203.0.113.8"}


ENDING = "- {addresses: [10.1.0.11], nodeName: node-a, conditions: {ready: false, serving: true, terminating: true}}"


@pytest.mark.parametrize(
    ("internal", "external", "inside", "outside"),
    [
        ("Cluster", "Cluster", ["10.1.0.12"], ["10.1.0.12"]),
        ("Cluster", "Local", ["10.1.0.12"], ["10.1.0.11"]),
        ("Local", "Cluster", ["10.1.0.11"], ["10.1.0.12"]),
        ("Local", "Local", ["10.1.0.11"], ["10.1.0.11"]),
    ],
)
def test_a_backend_that_ends_serves_where_a_traffic_policy_leaves_no_other(
    internal: str, external: str, inside: list[str], outside: list[str]
) -> None:
    """The one on node-a ends, that on node-b is ready; each policy looks at the endpoints of its own clients."""
    fabric = FABRIC.replace("- {addresses: [10.1.0.11], nodeName: node-a}", ENDING)
    found = loaded(fabric=fabric, **AT_NODES, internalTrafficPolicy=internal, externalTrafficPolicy=external)
    service, device = service_of(found), found.policies.devices[0]
    first, last = service.fronts(device)
    for front, wanted in ((first, inside), (last, outside)):
        assert [str(b.address) for b in service.backends(front.port, front.address, device)] == wanted
