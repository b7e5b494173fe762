"""Entries of NetworkPolicies: regions of peers, sets of ports, what workloads share, and what a device cannot hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler.entries.desired import Desired, compile_entries
from compiler.ir.entries import ActionCall, TableEntry, numbers_of
from compiler.ir.formats import number_to_text
from compiler.policy.loading import load_text
from runtime.verification.isolations import isolated

NETPOL = (Path(__file__).parents[3] / "examples" / "netpol.yaml").read_text()


def compiled(*specs: dict[str, Any], device: int = 0, text: str = "") -> Desired:
    """Of the mesh's devices, with policies of namespace red."""
    loaded = load_text(text or isolated(tuple(("red", spec) for spec in specs)).text(), "policies.yaml")
    assert not loaded.is_refused, loaded.render()
    return compile_entries(loaded.policies, loaded.policies.devices[device])


def of(found: Desired, table: str) -> list[TableEntry]:
    return [entry for entry in found.entries.table_entries if entry.table == table]


def arguments(entry: TableEntry) -> tuple[int, ...]:
    assert isinstance(entry.action, ActionCall)
    return entry.action.arguments


def peers(found: Desired, table: str = "ingress_peer_ipv4") -> dict[str, list[str]]:
    """By prefix of peers, the prefixes of protocol and port that are allowed, as in "6/80" or "17/8000-8007"."""
    direction, _, family = table.split("_")
    sets: dict[int, list[str]] = {0: []}
    for entry in of(found, f"{direction}_port_{family}"):
        value, length = numbers_of(entry.matches[1])
        first = value >> 8 & 0xFFFF
        last = first + (1 << 24 - length) - 1 if length > 8 else 65535
        ports = "" if length <= 8 else f"/{first}" if first == last else f"/{first}-{last}"
        sets.setdefault(numbers_of(entry.matches[0])[0], []).append(f"{value >> 24 if length else 'any'}{ports}")
    shown: dict[str, list[str]] = {}
    for entry in of(found, table):
        value, length = numbers_of(entry.matches[1])
        shown[f"{number_to_text(value, family)}/{length}"] = sets[arguments(entry)[0]]
    return shown


def ingress(*rules: dict[str, Any], host: str = "11") -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {"host": host}}, "ingress": list(rules)}


def block(cidr: str, *excepts: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr, "except": list(excepts)}}


def test_rules_of_all_policies_are_put_together() -> None:
    found = compiled(
        ingress({"from": [block("10.1.0.0/16")], "ports": [{"port": 80}]}),
        ingress({"from": [block("10.1.0.12/32")], "ports": [{"port": 81, "protocol": "UDP"}]}),
        ingress({"from": [{"podSelector": {"matchLabels": {"host": "12"}}}], "ports": [{"port": 82}]}),
    )
    assert peers(found) == {"10.1.0.0/16": ["6/80"], "10.1.0.12/32": ["6/80", "6/82", "17/81"]}
    assert peers(found, "ingress_peer_ipv6") == {"fd00:1::c/128": ["6/82"]}


def test_what_a_block_leaves_out_is_a_region_of_its_own() -> None:
    found = compiled(
        ingress({"from": [block("10.0.0.0/8", "10.1.0.0/16")]}),
        ingress({"from": [block("10.1.4.0/24")], "ports": [{"protocol": "UDP"}]}),
    )
    assert peers(found) == {"10.0.0.0/8": ["any"], "10.1.0.0/16": [], "10.1.4.0/24": ["17"]}


