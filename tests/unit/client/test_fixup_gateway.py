"""Connections through a service gateway: which backend one has, its next hop tells, since addresses may be equal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries, Exact, TableEntry
from compiler.policy.loading import load_text
from runtime.client.fixup import Fate, RemovedBackends, concerns_connections, fix_up
from runtime.client.plan import difference

GATEWAY = Path(__file__).resolve().parents[3] / "examples" / "gateway.yaml"
TEXT = GATEWAY.read_text()
CLIENT, CALLED, SEEN = 0xC633640A, 0xCB007109, 0x64400003
RED, BLUE = 0x0A01000B, 0x0A01000B
OTHER_BLUE = 0x0A01000C


def edge(text: str, previous: Entries | None = None) -> Entries:
    policies = load_text(text).policies
    return compile_entries(policies, next(d for d in policies.devices if d.name == "edge"), previous).entries


BEFORE = edge(TEXT)


def arguments(table: str) -> list[tuple[int, ...]]:
    found = (e.action for e in BEFORE.table_entries if e.table == table)
    return [action.arguments for action in found if isinstance(action, ActionCall)]


def service_id(port: int) -> int:
    found = (e for e in BEFORE.table_entries if e.table == "service_ipv4" and e.matches[3] == Exact(value=port))
    action = next(found).action
    assert isinstance(action, ActionCall)
    return action.arguments[0]


def hops() -> dict[str, int]:
    """The next hop to each backend, by its workload."""
    networks = {network.name: network.id for network in load_text(TEXT).policies.networks}
    ways = dict(enumerate(arguments("crossing_ipv4"), 1))
    found: dict[str, int] = {}
    for member in BEFORE.members:
        if member.selector == "backends_ipv4":
            address, _, crossing = member.action.arguments
            network, hop, _ = ways[crossing]
            found["red-1" if network == networks["red"] else "blue-1" if address == BLUE else "blue-2"] = hop
    return found


HOPS = hops()


def connection(workload: str, protocol: int = 6, called: int = CALLED) -> TableEntry:
    port, target = (80, 8080) if protocol == 6 else (53, 5300)
    backend = OTHER_BLUE if workload == "blue-2" else BLUE
    return TableEntry(
        table="flow_ipv4",
        matches=tuple(Exact(value=value) for value in (0, 4, protocol, CLIENT, called, 4000, port)),
        action=ActionCall(
            action="translate_ipv4", arguments=(SEEN, backend, 4000, target, HOPS[workload], service_id(port))
        ),
    )


def fates(after: Entries, *connections: TableEntry, removed: RemovedBackends = RemovedBackends.RESET) -> list[Fate]:
    return [next(f for f, n in fix_up([one], after, removed).counts.items() if n) for one in connections]


ALL = tuple(connection(workload) for workload in ("red-1", "blue-1", "blue-2"))


def test_they_go_on_while_nothing_changes() -> None:
    assert fates(BEFORE, *ALL) == [Fate.KEEP, Fate.KEEP, Fate.KEEP]


def test_of_two_backends_of_one_address_the_one_that_goes_takes_its_own() -> None:
    after = edge(TEXT.replace("  - {workload: red-1}\n", ""), BEFORE)
    assert fates(after, *ALL) == [Fate.ANEW, Fate.KEEP, Fate.KEEP]
    assert any(concerns_connections(step) for step in difference(BEFORE, after).steps)


@pytest.mark.parametrize(
    ("removed", "protocol", "fate"),
    [
        (RemovedBackends.DRAIN, 6, Fate.DRAIN),
        (RemovedBackends.RESET, 6, Fate.END),
        (RemovedBackends.DRAIN, 17, Fate.END),
    ],
)
def test_a_backend_that_goes_drains_while_its_way_is_there(removed: RemovedBackends, protocol: int, fate: Fate) -> None:
    """Another service has it still."""
    other = TEXT.rpartition("---")[2].replace("name: api", "name: other").replace("203.0.113.9", "203.0.113.19")
    other = other.replace("2001:db8:113::9", "2001:db8:113::19")
    before = edge(f"{TEXT}---{other}", BEFORE)
    after = edge(f"{TEXT.replace('  - {workload: blue-2}', '')}---{other}", before)
    assert fates(after, connection("blue-2", protocol), removed=removed) == [fate]


def test_a_backend_that_goes_drains_while_its_network_is_reached() -> None:
    after = edge(TEXT.replace("  - {workload: blue-2}", ""), BEFORE)
    assert fates(after, *ALL, removed=RemovedBackends.DRAIN) == [Fate.KEEP, Fate.KEEP, Fate.DRAIN]
    assert fates(after, *ALL, removed=RemovedBackends.RESET) == [Fate.KEEP, Fate.KEEP, Fate.END]


def test_one_that_moves_to_another_device_is_decided_anew() -> None:
    moved = TEXT.replace("  - {id: 16, name: blue-2, type: workload, workload: blue-2}\n", "").replace(
        "  - {id: 16, name: blue-1, type: workload, workload: blue-1}\n",
        "  - {id: 16, name: blue-1, type: workload, workload: blue-1}\n"
        "  - {id: 17, name: blue-2, type: workload, workload: blue-2}\n",
    )
    head, _, tail = moved.rpartition("node: node-edge")
    after = edge(f"{head}node: node-b{tail}", BEFORE)
    assert fates(after, *ALL) == [Fate.KEEP, Fate.KEEP, Fate.ANEW]


def test_an_address_that_is_let_in_no_longer_ends_them() -> None:
    after = edge(TEXT.replace("203.0.113.9", "203.0.113.8"), BEFORE)
    assert fates(after, *ALL) == [Fate.END, Fate.END, Fate.END]


def test_clients_that_are_let_in_no_longer() -> None:
    denied = TEXT.replace(
        "  ports:\n  - {name: http", "  sourceRanges: {deny: [198.51.100.0/24]}\n  ports:\n  - {name: http"
    )
    assert fates(edge(denied, BEFORE), *ALL, removed=RemovedBackends.DRAIN) == [Fate.DRAIN] * 3


def test_network_policies_of_a_backend_here_hold_the_gateway_for_the_peer() -> None:
    policy = """---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: some, namespace: default}}
spec:
  podSelector: {{matchLabels: {{app: blue}}}}
  policyTypes: [Ingress]
  ingress: [{{from: [{{ipBlock: {{cidr: {block}}}}}]}}]
"""
    labelled = TEXT.replace("  name: blue-2\n", "  name: blue-2\n  labels: {app: blue}\n")
    for block, fate in (("100.64.0.3/32", Fate.KEEP), ("198.51.100.0/24", Fate.END)):
        after = edge(labelled + policy.format(block=block), BEFORE)
        assert fates(after, *ALL) == [Fate.KEEP, Fate.KEEP, fate]


def test_without_the_service_they_end() -> None:
    after = replace(BEFORE, table_entries=tuple(e for e in BEFORE.table_entries if e.table != "backend_ipv4"))
    assert fates(after, *ALL) == [Fate.END, Fate.END, Fate.END]
