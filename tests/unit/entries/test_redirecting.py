"""Rules of MeshRedirects as entries: one for each workload, prefix and range, with the priority of what it says."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, TableEntry, numbers_of
from compiler.policy.loading import load_text
from compiler.printers.layout_ternary import prefixes
from runtime.lab.topology import LabProxy, topology_of

BASE = """
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: shop}
spec: {id: 7, vni: 100, cidrs: [10.1.0.0/16]}
---
apiVersion: turnout.dev/v1alpha1
kind: Node
metadata: {name: node-a}
---
apiVersion: turnout.dev/v1alpha1
kind: Device
metadata: {name: dpu-a}
spec:
  node: node-a
  ports:
  - {id: 16, name: web, type: workload, workload: web}
  - {id: 17, name: envoy, type: workload, workload: envoy}
---
apiVersion: turnout.dev/v1alpha1
kind: Workload
metadata: {name: web}
spec: {type: Pod, network: shop, node: node-a, addresses: [10.1.0.11]}
---
apiVersion: turnout.dev/v1alpha1
kind: Workload
metadata: {name: envoy}
spec: {type: Proxy, network: shop, node: node-a, addresses: [10.1.0.250]}
"""
ANY = (0, 0)
EVERY_PORT = (0, 65535)
TO_PROXY = ("outbound_ipv4", "10.1.0.250/32", EVERY_PORT, 3, "bypass_outbound_ipv4", ())
Row = tuple[str, str, tuple[int, int], int, str, tuple[int, ...]]


def rules(*specs: str) -> list[Row]:
    texts = [
        f"---\napiVersion: turnout.dev/v1alpha1\nkind: MeshRedirect\nmetadata: {{name: r{at}}}\nspec: {spec}\n"
        for at, spec in enumerate(specs)
    ]
    loaded = load_text(BASE + "".join(texts), "policy.yaml")
    assert not loaded.diagnostics, loaded.render()
    entries = compile_entries(loaded.policies, loaded.policies.devices[0]).entries.table_entries
    return [row_of(entry) for entry in entries if entry.table.startswith(("outbound", "inbound"))]


def row_of(entry: TableEntry) -> Row:
    network, workload, peer, ports = map(numbers_of, entry.matches)
    assert (network, workload) == ((7,), (int(ip_address("10.1.0.11")),))
    assert isinstance(entry.action, ActionCall)
    prefix = ip_network((peer[0], bin(peer[1]).count("1")))
    shown = "any" if peer == ANY else str(prefix)
    return entry.table, shown, (ports[0], ports[1]), entry.priority, entry.action.action, entry.action.arguments


def test_everything_is_redirected_unless_more_is_said() -> None:
    assert rules("{network: shop, inbound: {}}") == [
        ("inbound_ipv4", "any", EVERY_PORT, 2, "redirect_inbound_ipv4", (1, 0))
    ]


def test_connections_to_the_proxy_itself_are_left_out() -> None:
    assert rules("{network: shop, failure: open, outbound: {}}") == [
        ("outbound_ipv4", "any", EVERY_PORT, 1, "redirect_outbound_ipv4", (0, 0)),
        TO_PROXY,
    ]


def test_each_prefix_with_each_range() -> None:
    spec = "{include: [{cidrs: [10.1.0.0/24, 10.2.0.0/16], ports: [80, '90-99']}], exclude: [{ports: [81]}]}"
    assert [row for row in rules(f"{{network: shop, outbound: {spec}}}") if row != TO_PROXY] == [
        ("outbound_ipv4", "any", (81, 81), 3, "bypass_outbound_ipv4", ()),
        ("outbound_ipv4", "10.1.0.0/24", (80, 80), 2, "redirect_outbound_ipv4", (1, 0)),
        ("outbound_ipv4", "10.1.0.0/24", (90, 99), 2, "redirect_outbound_ipv4", (1, 0)),
        ("outbound_ipv4", "10.2.0.0/16", (80, 80), 2, "redirect_outbound_ipv4", (1, 0)),
        ("outbound_ipv4", "10.2.0.0/16", (90, 99), 2, "redirect_outbound_ipv4", (1, 0)),
    ]


def test_denied_overrules_and_closed_wins() -> None:
    both = rules(
        "{network: shop, failure: open, inbound: {deny: [{ports: [22]}]}}",
        "{network: shop, inbound: {exclude: [{ports: [22]}]}}",
    )
    assert both == [
        ("inbound_ipv4", "any", EVERY_PORT, 1, "redirect_inbound_ipv4", (0, 0)),
        ("inbound_ipv4", "any", EVERY_PORT, 2, "redirect_inbound_ipv4", (1, 0)),
        ("inbound_ipv4", "any", (22, 22), 3, "bypass_inbound_ipv4", ()),
        ("inbound_ipv4", "any", (22, 22), 4, "deny_inbound_ipv4", ()),
    ]


@pytest.mark.parametrize(("ports", "expected"), [("[80, 8080]", (80, 8080)), ("[]", ())])
def test_the_lab_runs_a_proxy_for_the_ports_of_its_network(ports: str, expected: tuple[int, ...]) -> None:
    head = "---\napiVersion: turnout.dev/v1alpha1\nkind: MeshRedirect\nmetadata: {name: r}\n"
    text = f"{head}spec: {{network: shop, inbound: {{}}, httpPorts: {ports}}}\n"
    topology = topology_of(load_text(BASE + text, "policy.yaml").policies, "t")
    assert {w.key: w.proxy for w in topology.workloads} == {
        "default/envoy": LabProxy(http_ports=expected),
        "default/web": None,
    }


def of_lengths(count: int) -> list[tuple[str, str, int]]:
    """Diagnostics of a policy with prefixes of so many lengths: code, message, and what is shown of its rule's line."""
    cidrs = "".join(f"    - {{cidrs: [100.64.0.0/{at}]}}\n" for at in range(32, 32 - count, -1))
    head = "---\napiVersion: turnout.dev/v1alpha1\nkind: MeshRedirect\nmetadata: {name: r}\n"
    text = f"{BASE}{head}spec:\n  network: shop\n  inbound:\n    include:\n{cidrs}"
    loaded = load_text(text, "policy.yaml")
    assert not loaded.diagnostics, loaded.render()
    found = compile_entries(loaded.policies, loaded.policies.devices[0]).diagnostics
    return [(d.code.id, d.message, d.span.line - text[: text.index("include:")].count("\n") - 1) for d in found]