def test_a_region_that_allows_what_is_around_it_is_none() -> None:
    found = compiled(ingress({}, {"from": [block("10.1.0.0/16")], "ports": [{"port": 80}]}))
    assert set(peers(found)) == {"0.0.0.0/0", "10.1.0.0/16"}
    assert all(ports == ["any"] for ports in peers(found).values())


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([{"port": 8000, "endPort": 8010}], ["6/8000-8007", "6/8008-8009", "6/8010"]),
        ([{"port": 1, "endPort": 65535}, {"port": 80}], [f"6/{1 << n}-{(2 << n) - 1}" for n in range(16)]),
        ([{"port": 80}, {"port": 81}], ["6/80-81"]),
        ([{"protocol": "TCP"}, {"port": 80}], ["6"]),
    ],
)
def test_ranges_of_ports_become_prefixes(ports: list[dict[str, Any]], expected: list[str]) -> None:
    found = compiled(ingress({"ports": ports}))
    assert peers(found)["0.0.0.0/0"] == [text.replace("6/1-1", "6/1") for text in expected]


def test_a_named_port_is_that_of_who_serves() -> None:
    named = {"ports": [{"port": "web"}]}
    found = compiled({"podSelector": {}, "egress": [named], "policyTypes": ["Egress"]})
    assert peers(found, "egress_peer_ipv4") == {"10.1.0.11/32": ["6/8080"], "10.1.0.12/32": ["6/80"]}
    found = compiled({"podSelector": {}, "ingress": [named]})
    assert sorted(map(tuple, peers(found).values())) == [("6/8080",)], "host 10 has no such port"


def test_workloads_of_the_same_policies_share_one() -> None:
    found = compiled({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]})
    policies = {arguments(entry)[0] for entry in of(found, "isolated_destination_ipv4")}
    assert len(policies) == 1
    assert len(of(found, "isolated_destination_ipv4")) == 2, "hosts 10 and 11 of red"
    assert len(of(found, "ingress_peer_ipv4")) == 3


def test_a_direction_that_no_policy_is_about_has_none() -> None:
    found = compiled({"podSelector": {}, "policyTypes": ["Egress"]})
    assert {arguments(entry)[0] for entry in of(found, "isolated_destination_ipv4")} == {0}
    assert 0 not in {arguments(entry)[0] for entry in of(found, "isolated_source_ipv4")}
    assert of(found, "egress_peer_ipv4") == []


def test_numbers_of_a_policy_stay_when_it_changes() -> None:
    before = compiled(ingress({"ports": [{"port": 80}]}))
    after = compiled(ingress({"ports": [{"port": 81}]}), ingress({}, host="10"))
    own = {entry.key: entry.action for entry in of(before, "isolated_destination_ipv4")}
    assert own.items() <= {entry.key: entry.action for entry in of(after, "isolated_destination_ipv4")}.items()


def test_each_entry_has_the_line_behind_it() -> None:
    found = compiled(text=NETPOL, device=1)
    lines = NETPOL.splitlines()
    (port,) = [
        e
        for e in of(found, "ingress_port_ipv4")
        if "5432" in lines[e.span.line - 1] and numbers_of(e.matches[1])[1] == 21
    ]
    assert (port.owner, lines[port.span.line - 1].strip()) == (
        "NetworkPolicy shop/database",
        "- {port: 5432, endPort: 5439}",
    )
    owners = {entry.owner for entry in of(found, "isolated_source_ipv4")}
    assert owners == {"NetworkPolicy shop/database, shop/deny-all", "NetworkPolicy shop/deny-all, shop/web"}


def test_profile_v1model_holds_none() -> None:
    found = compiled(
        text=NETPOL.replace("  node: node-a\n  underlay", "  node: node-a\n  profile: v1model\n  underlay")
    )
    (error,) = [d for d in found.diagnostics if d.severity.value == "error"]
    assert error.code.id == "E0308"
    assert error.message == (
        "NetworkPolicy 'shop/deny-all' concerns workload 'shop/client' behind device 'dpu-a', which has profile v1model"
    )


def test_more_than_a_table_holds_is_refused() -> None:
    ports = [{"port": port} for port in range(1, 20_100, 2)]
    found = compiled(ingress({"ports": ports}))
    errors = {d.message for d in found.diagnostics if d.code.id == "E0301"}
    assert "device 'dpu-a' would need 10050 entries in table ingress_port_ipv4, which holds 10000" in errors
