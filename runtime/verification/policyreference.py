"""What NetworkPolicies allow, straight from their specs: a model of Kubernetes' words that knows no table.

Kubernetes API reference, networking.k8s.io/v1: a workload that no policy selects for a direction may do everything in
it; otherwise only what a rule of any of its policies allows. A rule without peers means all, one without ports all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """`ports` are those that have names, by protocol and name."""

    namespace: str
    network: str
    labels: Mapping[str, str]
    addresses: frozenset[str]
    ports: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """`protocol` is TCP, UDP, SCTP or empty for what has no ports. Who sends or gets it may be no workload."""

    source: Pod | None
    destination: Pod | None
    source_address: str
    destination_address: str
    protocol: str
    port: int


class Reference:
    """`policies` are pairs of namespace and spec, `namespaces` their labels."""

    def __init__(
        self, policies: Iterable[tuple[str, Mapping[str, Any]]], namespaces: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._policies = tuple(policies)
        self._namespaces = {
            name: {**labels, "kubernetes.io/metadata.name": name} for name, labels in namespaces.items()
        }

    def egress(self, c: Connection) -> bool:
        if c.source is None:
            return True
        peer, address = c.destination, c.destination_address
        return self._allows(c.source, "Egress", peer, address, c.protocol, c.port, server=c.destination)

    def ingress(self, c: Connection) -> bool:
        if c.destination is None:
            return True
        peer, address = c.source, c.source_address
        return self._allows(c.destination, "Ingress", peer, address, c.protocol, c.port, server=c.destination)

    def concerns(self, pod: Pod) -> bool:
        return any(self._selects(namespace, spec, pod) for namespace, spec in self._policies)

    def servers(
        self, namespace: str, spec: Mapping[str, Any], kind: str, rule: Mapping[str, Any], pods: Iterable[Pod]
    ) -> Iterator[Pod]:
        """Those whose ports a rule of a policy means by names."""
        given: Iterable[Mapping[str, Any]] = rule.get("to") or ({"namespaceSelector": {}},)
        peers = [peer for peer in given if "ipBlock" not in peer]
        for pod in pods:
            is_peer = any(self._is_peer(namespace, peer, pod, "") for peer in peers)
            if self._selects(namespace, spec, pod) if kind == "Ingress" else is_peer:
                yield pod

    def _selects(self, namespace: str, spec: Mapping[str, Any], pod: Pod) -> bool:
        return pod.namespace == namespace and matches(spec["podSelector"], pod.labels)

    def _allows(
        self, pod: Pod, kind: str, peer: Pod | None, address: str, protocol: str, port: int, server: Pod | None
    ) -> bool:
        selecting = [(n, s) for n, s in self._policies if self._selects(n, s, pod) and kind in _types(s)]
        field = "from" if kind == "Ingress" else "to"
        return not selecting or any(
            self._has_peer(namespace, rule.get(field) or (), peer, address)
            and _has_port(rule.get("ports") or (), protocol, port, server)
            for namespace, spec in selecting
            for rule in spec.get(kind.lower()) or ()
        )

    def _has_peer(self, namespace: str, peers: Iterable[Mapping[str, Any]], pod: Pod | None, address: str) -> bool:
        given = list(peers)
        return not given or any(self._is_peer(namespace, peer, pod, address) for peer in given)

    def _is_peer(self, namespace: str, peer: Mapping[str, Any], pod: Pod | None, address: str) -> bool:
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            return _is_in(address, block["cidr"]) and not any(_is_in(address, e) for e in block.get("except", ()))
        if pod is None:
            return False
        if "namespaceSelector" in peer:
            is_there = matches(peer["namespaceSelector"], self._namespaces[pod.namespace])
        else:
            is_there = pod.namespace == namespace
        return is_there and matches(peer.get("podSelector", {}), pod.labels)


def _types(spec: Mapping[str, Any]) -> Iterable[str]:
    return spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _has_port(ports: Iterable[Mapping[str, Any]], protocol: str, port: int, server: Pod | None) -> bool:
    given = list(ports)
    return not given or any(_is_port(each, protocol, port, server) for each in given)


def _is_port(given: Mapping[str, Any], protocol: str, port: int, server: Pod | None) -> bool:
    wanted = given.get("protocol", "TCP")
    first = given.get("port")
    if wanted != protocol:
        return False
    if first is None:
        return True
    if isinstance(first, str):
        return server is not None and server.ports.get((wanted, first)) == port
    return first <= port <= given.get("endPort", first)


def _is_in(address: str, prefix: str) -> bool:
    return ip_address(address) in ip_network(prefix)


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(_holds(each, labels) for each in selector.get("matchExpressions", ()))


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values", ())
    match requirement["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
