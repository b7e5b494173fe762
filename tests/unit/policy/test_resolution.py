"""What a policy set holds after loading: defaults, order, backends."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from compiler.policy.identity import assign_network_ids, workload_mac
from compiler.policy.loading import Loaded, load, load_text, load_texts
from compiler.policy.policyset import Algorithm, PolicySet, Profile, Service, TrafficPolicy

EXAMPLES = Path(__file__).parents[3] / "examples"
FABRIC = """
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: default}
spec: {vni: 1, cidrs: [10.3.0.0/16, "fd00::/64"]}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIPs: [10.96.0.1, "fd00:96::1"]
  clusterIP: 10.96.0.1
  ports: [{name: http, port: 80, targetPort: http}, {name: dns, port: 53, protocol: UDP}]
"""


def policies_of(*texts: str) -> PolicySet:
    loaded = load_texts({f"{index}.yaml": text for index, text in enumerate(texts)})
    assert not loaded.is_refused, loaded.render()
    return loaded.policies


def backends_of(service: Service, name: str) -> list[tuple[str, int, int]]:
    port = next(port for port in service.ports if port.name == name)
    return [(str(backend.address), backend.port, backend.weight) for backend in port.backends]


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_say_nothing(example: Path) -> None:
    assert load([example]).render() == ""


def test_shop_example() -> None:
    policies = load([EXAMPLES / "shop.yaml"]).policies
    assert [(n.name, n.id, n.vni) for n in policies.networks] == [("blue", 2, 200), ("shop", 1, 100)]
    assert [str(address) for address in policies.networks[0].gateways] == ["10.1.0.1", "fd00:10:1::1"]
    device = policies.devices[0]
    assert (device.address, device.device_id, device.profile) == ("unix:/run/turnout/dpu-a.sock", 1, Profile.EBPF)
    assert [(port.name, port.mtu) for port in device.ports[:2]] == [("p0", 1500), ("client", 1450)]
    blue, shop = policies.services
    assert (blue.key, shop.key) == ("blue/web", "shop/web")
    assert blue.address(4) == shop.address(4)
    assert backends_of(blue, "http") == [("10.1.0.11", 8080, 1)]
    assert backends_of(shop, "echo")[3:] == [(f"fd00:10:1::1{n}", 5300, 1) for n in (1, 2, 3)]
    assert {b.workload.network.name for p in shop.ports for b in p.backends if b.workload is not None} == {"shop"}
    assert policies.workloads[3].lab_serve == (("http", 8080), ("udp-echo", 5300))


def test_explicit_backends_have_weights_and_ports_and_win() -> None:
    text = (EXAMPLES / "weighted.yaml").read_text()
    (service,) = policies_of(text.replace("  backends:", "  selector: {app: web}\n  backends:")).services
    assert backends_of(service, "http") == [("10.2.0.11", 8080, 1), ("10.2.0.12", 8080, 1), ("10.2.0.12", 9090, 3)]
    (service,) = policies_of(text).services
    assert backends_of(service, "http") == [("10.2.0.11", 8080, 1), ("10.2.0.12", 9090, 3)]
    assert str(service.ports[0].backends[1].span).startswith("0.yaml:")


def slice_of(name: str, endpoints: str, family: str = "IPv4") -> str:
    return f"""
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: web}}}}
addressType: {family}
endpoints: [{endpoints}]
ports: [{{name: http, port: 8080}}, {{name: dns, port: 5353, protocol: UDP}}]
"""


def endpoint(address: str, **conditions: bool) -> str:
    words = ", ".join(f"{name}: {str(value).lower()}" for name, value in conditions.items())
    return f'{{addresses: ["{address}"], conditions: {{{words}}}}}'


def test_ready_endpoints_of_several_slices() -> None:
    first = slice_of("a", endpoint("10.3.0.12") + ", " + endpoint("10.3.0.11", ready=False))
    second = slice_of("b", endpoint("10.3.0.13", ready=True) + ", " + endpoint("10.3.0.12", ready=True))
    (service,) = policies_of(FABRIC, SERVICE, first, second).services
    assert backends_of(service, "http") == [("10.3.0.12", 8080, 1), ("10.3.0.13", 8080, 1)]
    assert backends_of(service, "dns") == [("10.3.0.12", 5353, 1), ("10.3.0.13", 5353, 1)]


def test_terminating_endpoints_serve_when_none_is_ready_in_their_family() -> None:
    ending = {"ready": False, "serving": True, "terminating": True}
    four = slice_of("a", endpoint("10.3.0.11", **ending) + ", " + endpoint("10.3.0.12", ready=True))
    six = slice_of("b", endpoint("fd00::11", **ending) + ", " + endpoint("fd00::12", ready=False), "IPv6")
    (service,) = policies_of(FABRIC, SERVICE, four, six).services
    assert backends_of(service, "http") == [("10.3.0.12", 8080, 1), ("fd00::11", 8080, 1)]


def test_a_local_service_of_kubernetes_has_terminating_endpoints_where_a_node_has_no_ready_one() -> None:
    ending = {"ready": False, "serving": True, "terminating": True}
    ready = dict[str, bool]()
    places = (("11", "node-a", ready), ("12", "node-a", ending), ("13", "node-b", ending), ("14", "", ending))
    endpoints = (endpoint(f"10.3.0.{host}", **state)[:-1] + f', nodeName: "{node}"}}' for host, node, state in places)
    slices = slice_of("a", ", ".join(endpoints))
    local = SERVICE + "  internalTrafficPolicy: Local\n"
    (service,) = policies_of(FABRIC, local, slices).services
    assert service.internal_traffic_policy is TrafficPolicy.LOCAL
    backends = [(str(each.address), each.node) for each in service.ports[1].backends]
    assert backends == [("10.3.0.11", "node-a"), ("10.3.0.13", "node-b"), ("10.3.0.14", "")]
    (service,) = policies_of(FABRIC, SERVICE, slices).services
    assert backends_of(service, "http") == [("10.3.0.11", 8080, 1)]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_an_annotation_says_how_a_service_of_kubernetes_spreads(algorithm: Algorithm) -> None:
    text = SERVICE.replace("{name: web}", f"{{name: web, annotations: {{turnout.dev/algorithm: {algorithm}}}}}")
    (service,) = policies_of(FABRIC, text).services
    assert service.algorithm is algorithm
    (service,) = policies_of(FABRIC, SERVICE).services
    assert service.algorithm is Algorithm.MAGLEV


def test_list_with_nulls_as_kubectl_prints() -> None:
    text = """
