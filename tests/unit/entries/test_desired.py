"""What policies become in the tables of a device."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from compiler.entries import codes
from compiler.entries.desired import Desired, compile_entries
from compiler.entries.identity import router_mac
from compiler.ir.entries import ActionCall, Entries, Exact, GroupRef, TableEntry
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from compiler.policy.policyset import PolicySet
from runtime.client.rendering import Renderer

SHOP = Path(__file__).parents[3] / "examples" / "shop.yaml"
RENDERER = Renderer(pipeline())


def policies(text: str) -> PolicySet:
    loaded = load_text(text)
    assert loaded.policies is not None, loaded.diagnostics
    return loaded.policies


def compiled(text: str, device: str, previous: Entries | None = None) -> Desired:
    found = policies(text)
    return compile_entries(found, next(d for d in found.devices if d.name == device), previous)


def lines(desired: Desired, table: str) -> list[str]:
    entries = (entry for entry in desired.entries.table_entries if entry.table == table)
    return [f"{RENDERER.name(entry)} {RENDERER.content(entry)}" for entry in entries]


@pytest.fixture(scope="module")
def shop() -> str:
    return SHOP.read_text()


def test_ports_lead_to_networks(shop: str) -> None:
    found = compiled(shop, "dpu-b")
    network = {n.name: n.id for n in policies(shop).networks}
    assert lines(found, "port") == [
        "port port=1 vlan=0 -> set_uplink()",
        f"port port=16 vlan=0 -> set_workload(network={network['shop']}, nexthop={hop_of(found, 16)})",
        f"port port=20 vlan=0 -> set_workload(network={network['blue']}, nexthop={hop_of(found, 20)})",
    ]


def hop_of(desired: Desired, port: int) -> int:
    """The next hop that delivers to a port."""
    for entry in desired.entries.table_entries:
        if entry.table == "neighbor" and isinstance(entry.action, ActionCall) and entry.action.action == "deliver":
            arguments = dict(zip(("network", "port"), entry.action.arguments[:2], strict=True))
            if arguments["port"] == port:
                return first_value(entry)
    raise AssertionError(f"no next hop to port {port}")


def first_value(entry: TableEntry) -> int:
    match = entry.matches[0]
    assert isinstance(match, Exact)
    return match.value


def test_remote_workloads_are_behind_one_tunnel_a_network(shop: str) -> None:
    tunnels = [line for line in lines(compiled(shop, "dpu-a"), "neighbor") if "encapsulate" in line]
    assert len(tunnels) == 2
    assert all("tunnel_src=192.168.50.1, tunnel_dst=192.168.50.2" in line for line in tunnels)
    assert {line.split("vni=")[1].split(",")[0] for line in tunnels} == {"100", "200"}


def test_every_workload_has_a_route_and_an_answered_address(shop: str) -> None:
    found = compiled(shop, "dpu-b")
    shop_id = next(n.id for n in policies(shop).networks if n.name == "shop")
    routes = [line for line in lines(found, "route_ipv4") if f"network={shop_id} " in line]
    assert [line.split()[2] for line in routes] == [f"dst=10.1.0.{host}/32" for host in (10, 11, 12, 13)]
    answered = [line.split()[2] for line in lines(found, "arp") if f"network={shop_id} " in line]
    assert answered == [f"address=10.1.0.{host}" for host in (1, 10, 11, 12, 13)]


def test_service_backends_are_a_group_of_equal_members(shop: str) -> None:
    found = compiled(shop, "dpu-a")
    groups = {(g.selector, g.id): g for g in found.entries.groups}
    references = [e for e in found.entries.table_entries if e.table == "backend_ipv4"]
    sizes = sorted(
        len(groups["backends_ipv4", entry.action.group_id].members)
        for entry in references
        if isinstance(entry.action, GroupRef)
    )
    assert sizes == [1, 3, 3]


def test_entries_name_the_policy_line(shop: str) -> None:
    found = compiled(shop, "dpu-a")
    text = shop.splitlines()
    for entry in found.entries.table_entries:
        if entry.table.startswith("service_"):
            assert "port:" in text[entry.span.line - 1]


def test_numbers_keep_their_meaning(shop: str) -> None:
    before = compiled(shop, "dpu-a").entries
    fewer = shop.replace("  - {id: 16, name: client, type: workload, workload: shop/client}\n", "")
    after = compiled(fewer, "dpu-a", before).entries
    old = {e.key: e.action for e in before.table_entries if e.table in ("neighbor", "service_ipv4")}
    assert all(old[e.key] == e.action for e in after.table_entries if e.table in ("neighbor", "service_ipv4"))
    again = compiled(shop, "dpu-a", after).entries
    assert {m.id for m in again.members} == {m.id for m in before.members}


def test_a_new_next_hop_gets_no_number_that_flows_may_still_carry(shop: str) -> None:
    """The first device holds no more what has gone by the time something new comes."""
    held = compiled(shop, "dpu-a").entries
    gone = hop_of(compiled(shop, "dpu-a"), 17)
    fewer = shop.replace("  - {id: 17, name: web-1, type: workload, workload: shop/web-1}\n", "")
    without = compiled(fewer, "dpu-a", held).entries
    moved = fewer.replace("{id: 18, name: web-2,", "{id: 19, name: web-2,")
    assert gone not in {first_value(e) for e in without.table_entries if e.table == "neighbor"}
    assert hop_of(compiled(moved, "dpu-a", without), 19) != gone


def test_same_policies_same_entries(shop: str) -> None:
    first = compiled(shop, "dpu-a")
    assert first == compiled(shop, "dpu-a")
    assert compiled(shop, "dpu-a", first.entries).entries == first.entries


def test_port_numbers_follow_the_type(shop: str) -> None:
    found = compiled(shop.replace("{id: 16, name: client,", "{id: 10, name: client,"), "dpu-a")
    assert [d.code for d in found.diagnostics] == [codes.UPLINK_NUMBER]
    assert found.diagnostics[0].message == "port 'client' of device 'dpu-a' has id 10"


def test_what_does_not_fit_is_refused(shop: str) -> None:
    found, whole = policies(shop), pipeline()
    tables = tuple(replace(table, size=2) if table.name == "service_ipv4" else table for table in whole.tables)
    desired = compile_entries(found, found.devices[0], pipeline=replace(whole, tables=tables))
    assert [d.message for d in desired.diagnostics] == [
        "device 'dpu-a' would need 3 entries in table service_ipv4, which holds 2"
    ]


def test_no_entry_points_to_an_empty_group_on_v1model(shop: str) -> None:
    empty = shop.replace("selector: {app: web}", "selector: {app: nothing}")
    assert len(lines(compiled(empty, "dpu-a"), "backend_ipv4")) == 3
    v1model = empty.replace("  name: dpu-a\nspec:\n", "  name: dpu-a\nspec:\n  profile: v1model\n")
    assert lines(compiled(v1model, "dpu-a"), "backend_ipv4") == []
    assert len(lines(compiled(v1model, "dpu-a"), "service_ipv4")) == 3


def test_backends_of_services_are_told_on_every_device(shop: str) -> None:
    """Each once, in its network, wherever it is: a client behind this device may reach it."""
    expected = [
        *(f"served_ipv4 network=1 address=10.1.0.{host}/32 -> has_services()" for host in (11, 12, 13)),
        "served_ipv4 network=2 address=10.1.0.11/32 -> has_services()",
    ]
    for device in ("dpu-a", "dpu-b"):
        assert lines(compiled(shop, device), "served_ipv4") == expected
    without = shop.replace("selector: {app: web}", "selector: {app: nothing}")
    assert len(lines(compiled(without, "dpu-a"), "served_ipv4")) < len(expected)
    v1model = shop.replace("  name: dpu-a\nspec:\n", "  name: dpu-a\nspec:\n  profile: v1model\n")
    assert lines(compiled(v1model, "dpu-a"), "served_ipv4") == []


def test_router_macs_differ_by_network(shop: str) -> None:
    macs = [router_mac(network) for network in policies(shop).networks]
    assert len(set(macs)) == len(macs)
    assert all(mac >> 40 & 3 == 2 for mac in macs)


@pytest.mark.parametrize(
    ("algorithm", "action"),
    [
        ("Maglev", "to_service"),
        ("SourceHash", "to_service_by_source"),
        ("Random", "to_service_by_chance"),
        ("RoundRobin", "to_service_in_turn"),
        ("LeastConnections", "to_service_by_count"),
    ],
)
def test_the_algorithm_is_the_services_action(shop: str, algorithm: str, action: str) -> None:
    """Nothing else differs from what a service without one has: so a change of it is one MODIFY of each entry."""
    default = compiled(shop, "dpu-a")
    addresses = '  addresses: [10.96.0.10, "fd00:10:96::10"]\n'
    assert shop.count(addresses) == 1
    found = compiled(shop.replace(addresses, f"{addresses}  algorithm: {algorithm}\n"), "dpu-a")
    changed = set(found.entries.table_entries) ^ set(default.entries.table_entries)
    assert {entry.owner.partition(":")[0] for entry in changed} <= {"DpuService shop/web"}
    mine = [entry for entry in found.entries.table_entries if entry.owner.startswith("DpuService shop/web:")]
    calls = {
        entry.action.action for entry in mine if isinstance(entry.action, ActionCall) and "service_" in entry.table
    }
    assert calls == {f"{action}_ipv4", f"{action}_ipv6"}
    assert {entry.key for entry in found.entries.table_entries} == {e.key for e in default.entries.table_entries}


@pytest.mark.parametrize("algorithm", ["RoundRobin", "LeastConnections"])
def test_v1model_refuses_turns_and_counts(shop: str, algorithm: str) -> None:
    addresses = '  addresses: [10.96.0.10, "fd00:10:96::10"]\n'
    asking = shop.replace(addresses, f"{addresses}  algorithm: {algorithm}\n")
    v1model = asking.replace("  name: dpu-a\nspec:\n", "  name: dpu-a\nspec:\n  profile: v1model\n")
    made = compiled(v1model, "dpu-a")
    message = f"service 'shop/web' has algorithm {algorithm}; device 'dpu-a' has profile v1model"
    assert [(each.code, each.message) for each in made.diagnostics] == [(codes.ALGORITHM_NOT_OFFERED, message)]
    assert not any(entry.owner.startswith("DpuService shop/web:") for entry in made.entries.table_entries)


def test_a_local_service_has_the_backends_of_the_devices_node(shop: str) -> None:
    """A service address is the device's for its own clients: each device has another group, with the same number."""
    addresses = '  addresses: [10.96.0.10, "fd00:10:96::10"]\n'
    local = shop.replace(addresses, f"{addresses}  internalTrafficPolicy: Local\n")
    cluster = {device: hosts_behind(compiled(shop, device)) for device in ("dpu-a", "dpu-b")}
    assert cluster == {device: {"10.1.0.11", "10.1.0.12", "10.1.0.13"} for device in cluster}
    assert hosts_behind(compiled(local, "dpu-a")) == {"10.1.0.11", "10.1.0.12"}
    assert hosts_behind(compiled(local, "dpu-b")) == {"10.1.0.13"}
    web_3 = "  name: web-3\n  namespace: shop\n  labels: {app: web}"
    assert local.count(web_3) == 1
    assert hosts_behind(compiled(local.replace(web_3, web_3.replace("app: web", "app: other")), "dpu-b")) == set()


def hosts_behind(desired: Desired) -> set[str]:
    """The IPv4 backends of service shop/web:http."""
    entries = [
        e for e in desired.entries.table_entries if e.table == "backend_ipv4" and e.owner.endswith("shop/web:http")
    ]
    (group,) = (
        g
        for g in desired.entries.groups
        if entries[0].action == GroupRef(group_id=g.id) and g.selector == "backends_ipv4"
    )
    chosen = {member.member_id for member in group.members}
    calls = [m.action for m in desired.entries.members if m.selector == "backends_ipv4" and m.id in chosen]
    return {str(IPv4Address(call.arguments[0])) for call in calls}
