"""Entries of services whose backends answer by themselves: ways that lead to one alone, and whom a device knows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from compiler.entries.desired import Desired, compile_entries
from compiler.ir.entries import ActionCall, Exact
from compiler.policy.loading import load_text
from runtime.verification.directs import Directs, address_of, mac_of, manifests_of, policies_of
from runtime.verification.outsiders import DEVICES
from tests.unit.entries.test_entering import lines

ALL = Directs(backends=frozenset({0, 1, 2, 3}))


def compiled(world: Directs | str, device: str = "dpu-a", previous: Desired | None = None) -> Desired:
    if isinstance(world, str):
        loaded = load_text(world)
        assert not loaded.is_refused, loaded.render()
        policies = loaded.policies
    else:
        policies = policies_of(world)
    there = next(one for one in policies.devices if one.name == device)
    return compile_entries(policies, there, None if previous is None else previous.entries)


def text_of(world: Directs = ALL) -> str:
    return yaml.safe_dump_all(manifests_of(world))


def members(desired: Desired, family: str = "ipv4") -> dict[int, tuple[int, ...]]:
    action = f"to_direct_backend_{family}"
    return {m.id: m.action.arguments for m in desired.entries.members if m.action.action == action}


@pytest.mark.parametrize("version", [4, 6])
def test_each_backend_has_a_next_hop_of_its_own(version: int) -> None:
    found = compiled(ALL)
    held = members(found, f"ipv{version}").values()
    hops = {address: hop for address, _, hop in held}
    assert set(hops) == {int(address_of(workload, version)) for workload in (0, 1, 2, 3)}
    assert len(set(hops.values())) == 4
    for workload in (0, 1):
        (line,) = lines(found, "neighbor", f"nexthop={hops[int(address_of(workload, version))]} ")
        assert "deliver(" in line
        assert f"dst_mac={mac_of(workload)}" in line
    for workload in (2, 3):
        (line,) = lines(found, "neighbor", f"nexthop={hops[int(address_of(workload, version))]} ")
        assert "encapsulate(" in line
        assert f"dst_mac={mac_of(workload)}" in line, "of the inner frame"


def test_what_is_no_direct_service_goes_by_the_networks_router() -> None:
    """So the other device never takes it for such a service's."""
    found = compiled(ALL)
    for workload in (2, 3):
        (route,) = lines(found, "route_ipv4", f"dst={address_of(workload, 4)}/32")
        hop = route.partition("nexthop=")[2].rstrip(")")
        (line,) = lines(found, "neighbor", f"nexthop={hop} ")
        assert "dst_mac=0a:54:00:00:00:64" in line
    plain = [m.action.arguments for m in found.entries.members if m.action.action == "to_backend_ipv4"]
    assert {address for address, _ in plain} == {int(address_of(w, 4)) for w in (0, 1, 2, 3)}, "its cluster IP"


def test_a_device_knows_its_workloads_by_their_macs_and_its_way_out() -> None:
    found = compiled(ALL)
    for family in ("ipv4", "ipv6"):
        assert len(lines(found, f"direct_backend_{family}")) == 2
        for workload in (0, 1):
            (line,) = lines(found, f"direct_backend_{family}", f"mac={mac_of(workload)} ")
            back = line.partition("back=")[2].rstrip(")")
            (out,) = lines(found, "neighbor", f"nexthop={back} ")
            assert "deliver(network=1, port=1," in out
    assert lines(compiled(replace(ALL, is_direct=False)), "direct_backend_ipv4") == []
    assert lines(compiled(replace(ALL, routers=frozenset({1}))), "direct_backend_ipv4") == []


def test_rings_are_alike_on_all_devices() -> None:
    """Numbers of next hops are each device's own, and no part of what a member is."""
    here, there = (members(compiled(ALL, device)) for device in DEVICES)
    assert {n: one[:2] for n, one in here.items()} == {n: one[:2] for n, one in there.items()}
    assert here != there


