"""Entries for clients outside: what is let in, by whom, who answers on the underlay, and the ways back."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.entries.desired import Desired, compile_entries
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from runtime.client.rendering import Renderer

EIP = Path(__file__).parents[3] / "examples" / "eip.yaml"
RENDERER = Renderer(pipeline())
ROUTER = "    gatewayMac: 02:00:00:00:50:fe\n"
DEVICES = ("dpu-a", "dpu-b")
SHOP, BLUE = "203.0.113.10", "203.0.113.20"


@pytest.fixture(scope="module")
def eip() -> str:
    return EIP.read_text()


def compiled(text: str, device: str) -> Desired:
    policies = load_text(text).policies
    return compile_entries(policies, next(d for d in policies.devices if d.name == device))


def lines(desired: Desired, table: str, *parts: str) -> list[str]:
    entries = (entry for entry in desired.entries.table_entries if entry.table == table)
    shown = (f"{RENDERER.name(entry)} {RENDERER.content(entry)}" for entry in entries)
    return [line for line in shown if all(part in line for part in parts)]


def answering(text: str, address: str) -> list[str]:
    table = "nd" if ":" in address else "arp"
    return [name for name in DEVICES if lines(compiled(text, name), table, "network=0 ", f"address={address} ")]


def test_every_device_of_the_network_lets_its_addresses_in(eip: str) -> None:
    for device in DEVICES:
        found = compiled(eip, device)
        assert [line.split()[1] for line in lines(found, "eip_ipv4")] == [f"address={SHOP}", f"address={BLUE}"]
        assert [line.split()[1] for line in lines(found, "eip_ipv6")] == [
            "address=2001:db8:113::10",
            "address=2001:db8:113::20",
        ]
        assert len(lines(found, "neighbor", "deliver", "port=1,", "dst_mac=02:00:00:00:50:fe")) == 2


def test_the_signature_makes_the_underlay_address_of_the_routers(eip: str) -> None:
    """Network shop has VNI 100: 0a:54:00:00:00:64."""
    (line,) = lines(compiled(eip, "dpu-a"), "eip_ipv4", SHOP)
    signature = int(line.partition("signature=")[2].rstrip(")"), 0)
    assert (0x0A5400000064 + signature) % (1 << 48) == 0x020000005001


@pytest.mark.parametrize("address", [SHOP, BLUE, "2001:db8:113::10", "2001:db8:113::20"])
def test_one_device_answers_on_the_underlay(eip: str, address: str) -> None:
    (owner,) = answering(eip, address)
    assert owner in DEVICES


def test_of_local_services_a_device_with_a_backend_answers(eip: str) -> None:
    for device, workload in (("dpu-a", "web-1"), ("dpu-b", "web-2")):
        alone = eip.replace("  selector: {app: web}\n", f"  backends: [{{workload: {workload}}}]\n")
        assert answering(alone, BLUE) == [device]


def test_each_device_knows_who_else_lets_in(eip: str) -> None:
    found = compiled(eip, "dpu-a")
    for table in ("entrance_ipv4", "entrance_ipv6"):
        assert [line.partition(" -> ")[0] for line in lines(found, table)] == [
            f"{table} network=1 source=02:00:00:00:50:02",
            f"{table} network=2 source=02:00:00:00:50:02",
        ]
    hop = lines(found, "entrance_ipv4", "network=1 ")[0].partition("nexthop=")[2].rstrip(")")
    assert len(lines(found, "neighbor", f"nexthop={hop} ", "encapsulate(network=1,", "tunnel_dst=192.168.50.2")) == 1


def test_a_device_without_a_router_lets_nobody_in_and_answers_to_those_that_do(eip: str) -> None:
    one = eip.replace(ROUTER, "", 1)
    assert lines(compiled(one, "dpu-a"), "eip_ipv4") == []
    assert lines(compiled(one, "dpu-b"), "entrance_ipv4") == []
    assert len(lines(compiled(one, "dpu-a"), "entrance_ipv4")) == 2
    assert answering(one, SHOP) == ["dpu-b"]


def test_local_backends_are_those_of_the_device_for_external_addresses_alone(eip: str) -> None:
    found = compiled(eip, "dpu-a")
    group = {
        address: next(
            len(g.members)
            for line in lines(found, "service_ipv4", "network=2 ", f"address={address} ")
            for g in found.entries.groups
            if g.selector == "backends_ipv4" and f"service_id={g.id}," in line
        )
        for address in (BLUE, "10.96.0.10")
    }
    assert group == {BLUE: 1, "10.96.0.10": 2}
