"""What policies promise, of the example whose networks share their addresses."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from compiler.policy.loading import load, load_text
from compiler.policy.policyset import PolicySet
from runtime.verification.proof.expectation import WHEN_CROWDED, Expectation, expectation
from runtime.verification.speaking import Ends, speakers

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
