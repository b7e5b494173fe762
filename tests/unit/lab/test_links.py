"""The iproute2 commands of a topology."""

from __future__ import annotations

from runtime.lab import links
from runtime.lab.topology import topology_of
from tests.unit.lab.policies import policies, shop

GATEWAY = ", gateway: 192.0.2.254, gatewayMac: '02:00:00:00:ff:01'"
TOPOLOGY = topology_of(policies(shop("/s", vlan=", vlan: 7", gateways=(GATEWAY, ""))), "t")


def test_pairs_have_both_ends_where_they_belong() -> None:
    mac = {workload.key: workload.mac for workload in TOPOLOGY.workloads}
    assert links.creation(TOPOLOGY) == [
        "link add name underlay0 netns tn-t.underlay address 02:00:00:00:ff:01 mtu 1500 type bridge "
        "stp_state 0 forward_delay 0 mcast_snooping 0",
        "link add name p0 netns tn-t.device.dpu-a address 02:00:00:00:aa:01 mtu 1500 type veth "
        "peer name up0-1 netns tn-t.underlay mtu 1500",
        "link add name client netns tn-t.device.dpu-a mtu 1450 type veth "
        f"peer name eth0 netns tn-t.workload.default.client address {mac['default/client']} mtu 1450",
        "link add name a-very~ff9cca76 netns tn-t.device.dpu-a mtu 1450 type veth "
        f"peer name eth0 netns tn-t.workload.default.web-1 address {mac['default/web-1']} mtu 1450",
        "link add name p0 netns tn-t.device.dpu-b address 02:00:00:00:aa:02 mtu 1500 type veth "
        "peer name up1-1 netns tn-t.underlay mtu 1500",
        "link add name web-2 netns tn-t.device.dpu-b mtu 1450 type veth "
        f"peer name eth0 netns tn-t.workload.default.web-2 address {mac['default/web-2']} mtu 1450",
        "link add name blue netns tn-t.device.dpu-b mtu 1400 type veth "
        f"peer name eth0 netns tn-t.workload.default.blue address {mac['default/blue']} mtu 1400",
        "link add name dpu0 netns tn-t.node.node-a type veth peer name mgmt0 netns tn-t.device.dpu-a",
        "link add name dpu0 netns tn-t.node.node-b type veth peer name mgmt0 netns tn-t.device.dpu-b",
    ]


def test_addresses_routes_and_links() -> None:
    lines = dict(links.configuration(TOPOLOGY))
    assert lines["tn-t.underlay"] == [
        "link set lo up",
        "link set up0-1 master underlay0 up",
        "link set up1-1 master underlay0 up",
        "addr add 192.0.2.254/24 dev underlay0",
        "link set underlay0 up",
        "addr add 198.51.100.10/32 dev underlay0",
        "route add 0.0.0.0/0 dev underlay0 src 198.51.100.10",
        "addr add 2001:db8:51::10/128 dev underlay0 nodad",
        "route add ::/0 dev underlay0 src 2001:db8:51::10",
    ]
    assert lines["tn-t.device.dpu-a"] == [
        "link set lo up",
        "link set p0 up",
        "link set client up",
        "link set a-very~ff9cca76 up",
        "addr add 169.254.0.2/30 dev mgmt0",
        "link set mgmt0 up",
        "addr add 192.0.2.1/24 dev p0",
        "route add default via 192.0.2.254 dev p0",
        "addr add 198.51.100.1/32 dev p0",
    ]
    assert lines["tn-t.node.node-a"] == [
        "link set lo up",
        "addr add 198.51.100.1/32 dev lo",
        "addr add 169.254.0.1/30 dev dpu0",
        "link set dpu0 up",
    ]
    assert lines["tn-t.workload.default.client"] == [
        "link set lo up",
        "link set eth0 up",
        "addr add 10.1.0.2/16 dev eth0",
        "addr add fd01::2/64 dev eth0 nodad",
        "route add 0.0.0.0/0 via 10.1.0.1 dev eth0 onlink",
        "route add ::/0 via fd01::1 dev eth0 onlink",
    ]
    assert lines["tn-t.workload.default.web-2"] == [
        "link set lo up",
        "link set eth0 up",
        "link set eth0.7 up",
        "addr add 10.1.0.4/16 dev eth0.7",
        "route add 0.0.0.0/0 via 10.1.0.1 dev eth0.7 onlink",
    ]


def test_the_tagged_interface() -> None:
    web = next(workload for workload in TOPOLOGY.workloads if workload.vlan)
    assert links.vlan_line(web) == "link add link eth0 name eth0.7 type vlan id 7"


def test_nothing_but_the_pipeline_forwards_in_a_dpu() -> None:
    values = dict(links.sysctls(TOPOLOGY))
    assert set(values) == set(TOPOLOGY.namespaces)
    for device in TOPOLOGY.devices:
        assert values[device.namespace]["net/ipv4/ip_forward"] == "0"
        assert values[device.namespace]["net/ipv6/conf/all/forwarding"] == "0"
        assert values[device.namespace]["net/ipv4/conf/all/rp_filter"] == "0"
        assert values[device.namespace]["net/ipv6/conf/default/addr_gen_mode"] == "1"


def test_expected_interfaces() -> None:
    expected = links.interfaces(TOPOLOGY)
    assert set(expected) == set(TOPOLOGY.namespaces)
    assert expected["tn-t.underlay"] == {"underlay0", "up0-1", "up1-1"}
    assert expected["tn-t.device.dpu-b"] == {"mgmt0", "p0", "web-2", "blue"}
    assert expected["tn-t.node.node-b"] == {"dpu0"}
    assert expected["tn-t.workload.default.web-2"] == {"eth0", "eth0.7"}
