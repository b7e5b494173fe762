"""Kubernetes Services with their EndpointSlices.

Turnout serves cluster IPs, node ports, externalIPs and load balancer addresses. What else a Service may ask for is
answered here: an error when following it not would send connections to other backends than asked for, a warning when
only another way in stays unserved, a note when there is nothing to program.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from compiler.diagnostic import Report, did_you_mean
from compiler.policy import codes
from compiler.policy.affinities import affinity_seconds, check_counted
from compiler.policy.distribution import check_distribution
from compiler.policy.endpoints import Endpoints, SliceEndpoint, SlicePort, usable
from compiler.policy.externals import DEFAULT_NETWORK, address_order, assigned_externals, balancer_addresses
from compiler.policy.frontends import (
    Holders,
    PlacedAddress,
    check_addresses,
    check_families,
    node_of,
    ordered,
    service_port,
)
from compiler.policy.kinds import (
    ALGORITHM_ANNOTATION,
    NETWORK_ANNOTATION,
    SERVER_RETURN_ANNOTATION,
    SOURCE_RANGES_ANNOTATION,
)
from compiler.policy.kubernetes import KubernetesService, KubernetesServicePort
from compiler.policy.located import Located
from compiler.policy.nodeports import check_assigned
from compiler.policy.policyset import Algorithm, Backend, Network, Service, ServicePort, TrafficPolicy
from compiler.policy.references import Claims, Directory, check_annotations, object_name
from compiler.policy.scalar import shortened
from compiler.policy.serverreturns import annotated_return, check_annotated_return
from compiler.policy.sourceranges import check_ranges, parsed_ranges
from compiler.policy.values import ALGORITHMS

PROXY_LABEL: Final = "service.kubernetes.io/service-proxy-name"
"""A service with this label belongs to another proxy (Kubernetes, well-known labels)."""

ServiceObject = Located[KubernetesService]


@dataclass(frozen=True, slots=True)
class ClusterServiceResolver:
    """Resolves one Service after the other, by nothing but these and what it is given (`compiler.policy.memory`)."""

    networks: Directory[Network]
    holders: Holders
    endpoints: Endpoints
    report: Report

    def resolve(self, located: ServiceObject) -> Service | None:
        """None when nothing is to be programmed, or when the network or address is unknown."""
        known = (NETWORK_ANNOTATION, ALGORITHM_ANNOTATION, SERVER_RETURN_ANNOTATION, SOURCE_RANGES_ANNOTATION)
        check_annotations(located, located.model.metadata.annotations, known, self.report)
        check_assigned(located, self.report)
        if not _is_served(located, self.report):
            return None
        affinity = affinity_seconds(located.model.spec, located, self.report)
        _check_unsupported(located, self.report)
        _check_ports(located, self.report)
        placed = _cluster_ips(located, self.report)
        network = self._network(located)
        if network is None or not placed:
            return None
        check_addresses(network, placed, self.holders, self.report)
        balanced = balancer_addresses(located, self.report)
        externals = sorted(assigned_externals(located, balanced, self.report), key=address_order)
        service = self._service(located, network, placed, externals, affinity)
        return self._bounded(service, located, balanced)

    def _network(self, located: ServiceObject) -> Network | None:
        name = located.model.metadata.annotations.get(NETWORK_ANNOTATION)
        if name is not None:
            return self.networks.find(name, located.at("metadata", "annotations", NETWORK_ANNOTATION), self.report)
        if DEFAULT_NETWORK not in self.networks.found and DEFAULT_NETWORK not in self.networks.refused:
            service = object_name(located.model.metadata)
            self.report.add(
                codes.UNKNOWN_REFERENCE,
                located.span,
                f"service '{service}' belongs to Network '{DEFAULT_NETWORK}', which is not defined",
                hint=f"define it, or name another in the annotation {NETWORK_ANNOTATION}",
            )
            return None
        return self.networks.found.get(DEFAULT_NETWORK)

    def _service(
        self,
        located: ServiceObject,
        network: Network,
        placed: list[PlacedAddress],
        externals: list[PlacedAddress],
        affinity: int,
    ) -> Service:
        metadata = located.model.metadata
        key = object_name(metadata)
        policy = TrafficPolicy(located.model.spec.internal_traffic_policy or TrafficPolicy.CLUSTER)
        outside = TrafficPolicy(located.model.spec.external_traffic_policy or TrafficPolicy.CLUSTER)
        found = self.endpoints.of(key)
        slices = usable(found, by_node=policy is TrafficPolicy.LOCAL)
        outside_slices = slices if outside is policy else usable(found, by_node=outside is TrafficPolicy.LOCAL)
        if not slices:
            message = f"service '{key}' has no EndpointSlice: its packets have nowhere to go"
            hint = f"an EndpointSlice with the label kubernetes.io/service-name: {metadata.name}"
            self.report.add(codes.NO_BACKENDS, located.span, message, hint=hint)
        ports = tuple(
            self._port(located, index, network, slices, [*placed, *externals], outside_slices)
            for index in range(len(located.model.spec.ports))
        )
        self._check_distribution(located, slices)
        algorithm = _algorithm(located, self.report)
        check_counted(algorithm, affinity, located, self.report)
        service = Service(
            name=metadata.name,
            namespace=metadata.namespace,
            kind="Service",
            network=network,
            addresses=tuple(sorted((address for address, _ in placed), key=lambda address: address.version)),
            ports=tuple(sorted(ports, key=lambda port: (port.port, port.protocol))),
            algorithm=algorithm,
            internal_traffic_policy=policy,
            externals=tuple(address for address, _ in externals),
            external_spans=tuple(span for _, span in externals),
            external_traffic_policy=outside,
            server_return=annotated_return(located, self.report),
            traffic_distribution=located.model.spec.traffic_distribution,
            affinity_s=affinity,
            labels=tuple(sorted(metadata.labels.items())),
            span=located.span,
        )
        check_annotated_return(service, located, self.report)
        return service

    def _check_distribution(self, located: ServiceObject, slices: Iterable[SlicePort]) -> None:
        distribution = located.model.spec.traffic_distribution
        if not distribution:
            return
        groups: dict[tuple[str, str, int], list[SliceEndpoint]] = {}
        for port in slices:
            ready = [endpoint for endpoint in port.endpoints if endpoint.is_ready]
            groups.setdefault((port.name, port.protocol, port.version), []).extend(ready)
        advice = "the EndpointSlice controller writes hints once all nodes have zones"
        check_distribution(groups.values(), advice, located.key("spec", "trafficDistribution"), self.report)

    def _bounded(self, service: Service, located: ServiceObject, balanced: list[PlacedAddress]) -> Service:
        """With the ranges of clients that may call it at its load balancer's addresses, and at no others."""
        ranges = parsed_ranges(
            located.model.spec.load_balancer_source_ranges,
            located,
            ("spec", "loadBalancerSourceRanges"),
            self.report,
            is_allowed=_are_allowed(located, self.report),
        )
        check_ranges(service.key, ranges, balanced, self.report)
        if not ranges:
            return service
        return replace(service, source_ranges=ranges, bounded=frozenset(address for address, _ in balanced))

    def _backend(self, network: Network, port: SlicePort, endpoint: SliceEndpoint) -> Backend:
        workload = self.holders.workload(network, endpoint.address)
        return Backend(
            address=endpoint.address,
            port=port.port,
            workload=workload,
            node=endpoint.node or node_of(workload),
            hints=endpoint.hints,
            span=endpoint.span,
        )

    def _port(
        self,
        located: ServiceObject,
        index: int,
        network: Network,
        slices: tuple[SlicePort, ...],
        placed: list[PlacedAddress],
        outside_slices: tuple[SlicePort, ...],
    ) -> ServicePort:
        spec = located.model.spec.ports[index]
        versions = {address.version for address, _ in placed}
        span = located.at("spec", "ports", index, "port")
        port = service_port(
            name=spec.name,
            protocol=spec.protocol,
            port=spec.port,
            backends=self._backends(network, spec, slices, versions),
            span=span,
            node_port=spec.node_port,
            node_port_span=located.at("spec", "ports", index, "nodePort"),
        )
        key = object_name(located.model.metadata)
        if slices and not port.backends:
            message = f"port {spec.port}/{spec.protocol} of service '{key}' has no ready endpoint"
            self.report.add(codes.NO_BACKENDS, span, message)
        check_families(key, placed, port, self.report)
        if outside_slices is slices:
            self._check_inside(network, port.backends)
            return port
        outside = ordered(self._backends(network, spec, outside_slices, versions))
        self._check_inside(network, ordered([*port.backends, *outside]))
        return port if outside == port.backends else replace(port, outside=outside)

    def _backends(
        self, network: Network, spec: KubernetesServicePort, slices: Iterable[SlicePort], versions: set[int]
    ) -> list[Backend]:
        """A slice's ports are matched by name and protocol, as kube-proxy does; their numbers are the backends'."""
        matching = [s for s in slices if s.name == spec.name and s.protocol == spec.protocol and s.version in versions]
        return [self._backend(network, item, endpoint) for item in matching for endpoint in item.endpoints]

    def _check_inside(self, network: Network, backends: Iterable[Backend]) -> None:
        for backend in backends:
            if backend.workload is None and not network.holds(backend.address):
                message = f"endpoint {backend.address} is outside of network '{network.name}'"
                hint = "it is reached only if the underlay routes it"
                self.report.add(codes.ENDPOINT_OUTSIDE, backend.span, message, hint=hint)


