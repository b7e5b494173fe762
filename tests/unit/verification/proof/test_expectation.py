"""What policies promise, of the examples: to workloads, and to clients outside."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load, load_text
from compiler.policy.policyset import PolicySet
from runtime.verification.proof.entering import callers, doors, network_entered, networks_of
from runtime.verification.proof.expectation import WHEN_CROWDED, Expectation, expectation
from runtime.verification.proof.proving import Effort, Prover
from runtime.verification.speaking import Ends, outsider, speakers

ROOT = Path(__file__).resolve().parents[4]
TCP, UDP = 6, 17


@pytest.fixture(scope="module")
def shop() -> PolicySet:
    return load([ROOT / "examples" / "shop.yaml"]).policies


def promised(policies: PolicySet, client: str, dst: str, port: int, protocol: int = TCP) -> Expectation:
    speaker = next(s for s in speakers(policies) if s.workload.key == client)
    address = ip_address(dst)
    src = speaker.workload.address(address.version)
    assert src is not None
    ends = Ends(protocol=protocol, src=src, src_port=1024, dst=address, dst_port=port)
    return expectation(policies, speaker, ends)


def places(*named: tuple[str, int]) -> frozenset[tuple[object, int]]:
    return frozenset((ip_address(address), port) for address, port in named)


def test_a_service_goes_to_any_of_its_backends(shop: PolicySet) -> None:
    found = promised(shop, "shop/client", "10.96.0.10", 80)
    assert found.places == places(("10.1.0.11", 8080), ("10.1.0.12", 8080), ("10.1.0.13", 8080))
    assert (found.reasons, found.service) == (WHEN_CROWDED, "shop/web:http")
    assert str(found) == "delivered to 10.1.0.11 port 8080 or 10.1.0.12 port 8080 or 10.1.0.13 port 8080"


def test_the_same_address_is_another_service_in_another_network(shop: PolicySet) -> None:
    found = promised(shop, "blue/blue-client", "10.96.0.10", 80)
    assert (found.places, found.service) == (places(("10.1.0.11", 8080)), "blue/web:http")


def test_another_port_or_protocol_is_no_service(shop: PolicySet) -> None:
    assert promised(shop, "shop/client", "10.96.0.10", 81).is_untouched
    assert promised(shop, "shop/client", "10.96.0.10", 80, UDP).is_untouched
    assert str(promised(shop, "shop/client", "10.96.0.10", 81)) == "left to the kernel"


def test_a_workload_of_the_network_gets_what_is_sent_to_it(shop: PolicySet) -> None:
    assert promised(shop, "shop/client", "10.1.0.13", 7) == Expectation(places=frozenset(places(("10.1.0.13", 7))))  # type: ignore[arg-type]


def test_an_address_of_nobody_is_left_alone(shop: PolicySet) -> None:
    assert promised(shop, "shop/client", "10.1.0.99", 7).is_untouched


def test_a_service_without_backends_refuses() -> None:
    text = (ROOT / "examples" / "single-node.yaml").read_text()
    policies = load_text(text, "single-node.yaml").policies
    service = policies.services[0]
    empty = load_text(text.replace("app: web", "app: nobody", 1), "single-node.yaml").policies
    client = speakers(empty)[0].workload.key
    address = next(a for a in service.addresses if a.version == 4)
    found = promised(empty, client, str(address), service.ports[0].port)
    if not empty.services[0].ports[0].backends:
        assert (found.is_refused, str(found)) == (True, "refused")


@pytest.fixture(scope="module")
def netpol() -> PolicySet:
    return load([ROOT / "examples" / "netpol.yaml"]).policies


def of_example(name: str, change: tuple[str, str] = ("", "")) -> PolicySet:
    loaded = load_text((ROOT / "examples" / name).read_text().replace(*change))
    assert not loaded.is_refused, loaded.render()
    return loaded.policies


def from_outside(policies: PolicySet, device: str, client: str, dst: str, port: int) -> Expectation:
    there = next(one for one in policies.devices if one.name == device)
    source, address = ip_address(client), ip_address(dst)
    network = network_entered(policies, device, address)
    entered = next((s.network for s in policies.services if s.network.name == network), policies.networks[0])
    ends = Ends(protocol=TCP, src=source, src_port=1024, dst=address, dst_port=port)
    return expectation(policies, outsider(there, entered, (source,)), ends)


def test_network_policies_are_held_against_the_backend(netpol: PolicySet) -> None:
    """Everybody may have the web servers' port 8080 in the example, these may open nothing (examples/netpol.yaml)."""
    called = promised(netpol, "shop/client", "10.96.0.10", 80)
    assert called.places == places(("10.1.0.11", 8080), ("10.1.0.12", 8080))
    assert promised(netpol, "shop/client", "10.1.0.11", 22).reasons == WHEN_CROWDED | {"ingress_denied"}
    opened = promised(netpol, "shop/web-1", "10.96.0.10", 80)
    itself = places(("10.1.0.11", 8080))
    assert (opened.places, opened.reasons) == (itself, WHEN_CROWDED | {"egress_denied"})


