"""Limits of MeshRedirects as entries: a limiter for each workload, with the lowest rate of those that concern it."""

from __future__ import annotations

import pytest

from compiler.entries import limiting
from compiler.entries.desired import Desired, compile_entries
from compiler.ir.entries import ActionCall, Entries, MeterConfig, TableEntry, numbers_of
from compiler.policy.loading import load_text

NODES = """
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: shop}
spec: {id: 7, vni: 100, cidrs: [10.1.0.0/16, "fd00::/64"]}
---
apiVersion: turnout.dev/v1alpha1
kind: Node
metadata: {name: node-a}
"""
HEAD = "---\napiVersion: turnout.dev/v1alpha1\n"
WORKLOADS = {"a": 16, "b": 17, "c": 18}


def policies(*specs: str, workloads: str = "abc") -> str:
    """A workload of each letter, dual stack, with a label of its own name, and a proxy."""
    ports = "".join(f"  - {{id: {WORKLOADS[w]}, name: {w}, type: workload, workload: {w}}}\n" for w in workloads)
    ports += "  - {id: 40, name: envoy, type: workload, workload: envoy}\n"
    text = f"{NODES}{HEAD}kind: Device\nmetadata: {{name: dpu-a}}\nspec:\n  node: node-a\n  ports:\n{ports}"
    for name, number in (*((w, WORKLOADS[w]) for w in workloads), ("envoy", 40)):
        kind = "Proxy" if name == "envoy" else "Pod"
        addresses = f'[10.1.0.{number}, "fd00::{number}"]'
        spec = f"{{type: {kind}, network: shop, node: node-a, addresses: {addresses}}}"
        text += f"{HEAD}kind: Workload\nmetadata: {{name: {name}, labels: {{name: {name}}}}}\nspec: {spec}\n"
    for at, spec in enumerate(specs):
        text += f"{HEAD}kind: MeshRedirect\nmetadata: {{name: r{at}}}\nspec: {spec}\n"
    return text


def of(text: str, previous: Entries | None = None) -> Desired:
    loaded = load_text(text, "policy.yaml")
    assert not loaded.is_refused, loaded.render()
    return compile_entries(loaded.policies, loaded.policies.devices[0], previous)


def limits(entries: Entries) -> dict[int, tuple[int, int]]:
    """Rate and burst by limiter."""
    found: dict[int, tuple[int, int]] = {}
    for entry in entries.table_entries:
        if entry.table.startswith("redirect_limit"):
            assert isinstance(entry.meter, MeterConfig)
            assert (entry.meter.pir, entry.meter.pburst) == (entry.meter.cir, entry.meter.cburst)
            held = entry.meter.cir, entry.meter.cburst
            assert found.setdefault(numbers_of(entry.matches[0])[0], held) == held
    return found


def limiter_of(entry: TableEntry) -> int:
    assert isinstance(entry.action, ActionCall)
    return entry.action.arguments[1]


def by_workload(entries: Entries) -> dict[str, set[int]]:
    """The limiters in the rules of each workload."""
    found: dict[str, set[int]] = {}
    for entry in entries.table_entries:
        if entry.table.startswith(("outbound", "inbound")) and "redirect" in str(entry.action):
            address = numbers_of(entry.matches[1])[0]
            last = address & 0xFF if entry.table.endswith("ipv4") else int(f"{address & 0xFF:x}")
            name = next(name for name, number in WORKLOADS.items() if number == last)
            found.setdefault(name, set()).add(limiter_of(entry))
    return found


def test_every_workload_has_a_limiter_of_its_own() -> None:
    entries = of(policies("{network: shop, limit: {connectionsPerSecond: 50, burst: 9}, outbound: {}}")).entries
    assert limits(entries) == {1: (50, 9), 2: (50, 9), 3: (50, 9)}
    assert by_workload(entries) == {"a": {1}, "b": {2}, "c": {3}}


def test_without_a_burst_it_is_that_of_a_second() -> None:
    assert limits(of(policies("{network: shop, limit: {connectionsPerSecond: 50}, inbound: {}}")).entries)[1] == (
        50,
        50,
    )


def test_the_lowest_limit_counts_for_all_that_is_redirected_of_a_workload() -> None:
    entries = of(
        policies(
            "{network: shop, limit: {connectionsPerSecond: 50}, outbound: {}}",
            "{network: shop, selector: {name: b}, limit: {connectionsPerSecond: 5, burst: 80}, outbound: {}}",
            "{network: shop, selector: {name: b}, inbound: {}}",
        )
    ).entries
    assert limits(entries) == {1: (50, 50), 2: (5, 80), 3: (50, 50)}
    assert by_workload(entries) == {"a": {1}, "b": {2}, "c": {3}}
    owners = {e.owner for e in entries.table_entries if e.table.startswith("redirect_limit")}
    assert owners == {"MeshRedirect default/r0", "MeshRedirect default/r1"}


def test_without_a_limit_there_is_no_limiter() -> None:
    entries = of(policies("{network: shop, outbound: {}}")).entries
    assert (limits(entries), by_workload(entries)) == ({}, {"a": {0}, "b": {0}, "c": {0}})


def test_who_stays_keeps_the_limiter() -> None:
    spec = "{network: shop, limit: {connectionsPerSecond: 50}, outbound: {}}"
    before = of(policies(spec)).entries
    fewer = of(policies(spec, workloads="bc"), before).entries
    assert by_workload(fewer) == {"b": {2}, "c": {3}}
    again = of(policies(spec), fewer).entries
    assert by_workload(again) == {"a": {1}, "b": {2}, "c": {3}}
    assert of(policies(spec), again).entries == again


def test_more_workloads_with_a_limit_than_limiters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiting, "LAST_LIMITER", 2)
    refused = of(policies("{network: shop, limit: {connectionsPerSecond: 50}, outbound: {}}"))
    messages = [(d.code.id, d.message) for d in refused.diagnostics]
    assert messages == [("E0301", "device 'dpu-a': more than 2 workloads with a limit")]
