"""A next hop whose way changes keeps its number where it leads to the same workloads, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.entries import succeeding
from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries, Exact, Lpm, TableEntry
from compiler.policy.loading import load_text
from compiler.policy.policyset import PolicySet
from runtime.verification.policies import plan as planned
from runtime.verification.policies.drawing import next_plans, plans
from runtime.verification.policies.manifests import manifests, to_yaml
from runtime.verification.policies.plan import PolicyPlan

SHOP = (Path(__file__).parents[3] / "examples" / "shop.yaml").read_text()
WEB_1, WEB_2 = "10.1.0.11", "10.1.0.12"
AT_17 = "  - {id: 17, name: web-1, type: workload, workload: shop/web-1}\n"
AT_18 = "  - {id: 18, name: web-2, type: workload, workload: shop/web-2}\n"
ADDRESSES_OF_1 = 'addresses: [10.1.0.11, "fd00:10:1::11"]'
ADDRESSES_OF_2 = 'addresses: [10.1.0.12, "fd00:10:1::12"]'
AT_B = "  - {id: 16, name: web-3, type: workload, workload: shop/web-3}\n"
NODE_OF_1 = "node: node-a\n  addresses: [10.1.0.11,"
NODE_OF_3 = "node: node-b\n  addresses: [10.1.0.13,"
Routes = dict[tuple[str, int, int], int]


def policies(text: str) -> PolicySet:
    loaded = load_text(text)
    assert loaded.policies is not None, loaded.diagnostics
    return loaded.policies


def compiled(text: str, device: str = "dpu-a", previous: Entries | None = None) -> Entries:
    found = policies(text)
    return compile_entries(found, next(d for d in found.devices if d.name == device), previous).entries


def routes(entries: Entries) -> Routes:
    """Next hops by table, network and address."""
    found: Routes = {}
    for entry in entries.table_entries:
        match entry:
            case TableEntry(
                matches=(Exact(value=network), Lpm(value=dst)), action=ActionCall(action="via", arguments=(hop,))
            ):
                found[entry.table, network, dst] = hop
            case _:
                pass
    return found


def neighbors(entries: Entries) -> dict[int, ActionCall]:
    found: dict[int, ActionCall] = {}
    for entry in entries.table_entries:
        match entry:
            case TableEntry(table="neighbor", matches=(Exact(value=hop),), action=ActionCall() as call):
                found[hop] = call
            case _:
                pass
    return found


def hops(entries: Entries) -> tuple[int, int]:
    """Of web-1 and web-2 in IPv4."""
    numbers = {address: 0x0A010000 + int(address.rsplit(".", 1)[1]) for address in (WEB_1, WEB_2)}
    found = routes(entries)
    return found["route_ipv4", 1, numbers[WEB_1]], found["route_ipv4", 1, numbers[WEB_2]]


CHANGES = {
    "another MAC": (ADDRESSES_OF_1, ADDRESSES_OF_1 + '\n  mac: "02:00:00:00:77:01"'),
    "another MTU": (AT_17, AT_17.replace("type: workload", "mtu: 1400, type: workload")),
    "another port": (AT_17, AT_17.replace("id: 17", "id: 19")),
    "another VLAN": (AT_17, AT_17.replace("type: workload", "vlan: 7, type: workload")),
    "an address less": (ADDRESSES_OF_1, 'addresses: ["fd00:10:1::11", 10.1.0.11]'),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_workload_keeps_its_next_hop(change: tuple[str, str]) -> None:
    old, new = change
    assert SHOP.count(old) == 1
    before = compiled(SHOP)
    after = compiled(SHOP.replace(old, new), previous=before)
    assert neighbors(before)[hops(before)[0]] != neighbors(after)[hops(before)[0]]
    assert hops(after) == hops(before)


def test_workloads_that_change_places_keep_theirs() -> None:
    before = compiled(SHOP)
    swapped = AT_17.replace("web-1", "web-2") + AT_18.replace("web-2", "web-1")
    assert hops(compiled(SHOP.replace(AT_17 + AT_18, swapped), previous=before)) == hops(before)


def test_another_workload_at_the_same_port_is_another_next_hop() -> None:
    before = compiled(SHOP)
    moved = SHOP.replace(AT_18, "").replace(AT_17, AT_17.replace("web-1", "web-2"))
    after = neighbors(compiled(moved, previous=before))
    assert not {hops(before)[0]} & after.keys()
    assert hops(before)[1] in after, "web-2 is at another port, and the same workload"


def test_an_address_that_moves_takes_no_next_hop_with_it() -> None:
    """One of two does: what still goes to the other may not get to the wrong workload."""
    before = compiled(SHOP)
    moved = SHOP.replace(ADDRESSES_OF_1, 'addresses: ["fd00:10:1::11"]')
    moved = moved.replace(ADDRESSES_OF_2, 'addresses: ["fd00:10:1::12", 10.1.0.11]')
    after = compiled(moved, previous=before)
    old, new = routes(before), routes(after)
    in_ipv6 = "route_ipv6", 1, 0xFD000010000100000000000000000011
    assert new[in_ipv6] == old[in_ipv6]
    assert new["route_ipv4", 1, 0x0A01000B] == hops(before)[1], "web-2 has it now, and its own next hop"


def test_a_device_that_is_reached_in_another_way_keeps_its_next_hops() -> None:
    before = compiled(SHOP)
    after = compiled(SHOP.replace("02:00:00:00:50:02", "02:00:00:00:50:77"), previous=before)
    assert routes(after) == routes(before)
    assert neighbors(after) != neighbors(before)


def test_a_way_that_somebody_else_still_needs_keeps_its_number() -> None:
    """web-3 comes from dpu-b to dpu-a, so that nobody of its network is left there; or web-1 goes there beside it."""
    before = compiled(SHOP)
    moved = SHOP.replace(AT_B, "").replace(AT_18, AT_18 + AT_B.replace("id: 16", "id: 19"))
    on_a = moved.replace(NODE_OF_3, NODE_OF_3.replace("node-b", "node-a"))
    assert routes(compiled(on_a, previous=before)) == routes(before), "it was alone behind the tunnel"
    away = SHOP.replace(AT_17, "").replace(AT_B, AT_B + AT_17)
    beside = away.replace(NODE_OF_1, NODE_OF_1.replace("node-a", "node-b"))
    after = compiled(beside, previous=before)
    assert hops(after)[0] != hops(before)[0], "the tunnel has a number already"
    assert changed_alike(before, after) == {}


# virtual machines: each has a next hop of its own

VM = "type: VM\n  network: shop\n  "
POD = "type: Pod\n  network: shop\n  "
VM_1 = SHOP.replace(POD + NODE_OF_1, VM + NODE_OF_1)
VM_3 = SHOP.replace(POD + NODE_OF_3, VM + NODE_OF_3)
ON_A = AT_18 + AT_B.replace("id: 16", "id: 19")
"""The ports of dpu-a with web-3 behind the last of them."""
BLUE_AT_B = "  - {id: 20, name: blue-web, type: workload, workload: blue/blue-web}\n"
POD_4 = """
---
apiVersion: turnout.dev/v1alpha1
kind: Workload
metadata: {name: web-4, namespace: shop}
spec: {type: Pod, network: shop, node: node-b, addresses: [10.1.0.14]}
"""


def moved_to_a(text: str) -> str:
    """web-3 comes from dpu-b to dpu-a."""
    assert text.count(AT_B) == text.count(AT_18) == text.count(NODE_OF_3) == 1
    return text.replace(AT_B, "").replace(AT_18, ON_A).replace(NODE_OF_3, NODE_OF_3.replace("node-b", "node-a"))


def moved_to_b(text: str) -> str:
    """web-1 goes from dpu-a to dpu-b, where web-3 is."""
    assert text.count(AT_17) == text.count(AT_B) == text.count(NODE_OF_1) == 1
    return text.replace(AT_17, "").replace(AT_B, AT_B + AT_17).replace(NODE_OF_1, NODE_OF_1.replace("-a", "-b"))


def hop_of(entries: Entries, last: int) -> int:
    """Of 10.1.0.LAST."""
    return routes(entries)["route_ipv4", 1, 0x0A010000 + last]


def test_a_virtual_machine_takes_its_next_hop_along_and_comes_back_with_it() -> None:
    before = compiled(VM_1)
    away = compiled(moved_to_b(VM_1), previous=before)
    back = compiled(VM_1, previous=away)
    assert routes(away) == routes(before) == routes(back)
    hop = hop_of(before, 11)
    assert [neighbors(one)[hop].action for one in (before, away, back)] == ["deliver", "encapsulate", "deliver"]
    assert hop_of(away, 13) != hop, "web-3 is a Pod: it is reached by what leads to its device"


def test_one_that_comes_leaves_the_way_there_to_the_others() -> None:
    with_4 = VM_3.replace(BLUE_AT_B, BLUE_AT_B + "  - {id: 22, name: web-4, type: workload, workload: shop/web-4}\n")
    before = compiled(with_4 + POD_4)
    after = compiled(moved_to_a(with_4 + POD_4), previous=before)
    assert routes(after) == routes(before)
    assert hop_of(before, 13) != hop_of(before, 14)
    assert neighbors(before)[hop_of(before, 13)] == neighbors(before)[hop_of(before, 14)]
    assert neighbors(after)[hop_of(after, 13)].action == "deliver"
    assert neighbors(after)[hop_of(after, 14)] == neighbors(before)[hop_of(before, 14)]


def test_one_that_has_shared_a_next_hop_gets_its_own() -> None:
    """As Pods do, and as they did before they had their own."""
    with_4 = SHOP.replace(BLUE_AT_B, BLUE_AT_B + "  - {id: 22, name: web-4, type: workload, workload: shop/web-4}\n")
    before = compiled(with_4 + POD_4)
    assert hop_of(before, 13) == hop_of(before, 14)
    after = compiled(with_4.replace(POD + NODE_OF_3, VM + NODE_OF_3) + POD_4, previous=before)
    assert hop_of(after, 14) == hop_of(before, 14)
    assert hop_of(after, 13) != hop_of(after, 14)


def test_one_without_others_keeps_what_led_to_it() -> None:
    before = compiled(SHOP)
    assert routes(compiled(VM_3, previous=before)) == routes(before)


def test_what_answers_clients_outside_leads_to_its_device_for_ever() -> None:
    """Their connections know it as well, so a virtual machine may not take it along."""
    eip = (Path(__file__).parents[3] / "examples" / "eip.yaml").read_text()
    entered = [
        (device.name, entry.action.arguments[0])
        for device in policies(eip).devices
        for entry in compiled(eip, device.name).table_entries
        if entry.table.startswith("entrance_") and isinstance(entry.action, ActionCall)
    ]
    assert any(hop in routes(compiled(eip, name)).values() for name, hop in entered), "Pods are reached by it, too"
    for name, hop in entered:
        before = compiled(eip, name)
        after = compiled(eip.replace("type: Pod", "type: VM"), name, before)
        assert neighbors(after)[hop] == neighbors(before)[hop]
        assert hop not in routes(after).values()


def test_more_of_them_than_there_is_room_for_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(succeeding, "MOST_MOVERS", 0)
    before = compiled(VM_3)
    monkeypatch.setattr(succeeding, "MOST_MOVERS", 1)
    assert routes(compiled(VM_3, previous=before)) == routes(before)


def changed_alike(before: Entries, after: Entries) -> dict[int, str]:
    """What is wrong with a number whose way has changed, by number."""
    old, new, wrong = neighbors(before), neighbors(after), dict[int, str]()
    led_to, leads_to = routes(before), routes(after)
    for hop in sorted(old.keys() & new.keys()):
        is_local = old[hop].action == new[hop].action == "deliver"
        if old[hop] == new[hop] or (is_local and _home(old, hop) == _home(new, hop)):
            continue
        lost = [place for place, number in led_to.items() if number == hop and leads_to.get(place) != hop]
        if lost or hop not in led_to.values():
            wrong[hop] = f"{old[hop]} has become {new[hop]}, and led to {lost}"
    return wrong


def _home(calls: dict[int, ActionCall], hop: int) -> tuple[int, ...]:
    """Network, port and VLAN of `deliver`."""
    arguments = calls[hop].arguments
    return *arguments[:2], arguments[-1]


@pytest.mark.slow
@settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large),
)
@given(data=st.data(), plan=plans())
def test_a_number_leads_to_whom_it_has_led(data: st.DataObject, plan: PolicyPlan) -> None:
    changes = [plan, data.draw(next_plans(plan))]
    changes.append(data.draw(next_plans(changes[-1])))
    for name in planned.DEVICES:
        held = Entries()
        for one in changes:
            before, held = held, compiled(to_yaml(manifests(one)), name, held)
            assert changed_alike(before, held) == {}