def test_nobody_is_kept_from_itself(netpol: PolicySet) -> None:
    assert promised(netpol, "shop/web-1", "10.1.0.11", 22).places == places(("10.1.0.11", 22))


def test_clients_outside_get_the_backends_of_the_address() -> None:
    eip = of_example("eip.yaml")
    found = from_outside(eip, "dpu-a", "192.0.2.1", "203.0.113.10", 80)
    assert (found.places, found.service) == (places(("10.1.0.11", 8080), ("10.1.0.12", 8080)), "shop/web:http")
    local = from_outside(eip, "dpu-b", "192.0.2.1", "203.0.113.20", 80)
    assert local.places == places(("10.1.0.12", 8080))
    assert from_outside(eip, "dpu-a", "192.0.2.1", "203.0.113.10", 81).is_untouched


@pytest.mark.parametrize("device", ["dpu-a", "dpu-b"])
def test_backends_that_answer_by_themselves_get_packets_as_they_are_sent(device: str) -> None:
    direct = of_example("direct.yaml")
    found = from_outside(direct, device, "192.0.2.1", "203.0.113.30", 80)
    assert (found.places, found.is_direct) == (places(("10.1.0.11", 80), ("10.1.0.12", 80)), True)
    inside = promised(direct, "shop/client", "10.96.0.10", 80)
    assert (inside.places, inside.is_direct) == (found.places, False)
    router = (
        "gateway: 192.168.50.254\n    gatewayMac: 02:00:00:00:50:fe\n  ports:\n  - {id: 1, name: p0, type: uplink}\n"
    )
    ports = "  - {id: 16, name: web-2"
    alone = of_example(
        "direct.yaml", (router + ports, router.replace("    gatewayMac: 02:00:00:00:50:fe\n", "") + ports)
    )
    assert from_outside(alone, "dpu-a", "192.0.2.1", "203.0.113.30", 80).places == places(("10.1.0.11", 80))


def test_clients_outside_that_are_not_let_in() -> None:
    ranges = ("  selector: {app: web}\n", "  selector: {app: web}\n  sourceRanges: {allow: [198.51.100.0/24]}\n")
    eip = of_example("eip.yaml", ranges)
    assert from_outside(eip, "dpu-a", "198.51.100.7", "203.0.113.10", 80).places
    assert from_outside(eip, "dpu-a", "192.0.2.1", "203.0.113.10", 80).reasons == {"source_denied"}


def test_a_gateway_reaches_backends_of_all_networks() -> None:
    gateway = of_example("gateway.yaml")
    found = from_outside(gateway, "edge", "192.0.2.1", "203.0.113.9", 80)
    assert found.places == places(("10.1.0.11", 8080), ("10.1.0.12", 8080))
    assert found.reasons == WHEN_CROWDED | {"no_source_port"}
    assert networks_of(gateway, "edge", ip_address("203.0.113.9")) == {"red", "blue"}
    alone = of_example("gateway.yaml", ("  - {workload: blue-1}\n  - {workload: blue-2}\n", ""))
    assert from_outside(alone, "edge", "192.0.2.1", "203.0.113.9", 80).places == places(("10.1.0.11", 8080))
    assert not doors(gateway, next(d for d in gateway.devices if d.name == "dpu-a"))


@pytest.mark.parametrize("name", ["eip", "direct", "nodeport", "gateway", "netpol", "ipv6", "kubernetes"])
def test_examples_keep_what_they_promise(name: str) -> None:
    """On the interpreter alone."""
    policies = load([ROOT / "examples" / f"{name}.yaml"]).policies
    prover = Prover(pipeline=pipeline(), policies=policies, levels=())
    for device in policies.devices:
        proof = prover.prove(device, Effort(packets=900))
        assert proof.found is None, proof.found


def test_callers_are_one_of_each_range_and_one_of_none() -> None:
    ranges = "  sourceRanges: {allow: [198.51.100.0/24, 192.0.2.77/32], deny: [10.1.0.12/32]}\n"
    eip = of_example("eip.yaml", ("  selector: {app: web}\n", f"  selector: {{app: web}}\n{ranges}"))
    device = eip.devices[0]
    service, _ = next(door for door in doors(eip, device) if door[0].key == "shop/web")
    found = [str(s.workload.addresses[0]) for s in callers(eip, device, service, 4)]
    assert found == ["192.0.2.77", "198.51.100.1", "203.0.113.77"], "10.1.0.12 is a workload's"
