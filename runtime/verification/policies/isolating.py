"""NetworkPolicies of a plan as few small numbers, and as the policy objects that they are.

Peers and ports meet those that clusters use: hosts, clients outside, cluster IPs, ports of services, their targets, and
of nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.verification.policies.plan import PlannedGrant, PlannedIsolation

NAMESPACES: Mapping[str, Mapping[str, str]] = {"shop": {"tier": "front"}, "ops": {"tier": "back"}}
"""Their labels."""
SERVED_NAME = "main"
SERVED = {"web": 8080, "db": 0x1F41}
"""The port that each app's workloads call so, of TCP."""
PEERS: tuple[dict[str, Any], ...] = (
    {"podSelector": {}},
    {"podSelector": {"matchLabels": {"app": "web"}}},
    {"namespaceSelector": {}},
    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ops"}}},
    {"namespaceSelector": {"matchLabels": {"tier": "front"}}, "podSelector": {"matchLabels": {"app": "db"}}},
    {
        "namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["back"]}]},
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]},
    },
    {"ipBlock": {"cidr": "0.0.0.0/0"}},
    {"ipBlock": {"cidr": "10.0.0.0/24", "except": ["10.0.0.11/32", "10.0.0.12/30"]}},
    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.16/28"]}},
    {"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}},
    {"ipBlock": {"cidr": "10.96.0.0/16"}},
    {"ipBlock": {"cidr": "::/0", "except": ["fd00::11/128", "2001:db8:52::/48"]}},
    {"ipBlock": {"cidr": "fd00::/16", "except": ["fd00:96::/32"]}},
)
PORTS: tuple[dict[str, Any], ...] = (
    {"port": 8080},
    {"port": 80, "endPort": 8080},
    {"port": 8001, "endPort": 9000},
    {"port": SERVED_NAME},
    {"protocol": "TCP"},
    {"port": 7, "protocol": "UDP"},
    {"protocol": "UDP", "port": 7, "endPort": 52},
    {"protocol": "UDP"},
    {"protocol": "SCTP"},
    {"protocol": "SCTP", "port": 53, "endPort": 8079},
)
"""Targets of services, 7 and 8080 are called."""


def isolation_spec(isolation: PlannedIsolation) -> dict[str, Any]:
    spec: dict[str, Any] = {"podSelector": {"matchLabels": {"app": isolation.app}} if isolation.app else {}}
    ways = (("Ingress", "from", isolation.ingress), ("Egress", "to", isolation.egress))
    spec["policyTypes"] = [kind for kind, _, way in ways if way is not None]
    for kind, field, way in ways:
        if way is not None:
            spec[kind.lower()] = [_rule(grant, field) for grant in way]
    return spec


def _rule(grant: PlannedGrant, field: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if grant.peers:
        made[field] = [PEERS[number] for number in grant.peers]
    if grant.ports:
        made["ports"] = [PORTS[number] for number in grant.ports]
    return made


def isolation_manifest(isolation: PlannedIsolation) -> dict[str, Any]:
    """A policy stays the same object when what it says changes: its name says whom it concerns."""
    metadata = {"name": f"{isolation.app or 'all'}-{isolation.number}", "namespace": isolation.team}
    return _object("networking.k8s.io/v1", "NetworkPolicy", metadata) | {"spec": isolation_spec(isolation)}


def namespace_manifests() -> list[dict[str, Any]]:
    return [_object("v1", "Namespace", {"name": name, "labels": dict(has)}) for name, has in NAMESPACES.items()]


def _object(api: str, kind: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": metadata}
