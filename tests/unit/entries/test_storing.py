"""Portals as entries: numbers above services, targets by health and preference, classes, rates, watched ports."""

from __future__ import annotations

import pytest

from compiler.entries.desired import compile_entries
from compiler.entries.storageplan import storage_plan
from compiler.ir.entries import ActionCall, Entries, MeterConfig, TableEntry, numbers_of
from compiler.pipeline.affinity import KEPT_MS
from compiler.pipeline.storage import LAST_SERVICE
from compiler.policy.loading import load_text
from compiler.policy.policyset import PolicySet

BASE = """
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: san}
spec: {id: 7, vni: 100, cidrs: [10.3.0.0/16, "fd00:3::/64"]}
---
apiVersion: turnout.dev/v1alpha1
kind: Node
metadata: {name: node-a}
---
apiVersion: turnout.dev/v1alpha1
kind: Node
metadata: {name: node-b}
---
apiVersion: turnout.dev/v1alpha1
kind: Device
metadata: {name: dpu-a}
spec:
  node: node-a
  underlay: {address: 192.168.60.1/24, mac: 02:00:00:00:60:01}
  ports:
  - {id: 1, name: p0, type: uplink}
  - {id: 16, name: t1, type: workload, workload: t1}
---
apiVersion: turnout.dev/v1alpha1
kind: Device
metadata: {name: dpu-b}
spec:
  node: node-b
  underlay: {address: 192.168.60.2/24, mac: 02:00:00:00:60:02}
  ports:
  - {id: 1, name: p0, type: uplink}
  - {id: 16, name: t2, type: workload, workload: t2}
  - {id: 17, name: t3, type: workload, workload: t3}
"""
TARGETS = "".join(
    f"---\napiVersion: turnout.dev/v1alpha1\nkind: Workload\nmetadata: {{name: t{n}}}\n"
    f"spec: {{type: BM, network: san, node: node-{'a' if n == 1 else 'b'}, addresses: [10.3.1.{n}, 'fd00:3::{n}1']}}\n"
    for n in (1, 2, 3)
)
PORTALS = "portals: [{addresses: [10.3.255.1]}]"
SERVICE = """---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: web}
spec: {network: san, addresses: [10.3.255.1], ports: [{port: 4420}], backends: [{workload: t1}]}
"""


def policies(*specs: str, more: str = "") -> PolicySet:
    texts = [
        f"---\napiVersion: turnout.dev/v1alpha1\nkind: StorageSteering\nmetadata: {{name: s{at}}}\n"
        f"spec: {{network: san, {spec}}}\n"
        for at, spec in enumerate(specs)
    ]
    loaded = load_text(BASE + TARGETS + "".join(texts) + more, "policy.yaml")
    assert not loaded.is_refused, loaded.render()
    return loaded.policies


def entries(*specs: str, more: str = "", previous: Entries | None = None) -> Entries:
    made = policies(*specs, more=more)
    return compile_entries(made, made.devices[0], previous).entries


def group(made: Entries) -> dict[str, tuple[int, int]]:
    """By the last part of a target's address: its weight and the port that it is watched by."""
    arguments = {m.id: m.action.arguments for m in made.members}
    (only,) = (g for g in made.groups if g.selector == "backends_ipv4")
    return {f"t{arguments[m.member_id][0] & 255}": (m.weight, m.watched_port) for m in only.members}


def storage(made: Entries) -> list[TableEntry]:
    return [entry for entry in made.table_entries if entry.table == "storage"]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("{workload: t1, weight: 2}, {workload: t2}, {workload: t3}", {"t1": (2, 16), "t2": (1, 0), "t3": (1, 0)}),
        ("{workload: t1, health: down}, {workload: t2}", {"t2": (1, 0)}),
        ("{workload: t1, health: draining}, {workload: t2}", {"t2": (1, 0)}),
        ("{workload: t1, preference: 1}, {workload: t2}, {workload: t3}", {"t2": (1, 0), "t3": (1, 0)}),
        ("{workload: t1, preference: 1}, {workload: t2, health: down}", {"t1": (1, 16)}),
        ("{workload: t1, preference: 9}, {workload: t2, preference: 4, health: down}", {"t1": (1, 16)}),
        ("{workload: t1, health: down}", {}),
    ],
)
def test_new_hosts_get_healthy_targets_of_the_lowest_preference(
    targets: str, expected: dict[str, tuple[int, int]]
) -> None:
    assert group(entries(f"{PORTALS}, sharedData: true, targets: [{targets}]")) == expected


@pytest.mark.parametrize(
    ("extra", "action", "meter"),
    [
        ("", ActionCall(action="admit"), None),
        (", class: 0", ActionCall(action="classify_storage", arguments=(0,)), None),
        (", class: EF", ActionCall(action="classify_storage", arguments=(46 << 2,)), None),
        (", rate: 80M", ActionCall(action="admit"), (10_000_000, 2_500_000)),
        (", rate: 1000000", ActionCall(action="admit"), (125_000, 65_536)),
        (
            ", rate: 2.5G, burst: 70000, class: AF41",
            ActionCall(action="classify_storage", arguments=(34 << 2,)),
            (312_500_000, 70_000),
        ),
    ],
)
def test_class_and_rate_hold_in_both_directions(extra: str, action: ActionCall, meter: tuple[int, int] | None) -> None:
    made = storage(entries(f"{PORTALS}, targets: [{{workload: t1}}]{extra}"))
    assert [tuple(numbers_of(match)[0] for match in e.matches) for e in made] == [
        (LAST_SERVICE + 1, 0),
        (LAST_SERVICE + 1, 1),
    ]
    config = None
    if meter is not None:
        config = MeterConfig(cir=meter[0], cburst=meter[1], pir=meter[0], pburst=meter[1])
    assert {(e.action, e.meter) for e in made} == {(action, config)}
    assert {e.owner for e in made} == {"StorageSteering default/s0:4420"}


