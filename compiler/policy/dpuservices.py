"""DpuService: its ports, its selector, and its explicit backends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from compiler.diagnostic import Related, Report
from compiler.policy import codes, kinds
from compiler.policy.affinities import affinity_seconds, check_counted
from compiler.policy.distribution import ZONE_LABEL, Hints, check_distribution, hints_for
from compiler.policy.externals import address_order, written_externals
from compiler.policy.frontends import Holders, check_addresses, check_families, node_of, service_port
from compiler.policy.gatewayservices import check_gateway_service
from compiler.policy.located import Located
from compiler.policy.nodeports import check_written
from compiler.policy.policyset import (
    OUTSIDE,
    Address,
    Algorithm,
    Backend,
    Network,
    ServerReturn,
    Service,
    ServicePort,
    TrafficPolicy,
    Workload,
    WorkloadType,
)
from compiler.policy.portranges import checked_lengths
from compiler.policy.references import Claims, Directory, check_annotations, object_name, qualified
from compiler.policy.scalar import shortened
from compiler.policy.serverreturns import check_written_return
from compiler.policy.sourceranges import check_ranges, written_ranges
from compiler.span import Span

DpuServiceObject = Located[kinds.DpuService]
_CLOSE_MATCHES: Final = 3


@dataclass(frozen=True, slots=True)
class LabelIndex:
    """Workloads by one label, so that a selector costs what it matches and not the number of workloads."""

    by_label: Mapping[tuple[str, str], tuple[Workload, ...]]

    def select(self, selector: Mapping[str, str]) -> tuple[Workload, ...]:
        """Workloads of all namespaces and networks that carry every label of `selector`, which is not empty."""
        lists = sorted((self.by_label.get(label, ()) for label in selector.items()), key=len)
        wanted = set(selector.items())
        return tuple(workload for workload in lists[0] if wanted <= set(workload.labels))


def label_index(workloads: Iterable[Workload]) -> LabelIndex:
    by_label: dict[tuple[str, str], list[Workload]] = {}
    for workload in workloads:
        for label in workload.labels:
            by_label.setdefault(label, []).append(workload)
    return LabelIndex({label: tuple(found) for label, found in by_label.items()})


@dataclass(frozen=True, slots=True)
class _Explicit:
    """One item of spec.backends, resolved; `port` None takes the service port's target, `network` the service's."""

    addresses: tuple[Address, ...]
    port: int | None
    weight: int
    workload: Workload | None
    network: Network
    span: Span


@dataclass(frozen=True, slots=True)
class DpuServiceResolver:
    """Resolves one DpuService after the other against the same workloads."""

    networks: Directory[Network]
    workloads: Directory[Workload]
    holders: Holders
    labels: LabelIndex
    report: Report

    def resolve(self, located: DpuServiceObject) -> Service | None:
        """None when the network is unknown."""
        spec, metadata = located.model.spec, located.model.metadata
        check_annotations(located, metadata.annotations, (), self.report)
        _check_ports(located, self.report)
        lengths = checked_lengths(located, self.report)
        check_written(located, self.report)
        check_gateway_service(located, self.report)
        network = OUTSIDE
        if spec.network is not None:
            found = self.networks.find(spec.network, located.at("spec", "network"), self.report)
            if found is None:
                return None
            network = found
        placed = [(address, located.at("spec", "addresses", i)) for i, address in enumerate(spec.addresses)]
        check_addresses(network, placed, self.holders, self.report)
        externals = sorted(written_externals(located, self.report), key=address_order)
        ranges = written_ranges(spec.source_ranges, located, self.report)
        check_ranges(object_name(metadata), ranges, externals, self.report)
        selected = self._selected(located, network)
        explicit = self._explicit(located, network)
        if not spec.selector and not spec.backends:
            message = f"service '{object_name(metadata)}' has neither 'selector' nor 'backends'"
            self.report.add(codes.NO_BACKENDS, located.span, message, hint="add a selector or backends")
        ranges_of_ports = [
            [_port(located, index, step, explicit, selected) for step in range(length)]
            for index, length in enumerate(lengths)
        ]
        for alike in ranges_of_ports:
            check_families(object_name(metadata), [*placed, *externals], alike[0], self.report)
        ports = tuple(port for alike in ranges_of_ports for port in alike)
        if spec.traffic_distribution is not None:
            groups = [port.backends_of(version) for port in ports for version in (4, 6)]
            advice = f"a Node with the label {ZONE_LABEL}"
            check_distribution(groups, advice, located.key("spec", "trafficDistribution"), self.report)
        algorithm = Algorithm(spec.algorithm)
        affinity = affinity_seconds(spec, located, self.report)
        check_counted(algorithm, affinity, located, self.report)
        service = Service(
            name=metadata.name,
            namespace=metadata.namespace,
            kind="DpuService",
            network=network,
            addresses=tuple(sorted(spec.addresses, key=lambda address: address.version)),
            ports=tuple(sorted(ports, key=lambda port: (port.port, port.protocol))),
            algorithm=algorithm,
            internal_traffic_policy=TrafficPolicy(spec.internal_traffic_policy),
            externals=tuple(address for address, _ in externals),
            external_spans=tuple(span for _, span in externals),
            external_traffic_policy=TrafficPolicy(spec.external_traffic_policy or TrafficPolicy.CLUSTER),
            server_return=ServerReturn(spec.server_return),
            traffic_distribution=spec.traffic_distribution or "",
            source_ranges=ranges,
            bounded=frozenset(address for address, _ in externals) if ranges else frozenset(),
            bounds_node_ports=bool(ranges),
            affinity_s=affinity,
            labels=tuple(sorted(metadata.labels.items())),
            span=located.span,
        )
        check_written_return(service, located, self.report)
        return service

    def _selected(self, located: DpuServiceObject, network: Network) -> tuple[Workload, ...]:
        spec, namespace = located.model.spec, located.model.metadata.namespace
        if not spec.selector:
            return ()
        matching = self.labels.select(spec.selector)
        near = [w for w in matching if w.namespace == namespace]
        selected = tuple(w for w in near if network is OUTSIDE or w.network.name == network.name)
        if not selected:
            words = ", ".join(f"{key}={value}" for key, value in sorted(spec.selector.items()))
            where = "" if network is OUTSIDE else f" of network '{network.name}'"
            message = f"no workload{where} in namespace '{namespace}' has {shortened(words)}"
            hint = None
            if matching:
                others = ", ".join(f"{w.key} (network {w.network.name})" for w in matching[:_CLOSE_MATCHES])
                own = "namespace" if network is OUTSIDE else "network and namespace"
                hint = f"a selector stays in the service's own {own}; elsewhere: {others}"
            self.report.add(codes.EMPTY_SELECTOR_MATCH, located.key("spec", "selector"), message, hint=hint)
        return selected

    def _explicit(self, located: DpuServiceObject, network: Network) -> tuple[_Explicit, ...]:
        claims = Claims(self.report)
        resolved: list[_Explicit] = []
        for index, spec in enumerate(located.model.spec.backends):
            item = self._backend(located, index, network)
            if item is None:
                continue
            if item.workload is not None and item.workload.type is WorkloadType.PROXY:
                message = f"workload '{item.workload.key}' is a proxy, which no service has for a backend"
                self.report.add(codes.PROXY_AS_BACKEND, item.span, message)
            for address in item.addresses:
                message = f"backend {address} is listed twice"
                place = (item.network.name, address, spec.port)
                claims.claim(place, "this item", item.span, codes.DUPLICATE_ADDRESS, message)
            resolved.append(item)
        return tuple(resolved)

    def _backend(self, located: DpuServiceObject, index: int, network: Network) -> _Explicit | None:
        spec = located.model.spec.backends[index]
        path = ("spec", "backends", index)
        if (spec.workload is None) == (spec.address is None):
            message = "a backend is either a workload or an address"
            expected = "'workload: name' or 'address: ...'"
            self.report.add(codes.CONFLICTING_FIELDS, located.at(*path), message, expected=expected)
            return None
        if spec.address is not None:
            return self._address_backend(located, index, spec.address, network)
        name = qualified(spec.workload or "", located.model.metadata.namespace)
        span = located.at(*path, "workload")
        workload = self.workloads.find(name, span, self.report)
        if workload is None:
            return None
        if network is not OUTSIDE and workload.network.name != network.name:
            self.report.add(
                codes.BACKEND_IN_OTHER_NETWORK,
                span,
                f"workload '{workload.key}' is in network '{workload.network.name}', the service in '{network.name}'",
                related=(Related(message="the workload", span=workload.span),),
            )
            return None
        return _Explicit(workload.addresses, spec.port, spec.weight, workload, workload.network, span)

    def _address_backend(
        self, located: DpuServiceObject, index: int, address: Address, network: Network
    ) -> _Explicit | None:
        spec = located.model.spec.backends[index]
        span = located.at("spec", "backends", index, "address")
        if network is OUTSIDE:
            return self._address_across(located, index, address)
        workload = self.holders.workload(network, address)
        if workload is None and not network.holds(address):
            expected = "an address inside " + " or ".join(map(str, network.cidrs))
            hint = f"for a host outside, define a Workload of type Address in network '{network.name}'"
            message = f"backend {address} is outside of network '{network.name}'"
            self.report.add(codes.ADDRESS_OUTSIDE, span, message, expected=expected, hint=hint)
            return None
        return _Explicit((address,), spec.port, spec.weight, workload, network, span)

    def _address_across(self, located: DpuServiceObject, index: int, address: Address) -> _Explicit | None:
        """An address in a network that the item names. Somebody must have it: no route says where it is."""
        spec = located.model.spec.backends[index]
        if spec.network is None:
            message = f"backend {address} of a service without a network is in no network either"
            self.report.add(codes.MISSING_FIELD, located.at("spec", "backends", index), message, expected="'network'")
            return None
        network = self.networks.find(spec.network, located.at("spec", "backends", index, "network"), self.report)
        if network is None:
            return None
        span = located.at("spec", "backends", index, "address")
        workload = self.holders.workload(network, address)
        if workload is None:
            message = f"no workload of network '{network.name}' has address {address}"
            hint = f"define a Workload, of type Address for a host outside, in network '{network.name}'"
            self.report.add(codes.ADDRESS_OUTSIDE, span, message, hint=hint)
            return None
        return _Explicit((address,), spec.port, spec.weight, workload, network, span)


def _check_ports(located: DpuServiceObject, report: Report) -> None:
    names = Claims(report)
    ports = located.model.spec.ports
    for index, port in enumerate(ports):
        path = ("spec", "ports", index)
        if port.name is None and len(ports) > 1:
            message = "a service with several ports names each of them"
            report.add(codes.MISSING_FIELD, located.at(*path), message, expected="'name'")
        if port.name is not None:
            span = located.at(*path, "name")
            message = f"port name '{port.name}' is used twice"
            names.claim(port.name, f"port {port.port}", span, codes.DUPLICATE_PORT, message)


def _port(
    located: DpuServiceObject, index: int, step: int, explicit: tuple[_Explicit, ...], selected: tuple[Workload, ...]
) -> ServicePort:
    """The port at a step of a range, or the one port that it is.

    Explicit backends come first, so that their weight counts when the selector matches them as well.
    """
    service = located.model.spec
    spec = service.ports[index]
    target = (spec.target_port or spec.port) + step
    versions = {address.version for address in (*service.addresses, *service.external_addresses)}
    backends = [
        Backend(
            address=address,
            port=item.port + step if item.port else target,
            weight=item.weight,
            workload=item.workload,
            node=node_of(item.workload),
            hints=_hints(service, item.workload),
            network=item.network if service.network is None else None,
            span=item.span,
        )
        for item in explicit
        for address in item.addresses
        if address.version in versions
    ]
    backends.extend(
        Backend(
            address=address,
            port=target,
            workload=workload,
            node=node_of(workload),
            hints=_hints(service, workload),
            network=workload.network if service.network is None else None,
            span=workload.span,
        )
        for workload in selected
        for address in workload.addresses
        if address.version in versions
    )
    return service_port(
        name=spec.name or "",
        protocol=spec.protocol,
        port=spec.port + step,
        backends=backends,
        span=located.at("spec", "ports", index, "port"),
        node_port=spec.node_port or 0,
        node_port_span=located.at("spec", "ports", index, "nodePort"),
    )


def _hints(spec: kinds.DpuServiceSpec, workload: Workload | None) -> Hints:
    node = workload.node if workload is not None else None
    return hints_for(spec.traffic_distribution, *((node.name, node.zone) if node is not None else ("", "")))
