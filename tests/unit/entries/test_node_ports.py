"""Entries of node ports: which addresses lead inside, what is served there, and which clients are let in."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.entries.desired import Desired, compile_entries
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from runtime.client.rendering import Renderer

EXAMPLE = Path(__file__).parents[3] / "examples" / "nodeport.yaml"
RENDERER = Renderer(pipeline())
ROUTER = "    gatewayMac: 02:00:00:00:50:fe\n"
DEVICES = ("dpu-a", "dpu-b", "dpu-c")


@pytest.fixture(scope="module")
def example() -> str:
    return EXAMPLE.read_text()


def compiled(text: str, device: str) -> Desired:
    loaded = load_text(text)
    assert not loaded.is_refused, loaded.render()
    found = compile_entries(loaded.policies, next(d for d in loaded.policies.devices if d.name == device))
    assert found.diagnostics == ()
    return found


def lines(desired: Desired, table: str, *parts: str) -> list[str]:
    entries = (entry for entry in desired.entries.table_entries if entry.table == table)
    shown = (f"{RENDERER.name(entry)} {RENDERER.content(entry)}" for entry in entries)
    return [line for line in shown if all(part in line for part in parts)]


def called(desired: Desired, table: str, port: int) -> list[str]:
    """The addresses at which a port is served."""
    found = lines(desired, table, f" port={port} ")
    return [line.partition("address=")[2].partition(" ")[0] for line in found]


def numbers(desired: Desired, *parts: str) -> set[str]:
    """Those of services with IPv4 addresses."""
    found = lines(desired, "service_ipv4", *parts)
    return {line.partition("service_id=")[2].partition(",")[0] for line in found}


def ranged(desired: Desired) -> set[str]:
    """The numbers of those that ask who calls."""
    found = lines(desired, "source_range_ipv4")
    return {line.partition("service_id=")[2].partition(" ")[0] for line in found}


def backends(desired: Desired, table: str, *parts: str) -> int:
    (line,) = lines(desired, table, *parts)
    groups = [g for g in desired.entries.groups if f"service_id={g.id}," in line and g.selector.endswith(table[-4:])]
    return len(groups[0].members)


@pytest.mark.parametrize(("device", "number"), [("dpu-a", 1), ("dpu-b", 2), ("dpu-c", 3)])
def test_a_device_lets_in_what_is_sent_to_its_own_host(example: str, device: str, number: int) -> None:
    found = compiled(example, device)
    ipv4, ipv6 = lines(found, "eip_ipv4"), lines(found, "eip_ipv6")
    mac = f"mac=02:00:00:00:50:0{number}"
    own = [f"address=192.168.50.{number}", f"address=192.168.50.1{number}"]
    assert [line.split()[1] for line in ipv4] == own
    assert [line.split()[1] for line in ipv6] == [f"address=2001:db8:50::1{number}"]
    assert all(mac in line for line in (*ipv4, *ipv6))


def test_the_host_answers_for_its_addresses_itself(example: str) -> None:
    found = compiled(example, "dpu-a")
    assert lines(found, "arp", "network=0 ") == lines(found, "nd", "network=0 ") == []


def test_services_are_called_by_node_ports_at_the_hosts_addresses_alone(example: str) -> None:
    found = compiled(example, "dpu-b")
    assert called(found, "service_ipv4", 30080) == ["192.168.50.2", "192.168.50.12"]
    assert called(found, "service_ipv4", 30053) == ["192.168.50.2", "192.168.50.12"]
    assert called(found, "service_ipv6", 30081) == ["2001:db8:50::12"]
    assert called(found, "service_ipv4", 80) == ["10.96.0.10", "10.96.0.20"]


@pytest.mark.parametrize(("device", "near"), [("dpu-a", 1), ("dpu-b", 1), ("dpu-c", 0)])
def test_local_backends_are_those_of_the_node_that_is_called(example: str, device: str, near: int) -> None:
    found = compiled(example, device)
    address = f"address=192.168.50.1{DEVICES.index(device) + 1} "
    assert backends(found, "service_ipv4", address, " port=30081 ") == near
    assert backends(found, "service_ipv4", address, " port=30080 ") == 2
    assert backends(found, "service_ipv4", "address=10.96.0.20 ", " port=80 ") == 2


def test_each_device_knows_who_else_lets_in(example: str) -> None:
    found = compiled(example, "dpu-a")
    sources = [line.partition("source=")[2].partition(" ")[0] for line in lines(found, "entrance_ipv4")]
    assert sources == ["02:00:00:00:50:02", "02:00:00:00:50:03"]


def test_a_device_without_a_router_has_no_node_ports(example: str) -> None:
    found = compiled(example.replace(ROUTER, "", 1), "dpu-a")
    assert lines(found, "eip_ipv4") == []
    assert called(found, "service_ipv4", 30080) == []
    assert called(found, "service_ipv4", 80) == ["10.96.0.10", "10.96.0.20"]


def test_a_service_of_one_family_has_node_ports_of_that_one(example: str) -> None:
    single = example.replace(', "fd00:10:96::10"]', "]").replace("ipFamilies: [IPv4, IPv6]", "ipFamilies: [IPv4]", 1)
    found = compiled(single, "dpu-a")
    assert called(found, "service_ipv4", 30080) == ["192.168.50.1", "192.168.50.11"]
    assert called(found, "service_ipv6", 30080) == []


BALANCED = """  type: LoadBalancer
  loadBalancerSourceRanges: [192.0.2.0/24]
"""
STATUS = """status: {loadBalancer: {ingress: [{ip: 203.0.113.10}]}}
---
"""


def test_source_ranges_of_a_load_balancer_do_not_concern_node_ports(example: str) -> None:
    """As with kube-proxy, whose chains of node ports do not ask them."""
    first, _, rest = example.partition("  type: NodePort\n")
    spec, _, rest = rest.partition("---\n")
    found = compiled(first + BALANCED + spec + STATUS + rest, "dpu-a")
    assert ranged(found) == numbers(found, "address=203.0.113.10 ") != set()
    assert called(found, "service_ipv4", 30080) == ["192.168.50.1", "192.168.50.11"]


OURS = """---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: ours}
spec:
  network: default
  type: NodePort
  addresses: [10.96.0.30]
  sourceRanges: {allow: [192.0.2.0/24]}
  ports: [{port: 80, targetPort: 8080, nodePort: 30090}]
  backends: [{workload: web-1}]
"""


def test_source_ranges_of_a_dpu_service_do(example: str) -> None:
    found = compiled(example + OURS, "dpu-a")
    assert ranged(found) == numbers(found, " port=30090 ")
    assert len(lines(found, "source_range_ipv4")) == 4, "for each of two addresses the range, and all others"