def test_a_registry_goes_where_it_is_addressed() -> None:
    made = entries("registries: [{workload: t2, port: 5000}], class: CS1")
    fronts = [e for e in made.table_entries if e.table.startswith("service_")]
    assert [e.action.action for e in fronts if isinstance(e.action, ActionCall)] == [
        "to_service_by_source_ipv4",
        "to_service_by_source_ipv6",
    ]
    assert {m.action.arguments for m in made.members} == {(int(e.matches[1].value), 5000) for e in fronts}  # pyright: ignore
    answers = [e for e in made.table_entries if e.table == "arp" and numbers_of(e.matches[1])[0] & 0xFF == 2]
    assert [e.owner for e in answers] == ["Workload default/t2"], "its own address is answered as before"


def test_a_service_that_becomes_a_portal_gets_another_number() -> None:
    """Known connections of the service carry its number, and are none of storage."""
    service = entries(more=SERVICE)
    portal = entries(f"{PORTALS}, targets: [{{workload: t1}}]", previous=service)
    again = entries(f"{PORTALS}, targets: [{{workload: t2}}]", previous=portal)
    numbers = [
        [
            e.action.arguments[0]
            for e in made.table_entries
            if e.table == "service_ipv4" and isinstance(e.action, ActionCall)
        ]
        for made in (service, portal, again)
    ]
    assert numbers == [[1], [LAST_SERVICE + 1], [LAST_SERVICE + 1]]


def test_hosts_are_told_portals_or_of_rdma_a_target_that_is_up() -> None:
    names = [f"pvc-{n}" for n in range(40)]
    targets = "{workload: t1}, {workload: t2, weight: 3}, {workload: t3, health: down}"
    plan = storage_plan(
        policies(
            f"{PORTALS}, sharedData: true, targets: [{targets}], volumes: [a, b]",
            f"transport: RDMA, targets: [{targets}], volumes: [{', '.join(names)}]",
        )
    )
    assert plan[0] == {
        "policy": "default/s0",
        "network": "san",
        "volume": "a",
        "transport": "TCP",
        "addresses": ["10.3.255.1:4420"],
    }
    assert len(plan) == 42
    told = [record["addresses"] for record in plan[2:]]
    assert {tuple(addresses) for addresses in told} == {
        ("10.3.1.1:4420", "[fd00:3::11]:4420"),
        ("10.3.1.2:4420", "[fd00:3::21]:4420"),
    }
    assert 20 <= told.count(["10.3.1.2:4420", "[fd00:3::21]:4420"]) <= 38


def test_without_volumes_nothing_is_handed_out() -> None:
    assert storage_plan(policies(f"{PORTALS}, targets: [{{workload: t1}}]")) == []


def test_rdma_needs_no_entries() -> None:
    made = entries("transport: RDMA, targets: [{workload: t1}], volumes: [a]")
    assert not storage(made)
    assert not made.groups


@pytest.mark.parametrize(("shared", "kept"), [("true", {"t1", "t2"}), ("false", {"t1", "t2", "t3"})])
def test_hosts_may_stay_with_targets_that_take_no_new_ones(shared: str, kept: set[str]) -> None:
    targets = "{workload: t1, preference: 2}, {workload: t2, health: draining}, {workload: t3, health: down}"
    made = entries(f"{PORTALS}, sharedData: {shared}, targets: [{targets}]")
    stays = [numbers_of(e.matches[1])[0] for e in made.table_entries if e.table == "affinity_backend_ipv4"]
    assert {f"t{address & 255}" for address in stays} == kept
    fronts = [e.action for e in made.table_entries if e.table == "service_ipv4"]
    assert [call.arguments[2] for call in fronts if isinstance(call, ActionCall)] == [KEPT_MS]


def test_a_registry_remembers_nobody() -> None:
    made = entries("registries: [{workload: t2}]")
    assert not any(e.table.startswith("affinity_backend") for e in made.table_entries)


def test_a_device_that_remembers_nobody_refuses_portals_alone() -> None:
    text = BASE.replace("spec:\n  node: node-a", "spec:\n  profile: v1model\n  node: node-a") + TARGETS
    text += "---\napiVersion: turnout.dev/v1alpha1\nkind: StorageSteering\nmetadata: {name: s}\nspec:\n  network: san\n"
    text += "  portals: [{addresses: [10.3.255.1]}]\n  targets: [{workload: t1}]\n  registries: [{workload: t2}]\n"
    loaded = load_text(text, "policy.yaml")
    assert not loaded.is_refused, loaded.render()
    made = compile_entries(loaded.policies, loaded.policies.devices[0])
    assert [(d.code.id, d.message) for d in made.diagnostics] == [
        ("E0307", "portal 'default/s' keeps hosts at their targets; device 'dpu-a' has profile v1model")
    ]
    assert {e.owner for e in storage(made.entries)} == {"StorageSteering default/s.t2:5000"}