def _algorithm(located: ServiceObject, report: Report) -> Algorithm:
    name = located.model.metadata.annotations.get(ALGORITHM_ANNOTATION, Algorithm.MAGLEV)
    if name in ALGORITHMS:
        return Algorithm(name)
    report.add(
        codes.INVALID_VALUE,
        located.at("metadata", "annotations", ALGORITHM_ANNOTATION),
        f"metadata.annotations.{ALGORITHM_ANNOTATION}: '{shortened(name)}' is not known",
        expected=" or ".join(ALGORITHMS),
        hint=did_you_mean(name, ALGORITHMS),
    )
    return Algorithm.MAGLEV


def _are_allowed(located: ServiceObject, report: Report) -> bool:
    """Whether source ranges are those of clients that may connect, as Kubernetes has it, or of those that may not."""
    word = located.model.metadata.annotations.get(SOURCE_RANGES_ANNOTATION, "Allow")
    path = ("metadata", "annotations", SOURCE_RANGES_ANNOTATION)
    if word not in ("Allow", "Deny"):
        message = f"{'.'.join(path)}: '{shortened(word)}' is not known"
        hint = did_you_mean(word, ("Allow", "Deny"))
        report.add(codes.INVALID_VALUE, located.at(*path), message, expected="Allow or Deny", hint=hint)
    elif SOURCE_RANGES_ANNOTATION in located.model.metadata.annotations and not (
        located.model.spec.load_balancer_source_ranges
    ):
        message = f"the annotation {SOURCE_RANGES_ANNOTATION} without loadBalancerSourceRanges does nothing"
        report.add(codes.CONFLICTING_FIELDS, located.key(*path), message)
    return word != "Deny"