apiVersion: v1
kind: ServiceList
metadata: {resourceVersion: ""}
items:
- metadata: {name: web, creationTimestamp: null, managedFields: [{manager: x, fieldsV1: {"f:spec": {}}}]}
  apiVersion: v1
  kind: Service
  spec: {clusterIP: 10.96.0.1, ports: [{port: 80, nodePort: null}], selector: null}
  status: {loadBalancer: {}}
"""
    (service,) = policies_of(FABRIC, text).services
    assert service.ports[0].name == ""


def test_addresses_outside_belong_to_workloads_without_a_device() -> None:
    text = """
apiVersion: turnout.dev/v1alpha1
kind: Workload
metadata: {name: database}
spec: {type: Address, network: default, addresses: [192.0.2.7]}
---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: database}
spec: {network: default, addresses: [10.96.0.9], ports: [{port: 5432}], backends: [{workload: database}]}
"""
    (service,) = policies_of(FABRIC, text).services
    assert backends_of(service, "") == [("192.0.2.7", 5432, 1)]


def test_an_error_leaves_an_empty_set() -> None:
    loaded: Loaded = load_text(FABRIC + "---\nkind: Network\n")
    assert loaded.is_refused
    assert loaded.policies == PolicySet()


def test_aliased_values_are_still_doubled() -> None:
    text = (
        FABRIC.replace("[10.3", "&c [10.3") + "---\n" + FABRIC.replace("default", "other").replace("vni: 1", "vni: 1")
    )
    assert [d.code.name for d in load_text(text).diagnostics] == ["duplicate-vni"]


def test_order_of_files_does_not_matter() -> None:
    texts = (EXAMPLES / "shop.yaml").read_text().split("---\n")
    assert policies_of(*texts) == policies_of(*reversed(texts))


def test_network_ids_are_stable() -> None:
    some = assign_network_ids({"c": None, "a": 2, "b": None, "d": 1})
    assert (some["a"], some["d"]) == (2, 1)
    assert len(set(some.values())) == 4
    fewer = assign_network_ids({"c": None, "d": 1})
    assert fewer == {"c": some["c"], "d": 1}, "the others leave an id alone"


RANGE = """
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: media}
spec:
  network: default
  addresses: [10.96.0.1]
  ports: [{name: rtp, protocol: UDP, port: 30000, endPort: 30003, targetPort: 6000}, {name: one, port: 80}]
  backends: [{address: 10.3.0.5}, {address: 10.3.0.6, port: 7000, weight: 2}]
"""


def test_each_port_of_a_range_has_the_backends_port_that_is_as_far() -> None:
    """One port of a backend instead of targetPort is the first of as many."""
    (service,) = policies_of(FABRIC, RANGE).services
    ports = [port for port in service.ports if port.name == "rtp"]
    assert [(port.port, port.protocol.value) for port in ports] == [(30_000 + at, "UDP") for at in range(4)]
    for at, port in enumerate(ports):
        found = [(str(b.address), b.port, b.weight) for b in port.backends]
        assert found == [("10.3.0.5", 6000 + at, 1), ("10.3.0.6", 7000 + at, 2)]
    assert backends_of(service, "one") == [("10.3.0.5", 80, 1), ("10.3.0.6", 7000, 2)]


@pytest.mark.slow
def test_there_are_no_more_network_ids_than_there_are() -> None:
    many = assign_network_ids({f"n{number}": None for number in range(65_536)})
    assert len(many) == 65_535


def test_workload_mac_is_local_unicast_and_fixed() -> None:
    mac = workload_mac("shop", ip_address("10.1.0.10"))
    assert mac == "06:70:c4:2d:43:e2"
    assert mac != workload_mac("blue", ip_address("10.1.0.10"))
    assert int(mac[:2], 16) & 3 == 2