def test_sixteen_masks_fit() -> None:
    assert of_lengths(16) == []


def of_ranges(count: int) -> list[tuple[str, str]]:
    """Of a policy with so many prefixes of one length, each with one range of ports."""
    cidrs = ", ".join(f"100.{64 + at // 250}.{at % 250}.0/24" for at in range(count))
    head = "---\napiVersion: turnout.dev/v1alpha1\nkind: MeshRedirect\nmetadata: {name: r}\n"
    rules = f"[{{cidrs: [{cidrs}], ports: ['257-20478']}}]"
    loaded = load_text(f"{BASE}{head}spec: {{network: shop, inbound: {{include: {rules}}}}}\n", "policy.yaml")
    assert not loaded.diagnostics, loaded.render()
    found = compile_entries(loaded.policies, loaded.policies.devices[0]).diagnostics
    return [(d.code.id, d.message) for d in found]


def test_ranges_that_take_more_prefixes_than_a_table_holds_are_refused() -> None:
    limit = 4096 * 16
    each = sum(1 for _ in prefixes(257, 20478, 16))
    fitting = limit // each
    assert of_ranges(fitting) == []
    needed = (fitting + 1) * each
    message = f"device 'dpu-a' would need {needed} prefixes for the ranges in table inbound_ipv4, which holds {limit}"
    assert of_ranges(fitting + 1) == [("E0301", message)]


def test_more_masks_than_a_table_has_are_refused_at_a_rule() -> None:
    message = "device 'dpu-a' would need 18 masks in table inbound_ipv4, which has 16"
    assert [found[:2] for found in of_lengths(18)] == [("E0306", message)]
    assert 1 <= of_lengths(18)[0][2] <= 18