def test_a_backend_that_moves_stays_the_member_that_it_is() -> None:
    before = compiled(ALL)
    moved = text_of().replace("192.168.50.2/24", "192.168.50.9/24")
    after = members(compiled(moved, previous=before))
    was = members(before)
    assert {n: one[:2] for n, one in after.items()} == {n: one[:2] for n, one in was.items()}
    changed = {one[0] for n, one in after.items() if one != was[n]}
    assert changed == {int(address_of(workload, 4)) for workload in (2, 3)}


def test_two_networks_of_equal_addresses_have_members_of_their_own() -> None:
    """As many as there are backends, also when they were members before."""
    documents = manifests_of(Directs(backends=frozenset({0})))
    for document in list(documents):
        if document["kind"] in ("Network", "DpuService"):
            other = yaml.safe_load(yaml.safe_dump(document))
            other["metadata"]["name"] = "blue" if document["kind"] == "Network" else "again"
            if document["kind"] == "Network":
                other["spec"] |= {"id": 2, "vni": 200}
            else:
                other["spec"] |= {"network": "blue", "backends": [{"workload": "b0"}]}
                other["spec"] |= {"externalAddresses": ["203.0.113.2", "2001:db8:113::2"]}
            documents.append(other)
        if document["metadata"]["name"] == "w0":
            other = yaml.safe_load(yaml.safe_dump(document))
            other["metadata"]["name"], other["spec"]["network"] = "b0", "blue"
            documents.append(other)
        if document["metadata"]["name"] == "dpu-a":
            document["spec"]["ports"].append({"id": 30, "name": "b0", "type": "workload", "workload": "b0"})
    text = yaml.safe_dump_all(documents)
    before = compiled(text)
    assert len({one[2] for one in members(before).values()}) == len(members(before)) // 3 == 2
    assert members(compiled(text, previous=before)) == members(before)


def test_workloads_with_network_policies_are_known_by_their_next_hops_too() -> None:
    found = compiled(replace(ALL, closed=frozenset({1})))
    own = next(
        entry.action.arguments[0]
        for entry in found.entries.table_entries
        if entry.table == "direct_backend_ipv4"
        and entry.matches[1] == Exact(value=int(mac_of(1).replace(":", ""), 16))
        and isinstance(entry.action, ActionCall)
    )
    for family, length in (("ipv4", 32), ("ipv6", 128)):
        destinations = [
            entry.matches[1]
            for entry in found.entries.table_entries
            if entry.table == f"isolated_destination_{family}" and entry.action
        ]
        assert [(m.value, m.prefix_len) for m in destinations if m.value == own] == [(own, length)]  # pyright: ignore
    plain = compiled(replace(ALL, closed=frozenset({1}), is_direct=False))
    assert len(lines(plain, "isolated_destination_ipv4")) == 1


def test_one_at_a_proxy_is_left_out() -> None:
    """The proxy has not the service's address."""
    documents = manifests_of(ALL)
    redirect = {
        "apiVersion": "turnout.dev/v1alpha1",
        "kind": "MeshRedirect",
        "metadata": {"name": "in"},
        "spec": {"network": "red", "selector": {"name": "w0"}, "inbound": {}},
    }
    found = compiled(yaml.safe_dump_all([*documents, redirect]))
    of_port = {port: {a for a, p, _ in members(found).values() if p == port} for port in (80, 53)}
    assert int(address_of(0, 4)) not in of_port[80]
    assert int(address_of(0, 4)) in of_port[53], "proxies are for TCP"


def test_v1model_refuses() -> None:
    text = text_of().replace("node: node-0\n  ports", "node: node-0\n  profile: v1model\n  ports")
    text = text.replace("protocol: SCTP", "protocol: TCP")
    found = compiled(text)
    assert [d.code.id for d in found.diagnostics] == ["E0312"]
    assert found.diagnostics[0].message == (
        "service 'default/direct' has server return Direct; device 'dpu-a' has profile v1model"
    )
    assert not [t for t in ("direct_backend_ipv4", "service_ipv4") if lines(found, t)]
