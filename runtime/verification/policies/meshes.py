"""Redirects of a plan as few small numbers, and as the policy objects that they are.

Prefixes and ports meet those that clusters use: hosts, cluster IPs, ports of services, their targets, and of nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from runtime.verification.policies.plan import Address, PlannedRedirect, PlannedRule, PolicyPlan, network_name

PREFIXES = ("10.0.0.0/24", "10.0.0.11/32", "10.96.0.0/16", "fd00::/64", "fd00::11/128", "fd00:96::/64")
PORTS = ((7, 7), (80, 80), (8080, 8080), (1, 1023), (53, 80), (8000, 8999))

_EITHER_TEAM = ("shop", "ops")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A connection as a redirect sees it: the other side's address, and the port that is opened."""

    peer: Address
    port: int


def matches(rules: Iterable[PlannedRule], asked: Asked) -> bool:
    return any(_matches(rule, asked) for rule in rules)


def _matches(rule: PlannedRule, asked: Asked) -> bool:
    prefixes = [ip_network(PREFIXES[number]) for number in rule.prefixes]
    ports = [PORTS[number] for number in rule.ports]
    has_peer = not prefixes or any(asked.peer in prefix for prefix in prefixes)
    return has_peer and (not ports or any(low <= asked.port <= high for low, high in ports))


def redirect_manifest(plan: PolicyPlan, redirect: PlannedRedirect) -> dict[str, Any]:
    """A policy stays the same object while others come and go: its name says whom it concerns, and how."""
    spec: dict[str, Any] = {
        "network": network_name(redirect.network),
        "failure": "closed" if redirect.is_closed else "open",
    }
    if redirect.app:
        spec["selector"] = {"app": redirect.app}
    if redirect.limit is not None:
        spec["limit"] = {"connectionsPerSecond": redirect.limit[0], "burst": redirect.limit[1]}
    if redirect.of_all_teams:
        spec["namespaces"] = list(_EITHER_TEAM)
    for name, way in (("outbound", redirect.outbound), ("inbound", redirect.inbound)):
        if way is not None:
            lists = {"include": way.include, "exclude": way.exclude, "deny": way.deny}
            spec[name] = {verb: [_rule(rule) for rule in rules] for verb, rules in lists.items() if rules is not None}
    metadata = {"name": f"redirect-{plan.redirects.index(redirect)}", "namespace": redirect.team}
    return {"apiVersion": "turnout.dev/v1alpha1", "kind": "MeshRedirect", "metadata": metadata, "spec": spec}


def _rule(rule: PlannedRule) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if rule.prefixes:
        made["cidrs"] = [PREFIXES[number] for number in rule.prefixes]
    if rule.ports:
        made["ports"] = [low if low == high else f"{low}-{high}" for low, high in (PORTS[n] for n in rule.ports)]
    return made
