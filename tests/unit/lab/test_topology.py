"""Policies to the plain values that a lab is built from."""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_address, ip_interface

import pytest

from runtime.lab.errors import LabError
from runtime.lab.topology import Bridge, LabDevice, LabUnderlay, LabWorkload, Topology, topology_of
from tests.unit.lab.policies import policies, shop


def topology(text: str) -> Topology:
    return topology_of(policies(text), "t")


def test_members() -> None:
    found = topology(shop("/s"))
    assert found.namespaces == (
        "tn-t.underlay",
        "tn-t.node.node-a",
        "tn-t.node.node-b",
        "tn-t.device.dpu-a",
        "tn-t.device.dpu-b",
        "tn-t.workload.default.blue",
        "tn-t.workload.default.client",
        "tn-t.workload.default.web-1",
        "tn-t.workload.default.web-2",
    )
    assert found.nodes[0].addresses == (ip_address("198.51.100.1"),)
    assert found.bridges == (Bridge(name="underlay0", gateways=(), mac=None, mtu=1500),)


def test_a_workload_has_what_its_policy_says() -> None:
    text = shop("/s").replace("addresses: [10.1.0.4]", "addresses: [10.1.0.4], mac: '02:00:00:00:00:44'")
    web = next(w for w in topology(text).workloads if w.key == "default/web-2")
    assert web == LabWorkload(
        key="default/web-2",
        namespace="tn-t.workload.default.web-2",
        addresses=(ip_interface("10.1.0.4/16"),),
        gateways=(ip_address("10.1.0.1"),),
        mac="02:00:00:00:00:44",
        mtu=1450,
        vlan=0,
        serve=(("http", 8080),),
    )


def test_a_workload_of_both_families_and_one_of_another_network() -> None:
    by_key = {workload.key: workload for workload in topology(shop("/s")).workloads}
    assert by_key["default/client"].addresses == (ip_interface("10.1.0.2/16"), ip_interface("fd01::2/64"))
    assert by_key["default/client"].gateways == (ip_address("10.1.0.1"), ip_address("fd01::1"))
    assert by_key["default/blue"].mtu == 1400


def test_a_tagged_port_puts_the_addresses_on_the_tagged_interface() -> None:
    web = next(w for w in topology(shop("/s", vlan=", vlan: 7")).workloads if w.key == "default/web-2")
    assert (web.vlan, web.interface) == (7, "eth0.7")


def test_a_device() -> None:
    device: LabDevice = topology(shop("/s")).devices[0]
    assert (device.name, device.node, device.target, device.device_id) == ("dpu-a", "node-a", "kernel", 1)
    assert (device.listen, device.socket) == ("unix:/s/dpu-a.sock", "/s/dpu-a.sock")
    assert device.underlay == LabUnderlay(address=IPv4Interface("192.0.2.1/24"), mac="02:00:00:00:aa:01", gateway=None)
    assert [(port.id, port.interface) for port in device.ports] == [(1, "p0"), (2, "client"), (3, "a-very~ff9cca76")]
    assert [port.id for port in device.uplinks] == [1]


def test_a_model_device_runs_the_model() -> None:
    assert topology(shop("/s", profile="model")).devices[0].target == "model"


def test_subnets_of_the_underlay_have_a_bridge_and_a_router_each() -> None:
    gateway = ", gateway: 192.0.2.254, gatewayMac: '02:00:00:00:ff:01'"
    text = shop("/s", gateways=(gateway, ", gateway: 192.0.3.254")).replace("192.0.2.2/24", "192.0.3.2/24")
    found = topology(text)
    assert found.bridges == (
        Bridge(name="underlay0", gateways=(IPv4Interface("192.0.2.254/24"),), mac="02:00:00:00:ff:01", mtu=1500),
        Bridge(name="underlay1", gateways=(IPv4Interface("192.0.3.254/24"),), mac=None, mtu=1500),
    )
    assert [device.bridge for device in found.devices] == ["underlay0", "underlay1"]


def test_a_gateway_that_is_a_device_is_no_router_of_the_lab() -> None:
    found = topology(shop("/s", gateways=(", gateway: 192.0.2.2", "")))
    assert found.bridges[0].gateways == ()


def test_a_workload_without_a_port_is_left_out() -> None:
    text = shop("/s").replace(", {id: 3, name: blue, type: workload, workload: blue}", "")
    assert "default/blue" not in {workload.key for workload in topology(text).workloads}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (shop("/s", profile="v1model"), "device 'dpu-a' has profile v1model, which the lab cannot run"),
        (
            shop("/s", gateways=tuple(f", gateway: 192.0.2.254, gatewayMac: '02:00:00:00:ff:0{i}'" for i in (1, 2))),  # pyright: ignore[reportArgumentType]
            "name different MACs of their gateways: 02:00:00:00:ff:01, 02:00:00:00:ff:02",
        ),
        (
            shop("/s").replace("/s/dpu-b.sock'", "/s/dpu-a.sock', deviceId: 2"),
            "device 'dpu-b' has the same address as 'dpu-a': unix:/s/dpu-a.sock",
        ),
    ],
)
def test_what_a_lab_cannot_play(text: str, message: str) -> None:
    with pytest.raises(LabError) as refused:
        topology(text)
    assert message in str(refused.value)


def test_the_same_policies_make_the_same_topology() -> None:
    assert topology(shop("/s")) == topology(shop("/s"))
    assert repr(topology(shop("/s"))) == repr(topology(shop("/s")))