def _is_served(located: ServiceObject, report: Report) -> bool:
    spec, metadata = located.model.spec, located.model.metadata
    key = object_name(metadata)
    if PROXY_LABEL in metadata.labels:
        message = f"service '{key}' is left to the proxy '{metadata.labels[PROXY_LABEL]}'"
        report.add(codes.OTHER_PROXY, located.key("metadata", "labels", PROXY_LABEL), message)
        return False
    if spec.type == "ExternalName":
        message = f"service '{key}' is a DNS name only: nothing needs to be programmed"
        report.add(codes.EXTERNAL_NAME, located.at("spec", "type"), message)
        return False
    if spec.cluster_ip == "None" or "None" in spec.cluster_ips:
        message = f"service '{key}' is headless, clients connect to its endpoints: nothing needs to be programmed"
        if spec.type == "ClusterIP":
            report.add(codes.HEADLESS, located.at("spec", "clusterIP" if spec.cluster_ip else "clusterIPs"), message)
        return False
    return True


def _check_unsupported(located: ServiceObject, report: Report) -> None:
    spec = located.model.spec
    if spec.external_name:
        message = "externalName without type ExternalName does nothing"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "externalName"), message)
    if spec.load_balancer_source_ranges and spec.type != "LoadBalancer":
        message = "loadBalancerSourceRanges without type LoadBalancer do nothing"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "loadBalancerSourceRanges"), message)
    if spec.health_check_node_port:
        message = f"nothing answers at the health check node port {spec.health_check_node_port}"
        report.add(codes.IGNORED_FIELD, located.key("spec", "healthCheckNodePort"), message)


def _check_ports(located: ServiceObject, report: Report) -> None:
    names, ports = Claims(report), located.model.spec.ports
    if not ports:
        message = f"service '{object_name(located.model.metadata)}' has no ports"
        report.add(codes.MISSING_FIELD, located.key("spec", "ports"), message, expected="at least one port")
    for index, port in enumerate(ports):
        path = ("spec", "ports", index)
        if not port.name and len(ports) > 1:
            message = "a service with several ports names each of them"
            report.add(codes.MISSING_FIELD, located.at(*path), message, expected="'name'")
        elif port.name:
            message = f"port name '{port.name}' is used twice"
            names.claim(port.name, f"port {port.port}", located.at(*path, "name"), codes.DUPLICATE_PORT, message)


def _cluster_ips(located: ServiceObject, report: Report) -> list[PlacedAddress]:
    spec = located.model.spec
    if not spec.cluster_ips and not spec.cluster_ip:
        message = f"service '{object_name(located.model.metadata)}' has no cluster IP"
        hint = "the API server assigns it: read the object back with kubectl get, or write one"
        report.add(codes.MISSING_FIELD, located.key("spec"), message, expected="'clusterIP' or 'clusterIPs'", hint=hint)
        return []
    if spec.cluster_ips and spec.cluster_ip and spec.cluster_ips[0] != spec.cluster_ip:
        message = f"clusterIP is {shortened(spec.cluster_ip)}, the first of clusterIPs {shortened(spec.cluster_ips[0])}"
        report.add(codes.CONFLICTING_FIELDS, located.at("spec", "clusterIP"), message, expected="the same address")
    written = [
        *((text, located.at("spec", "clusterIPs", index)) for index, text in enumerate(spec.cluster_ips)),
        *((spec.cluster_ip, located.at("spec", "clusterIP")) for _ in range(not spec.cluster_ips)),
    ]
    placed: list[PlacedAddress] = []
    for text, span in written:
        try:
            placed.append((ip_address(text), span))
        except ValueError:
            message = f"'{shortened(text)}' is not an address"
            report.add(codes.INVALID_VALUE, span, message, expected="an IPv4 or IPv6 address, or None")
    return placed
