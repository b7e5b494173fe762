"""Entries of service gateways: who holds what, and what is said where something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.entries.desired import Desired, compile_entries
from compiler.policy.loading import load_text
from tests.unit.entries.test_entering import compiled, lines

GATEWAY = Path(__file__).parents[3] / "examples" / "gateway.yaml"
EDGE = 'gatewayAddresses: [100.64.0.3, "fd00:64::3"]'


@pytest.fixture(scope="module")
def policies() -> str:
    return GATEWAY.read_text()


def crossings(desired: Desired) -> list[str]:
    return lines(desired, "crossing_ipv4")


def test_each_way_into_a_network_is_one_crossing(policies: str) -> None:
    """Backends behind one device and port, and both families, have the same."""
    found = crossings(compiled(policies, "edge"))
    assert [line.split(" -> ")[0] for line in found] == [f"crossing_ipv4 crossing={number}" for number in (1, 2, 3)]
    same = [line.replace("ipv6", "ipv4") for line in lines(compiled(policies, "edge"), "crossing_ipv6")]
    assert same == found


def test_ways_in_are_for_packets_of_no_network_and_ways_back_for_their_own(policies: str) -> None:
    found = compiled(policies, "edge")
    for line in crossings(found):
        said = dict(part.split("=") for part in line.partition("cross(")[2].rstrip(")").split(", "))
        (inwards,) = lines(found, "neighbor", f"nexthop={said['nexthop']} ")
        (back,) = lines(found, "neighbor", f"nexthop={said['way_back']} ")
        assert "(network=0, " in inwards
        assert "src_mac=02:00:00:00:50:03" in inwards
        assert f"deliver(network={said['network']}, port=1, " in back


def test_the_gateway_ends_tunnels_of_networks_that_it_has_no_workload_of(policies: str) -> None:
    found = compiled(policies, "edge")
    assert len(lines(found, "tunnel", "vni=100")) == len(lines(found, "tunnel", "vni=200")) == 1
    assert lines(found, "route_ipv4", "dst=10.1.0.11/32")[0].count("network=") == 1, "only its own network has routes"


def test_backends_devices_answer_to_the_gateway(policies: str) -> None:
    for device in ("dpu-a", "dpu-b"):
        found = compiled(policies, device)
        (line,) = lines(found, "entrance_ipv4", "source=02:00:00:00:50:03")
        hop = line.partition("nexthop=")[2].rstrip(")")
        assert len(lines(found, "neighbor", f"nexthop={hop} ", "encapsulate(", "tunnel_dst=192.168.50.3")) == 1
        assert not [table for table in ("eip_ipv4", "service_ipv4", "crossing_ipv4") if lines(found, table)]


def test_without_a_gateway_address_of_a_family_it_is_not_let_in(policies: str) -> None:
    only = policies.replace(EDGE, "gatewayAddresses: [100.64.0.3]")
    found = compiled(only, "edge")
    assert (len(lines(found, "eip_ipv4")), len(lines(found, "eip_ipv6"))) == (1, 0)
    assert lines(found, "service_ipv6") == []
    assert [d.code.id for d in load_text(only).diagnostics] == ["W0236"]
    none = policies.replace(f"  {EDGE}\n", "")
    found = compiled(none, "edge")
    assert not [t for t in ("eip_ipv4", "service_ipv4", "crossing_ipv4", "backend_ipv4") if lines(found, t)]


def test_numbers_of_crossings_stay_what_they_were(policies: str) -> None:
    before = compiled(policies, "edge")
    fewer = policies.replace("  - {workload: red-1}\n", "")
    loaded = load_text(fewer).policies
    device = next(device for device in loaded.devices if device.name == "edge")
    after = compile_entries(loaded, device, before.entries)
    assert set(crossings(after)) < set(crossings(before))
    assert len(crossings(after)) == 2


def test_a_backend_that_nothing_leads_to_is_left_out(policies: str) -> None:
    """Device dpu-a is in another subnet, and so is behind the router, which the gateway knows; then without."""
    far = policies.replace("address: 192.168.50.1/24", "address: 192.168.51.1/24\n    gateway: 192.168.51.254")
    assert len(crossings(compiled(far, "edge"))) == 3
    gone = policies.replace("  - {id: 16, name: red-1, type: workload, workload: red-1}\n", "")
    found = compiled(gone, "edge")
    assert len(crossings(found)) == 2
    assert len(lines(found, "service_ipv4")) == 2


def test_v1model_is_no_gateway(policies: str) -> None:
    found = compiled(
        policies.replace("  node: node-edge\n  underlay", "  node: node-edge\n  profile: v1model\n  underlay"), "edge"
    )
    assert [d.code.id for d in found.diagnostics] == ["E0310"]
    assert found.diagnostics[0].message == "device 'edge' with profile v1model is no gateway of service 'default/api'"
