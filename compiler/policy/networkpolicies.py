"""NetworkPolicies: the workloads that each concerns, and the peers and ports that its rules allow.

Selectors are answered here, against the workloads and namespaces of the same files. A namespace has the label
kubernetes.io/metadata.name even where no file defines it, as the API server sees to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from compiler.diagnostic import Report
from compiler.policy import codes
from compiler.policy.located import Located
from compiler.policy.networkpolicykinds import (
    EgressRule,
    IngressRule,
    IPBlock,
    Namespace,
    NetworkPolicy,
    PolicyPeer,
    PolicyPort,
)
from compiler.policy.policyset import (
    Isolation,
    NamedPort,
    Peer,
    PolicyRule,
    PortRange,
    Prefix,
    Protocol,
    Workload,
)
from compiler.policy.references import check_annotations, object_name
from compiler.policy.scalar import shortened
from compiler.policy.selectors import LabelSelector, Path, check_selector

NAME_LABEL: Final = "kubernetes.io/metadata.name"
_ALL_PORTS: Final = (0, 65535)
_FIELDS: Final = {"ingress": "from", "egress": "to"}
PolicyObject = Located[NetworkPolicy]


def resolve_policies(
    objects: Mapping[str, PolicyObject],
    namespaces: Mapping[str, Located[Namespace]],
    workloads: Iterable[Workload],
    report: Report,
) -> tuple[Isolation, ...]:
    """By "namespace/name"."""
    all_workloads = tuple(workloads)
    labels = _namespace_labels(namespaces, all_workloads)
    resolver = _Resolver(all_workloads, labels, report)
    return tuple(resolver.resolve(objects[name]) for name in sorted(objects))


def _namespace_labels(
    namespaces: Mapping[str, Located[Namespace]], workloads: Iterable[Workload]
) -> dict[str, dict[str, str]]:
    labels = {name: dict(located.model.metadata.labels) for name, located in namespaces.items()}
    for workload in workloads:
        labels.setdefault(workload.namespace, {})
    return {name: {**found, NAME_LABEL: name} for name, found in labels.items()}


@dataclass(frozen=True, slots=True)
class _Resolver:
    workloads: tuple[Workload, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    report: Report

    def resolve(self, located: PolicyObject) -> Isolation:
        spec, metadata = located.model.spec, located.model.metadata
        check_annotations(located, metadata.annotations, (), self.report)
        check_selector(spec.pod_selector, located, ("spec", "podSelector"), self.report)
        concerned = self._selected(spec.pod_selector, lambda namespace: namespace == metadata.namespace)
        if not concerned:
            message = f"no workload of namespace '{metadata.namespace}' is selected: the policy concerns nobody"
            self.report.add(codes.EMPTY_SELECTOR_MATCH, located.key("spec", "podSelector"), message)
        types = spec.policy_types or (("Ingress", "Egress") if spec.egress else ("Ingress",))
        return Isolation(
            name=metadata.name,
            namespace=metadata.namespace,
            workloads=concerned,
            ingress=self._direction(located, "ingress", spec.ingress, concerned, is_on="Ingress" in types),
            egress=self._direction(located, "egress", spec.egress, None, is_on="Egress" in types),
            labels=tuple(sorted(metadata.labels.items())),
            span=located.span,
        )

    def _selected(self, selector: LabelSelector, is_in: Callable[[str], bool]) -> tuple[Workload, ...]:
        return tuple(w for w in self.workloads if is_in(w.namespace) and selector.matches(dict(w.labels)))

    def _direction(
        self,
        located: PolicyObject,
        name: str,
        rules: Sequence[IngressRule | EgressRule],
        servers: tuple[Workload, ...] | None,
        *,
        is_on: bool,
    ) -> tuple[PolicyRule, ...] | None:
        """None where the policy says nothing of the direction. `servers` have the named ports, None: the peers do."""
        if not is_on:
            if rules:
                message = f"{name} rules mean nothing: policyTypes has no '{name.capitalize()}'"
                self.report.add(codes.IGNORED_FIELD, located.key("spec", name), message)
            return None
        return tuple(self._rule(located, name, index, rule, servers) for index, rule in enumerate(rules))

    def _rule(
        self,
        located: PolicyObject,
        name: str,
        index: int,
        rule: IngressRule | EgressRule,
        servers: tuple[Workload, ...] | None,
    ) -> PolicyRule:
        path: Path = ("spec", name, index)
        field = _FIELDS[name]
        peers = tuple(
            peer
            for at, given in enumerate(rule.peers)
            if (peer := self._peer(located, (*path, field, at), given)) is not None
        )
        named = servers if servers is not None else _servers(peers, self.workloads, everyone=not rule.peers)
        ports = tuple(
            port
            for at, given in enumerate(rule.ports)
            if (port := self._port(located, (*path, "ports", at), given, named)) is not None
        )
        return PolicyRule(
            peers=peers, is_everyone=not rule.peers, ports=ports, is_any_port=not rule.ports, span=located.at(*path)
        )

    def _peer(self, located: PolicyObject, path: Path, given: PolicyPeer) -> Peer | None:
        selectors = (("podSelector", given.pod_selector), ("namespaceSelector", given.namespace_selector))
        for name, selector in selectors:
            if selector is not None:
                check_selector(selector, located, (*path, name), self.report)
        is_selected = any(selector is not None for _, selector in selectors)
        if given.ip_block is not None and is_selected:
            message = "a peer has 'ipBlock' and a selector"
            self.report.add(codes.CONFLICTING_FIELDS, located.at(*path), message, expected="one of both")
            return None
        if given.ip_block is not None:
            return self._block(located, (*path, "ipBlock"), given.ip_block)
        if not is_selected:
            expected = "'podSelector', 'namespaceSelector' or 'ipBlock'"
            self.report.add(codes.MISSING_FIELD, located.at(*path), "a peer says nothing", expected=expected)
            return None
        return Peer(workloads=self._peers_of(located, given), span=located.at(*path))

    def _peers_of(self, located: PolicyObject, given: PolicyPeer) -> tuple[Workload, ...]:
        own, of_namespaces = located.model.metadata.namespace, given.namespace_selector

        def is_in(namespace: str) -> bool:
            return namespace == own if of_namespaces is None else of_namespaces.matches(self.namespaces[namespace])

        return self._selected(given.pod_selector or LabelSelector(), is_in)

    def _block(self, located: PolicyObject, path: Path, block: IPBlock) -> Peer | None:
        whole = self._prefix(located, (*path, "cidr"), block.cidr)
        found: list[Prefix] = []
        for index, text in enumerate(block.but):
            at = (*path, "except", index)
            prefix = self._prefix(located, at, text)
            if prefix is None or whole is None:
                continue
            if not _is_part(prefix, whole):
                message = f"{prefix} is no part of {whole}"
                self.report.add(codes.INVALID_VALUE, located.at(*at), message, expected=f"a prefix within {whole}")
            else:
                found.append(prefix)
        return None if whole is None else Peer(block=whole, excepts=tuple(dict.fromkeys(found)), span=located.at(*path))

    def _prefix(self, located: PolicyObject, path: Path, text: str) -> Prefix | None:
        """As in Kubernetes, bits beyond its length mean nothing."""
        try:
            if "/" in text and text.rpartition("/")[2].isdigit():
                return ip_network(text, strict=False)
        except ValueError:
            pass
        expected = "an IPv4 or IPv6 prefix such as 192.0.2.0/24"
        self.report.add(
            codes.INVALID_VALUE, located.at(*path), f"'{shortened(text)}' is not a prefix", expected=expected
        )
        return None

    def _port(
        self, located: PolicyObject, path: Path, given: PolicyPort, servers: tuple[Workload, ...]
    ) -> PortRange | NamedPort | None:
        protocol, span = Protocol(given.protocol), located.at(*path)
        if given.end_port is not None and not isinstance(given.port, int):
            message = "'endPort' without the number of a first port"
            self.report.add(
                codes.CONFLICTING_FIELDS, located.key(*path, "endPort"), message, expected="'port', a number"
            )
            return None
        if isinstance(given.port, str):
            if not any(w.port_named(given.port, protocol) is not None for w in servers):
                who = object_name(located.model.metadata)
                message = f"no workload that a rule of '{who}' is about has a {protocol} port named '{given.port}'"
                hint = "a Workload names its ports in spec.ports"
                self.report.add(codes.NO_SUCH_PORT, located.at(*path, "port"), message, hint=hint)
            return NamedPort(protocol=protocol, name=given.port, span=span)
        first, last = (given.port, given.end_port or given.port) if given.port is not None else _ALL_PORTS
        if last < first:
            message = f"endPort {last} is before port {first}"
            self.report.add(codes.INVALID_VALUE, located.at(*path, "endPort"), message, expected=f"{first} to 65535")
            return None
        return PortRange(protocol=protocol, first=first, last=last, span=span)


def _servers(peers: Iterable[Peer], workloads: tuple[Workload, ...], *, everyone: bool) -> tuple[Workload, ...]:
    """Whose ports an egress rule means by their names: a block has no names."""
    return workloads if everyone else tuple(workload for peer in peers for workload in peer.workloads)


def _is_part(prefix: Prefix, whole: Prefix) -> bool:
    is_longer = prefix.version == whole.version and prefix.prefixlen > whole.prefixlen
    return is_longer and prefix.network_address in whole
