"""StorageSteerings: their portals and registries as services, and what is handed out of them.

A portal is a service whose backends are targets; a registry is one that is its own backend. So clashes of addresses,
entries, plans and explanations are those of services.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from compiler.diagnostic import Report
from compiler.policy import codes
from compiler.policy.frontends import Holders, PlacedAddress, check_addresses, check_families, node_of, service_port
from compiler.policy.located import Located
from compiler.policy.policyset import (
    Address,
    Algorithm,
    Backend,
    Health,
    Network,
    Service,
    ServicePort,
    Steering,
    StoragePolicy,
    Transport,
    Workload,
    WorkloadType,
)
from compiler.policy.references import Claims, Directory, check_annotations, qualified
from compiler.policy.storagekinds import StoragePortal, StorageSteering, StorageTarget
from compiler.policy.storagevalues import MIN_BURST
from compiler.span import Span

KIND: Final = "StorageSteering"
BITS_OF_A_QUARTER_SECOND: Final = 32
"""The rate in bits a second by this is the default burst in bytes. TCP that has lost all it had under way is silent for
0.2 s (the kernel's shortest retransmission timeout); with a smaller burst these tokens would be lost."""
StorageObject = Located[StorageSteering]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageResolver:
    """Resolves one StorageSteering after the other against the same workloads."""

    networks: Directory[Network]
    workloads: Directory[Workload]
    holders: Holders
    report: Report

    def resolve(self, objects: Mapping[str, StorageObject]) -> tuple[tuple[StoragePolicy, ...], tuple[Service, ...]]:
        """Policies by "namespace/name", and the services that they are."""
        policies: list[StoragePolicy] = []
        services: list[Service] = []
        for name in sorted(objects):
            located = objects[name]
            _check_fields(located, self.report)
            network = self.networks.find(located.model.spec.network, located.at("spec", "network"), self.report)
            if network is None:
                continue
            targets = tuple(self._targets(located, network))
            policies.append(_policy(located, network, targets))
            services += self._portals(located, network, targets)
            services += self._registries(located, network)
        return tuple(policies), tuple(services)

    def _targets(self, located: StorageObject, network: Network) -> Iterable[tuple[StorageTarget, Workload, Span]]:
        claims = Claims(self.report)
        for index, target in enumerate(located.model.spec.targets):
            path = ("spec", "targets", index)
            workload = self._workload(located, target.workload, located.at(*path, "workload"), network)
            if workload is None:
                continue
            message = f"target '{workload.key}' is listed twice"
            claims.claim((workload.key, target.port), "this item", located.at(*path), codes.DUPLICATE_ADDRESS, message)
            yield target, workload, located.at(*path)

    def _workload(self, located: StorageObject, name: str, span: Span, network: Network) -> Workload | None:
        found = self.workloads.find(qualified(name, located.model.metadata.namespace), span, self.report)
        if found is None:
            return None
        if found.network.name != network.name:
            message = f"workload '{found.key}' is in network '{found.network.name}', the policy in '{network.name}'"
            self.report.add(codes.BACKEND_IN_OTHER_NETWORK, span, message)
            return None
        if found.type is WorkloadType.PROXY:
            message = f"workload '{found.key}' is a proxy, which no storage is behind"
            self.report.add(codes.PROXY_AS_BACKEND, span, message)
            return None
        return found

    def _portals(
        self, located: StorageObject, network: Network, targets: tuple[tuple[StorageTarget, Workload, Span], ...]
    ) -> Iterable[Service]:
        for index, portal in enumerate(located.model.spec.portals):
            path = ("spec", "portals", index)
            placed = [(address, located.at(*path, "addresses", i)) for i, address in enumerate(portal.addresses)]
            check_addresses(network, placed, self.holders, self.report)
            port = service_port(
                name=portal.name or "",
                protocol="TCP",
                port=portal.port,
                backends=_backends(targets, portal.port, {address.version for address in portal.addresses}),
                span=located.at(*path),
            )
            self._check_targets(located, portal, placed, port)
            name = located.model.metadata.name
            yield _service(
                located,
                network,
                name if portal.name is None else f"{name}.{portal.name}",
                portal.addresses,
                port,
                is_portal=True,
            )

    def _check_targets(
        self, located: StorageObject, portal: StoragePortal, placed: list[PlacedAddress], port: ServicePort
    ) -> None:
        metadata = located.model.metadata
        check_families(f"{metadata.namespace}/{metadata.name}", placed, port, self.report)
        for address, span in placed:
            targets = port.backends_of(address.version)
            if targets and not any(target.health is Health.UP for target in targets):
                message = f"portal {address} port {portal.port} has no target that is up: new hosts are refused"
                self.report.add(codes.NO_TARGET_UP, span, message)

    def _registries(self, located: StorageObject, network: Network) -> Iterable[Service]:
        for index, registry in enumerate(located.model.spec.registries):
            span = located.at("spec", "registries", index, "workload")
            workload = self._workload(located, registry.workload, span, network)
            if workload is None:
                continue
            backends = [
                Backend(address=a, port=registry.port, workload=workload, node=node_of(workload), span=span)
                for a in workload.addresses
            ]
            port = service_port(name="", protocol="TCP", port=registry.port, backends=backends, span=span)
            name = f"{located.model.metadata.name}.{workload.name}"
            yield _service(located, network, name, workload.addresses, port, is_portal=False)


def _backends(
    targets: Iterable[tuple[StorageTarget, Workload, Span]], port: int, versions: set[int]
) -> Iterable[Backend]:
    return (
        Backend(
            address=address,
            port=target.port or port,
            weight=target.weight,
            workload=workload,
            node=node_of(workload),
            preference=target.preference,
            health=Health(target.health),
            span=span,
        )
        for target, workload, span in targets
        for address in workload.addresses
        if address.version in versions
    )


def _service(
    located: StorageObject,
    network: Network,
    name: str,
    addresses: tuple[Address, ...],
    port: ServicePort,
    *,
    is_portal: bool,
) -> Service:
    spec, metadata = located.model.spec, located.model.metadata
    rate = spec.rate
    return Service(
        name=name,
        namespace=metadata.namespace,
        kind=KIND,
        network=network,
        addresses=tuple(sorted(addresses, key=lambda address: address.version)),
        ports=(port,),
        algorithm=Algorithm.SOURCE_HASH,
        steering=Steering(
            dscp=spec.service_class,
            rate_bps=rate,
            burst=0 if rate is None else spec.burst or max(rate // BITS_OF_A_QUARTER_SECOND, MIN_BURST),
            shared_data=spec.shared_data,
            is_portal=is_portal,
        ),
        labels=tuple(sorted(metadata.labels.items())),
        span=located.span,
    )


def _policy(
    located: StorageObject, network: Network, targets: tuple[tuple[StorageTarget, Workload, Span], ...]
) -> StoragePolicy:
    spec, metadata = located.model.spec, located.model.metadata
    default_port = spec.portals[0].port if spec.portals else StoragePortal.model_fields["port"].default
    return StoragePolicy(
        name=metadata.name,
        namespace=metadata.namespace,
        network=network,
        transport=Transport(spec.transport),
        volumes=tuple(dict.fromkeys(spec.volumes)),
        portals=tuple((address, portal.port) for portal in spec.portals for address in portal.addresses),
        targets=tuple(_backends(targets, default_port, {4, 6})),
        labels=tuple(sorted(metadata.labels.items())),
        span=located.span,
    )


def _check_fields(located: StorageObject, report: Report) -> None:
    """What contradicts itself within one policy."""
    spec, metadata = located.model.spec, located.model.metadata
    name = f"{KIND} '{metadata.namespace}/{metadata.name}'"
    check_annotations(located, metadata.annotations, (), report)
    _check_names(located, report)
    if spec.burst is not None and spec.rate is None:
        message = "'burst' is bytes above a 'rate', and there is none"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "burst"), message)
    if spec.transport == Transport.RDMA:
        _check_rdma(located, report)
    elif spec.targets and not spec.portals:
        message = f"{name} has targets, and no portal that hosts could connect to"
        report.add(codes.STORAGE_WITHOUT_PORTAL, located.key("spec", "targets"), message, expected="'portals'")
    elif spec.portals and not spec.targets:
        message = f"{name} has a portal, and no targets behind it"
        report.add(codes.STORAGE_WITHOUT_PORTAL, located.key("spec", "portals"), message, expected="'targets'")
    elif not spec.portals and not spec.registries:
        message = f"{name} has neither portals nor registries"
        report.add(codes.MISSING_FIELD, located.key("spec"), message, expected="one of them, or both")


def _check_names(located: StorageObject, report: Report) -> None:
    portals, names = located.model.spec.portals, Claims(report)
    for index, portal in enumerate(portals):
        path = ("spec", "portals", index)
        if portal.name is None and len(portals) > 1:
            message = "a policy with several portals names each of them"
            report.add(codes.MISSING_FIELD, located.at(*path), message, expected="'name'")
        if portal.name is not None:
            message = f"portal name '{portal.name}' is used twice"
            names.claim(portal.name, "this portal", located.at(*path, "name"), codes.DUPLICATE_PORT, message)


def _check_rdma(located: StorageObject, report: Report) -> None:
    """RDMA ends in the adapter, which knows its peer by address: nothing in between may change one."""
    written = located.model.spec.model_fields_set
    hint = "hosts are told the targets' own addresses (`turnout compile` writes them to storage.json)"
    for field, path in (
        ("portals", "portals"),
        ("service_class", "class"),
        ("rate", "rate"),
        ("registries", "registries"),
    ):
        if field in written:
            message = f"'{path}' with transport RDMA: its packets are neither rewritten nor seen by a device's tables"
            report.add(codes.RDMA_REWRITTEN, located.key("spec", path), message, hint=hint)
    if not located.model.spec.targets:
        message = "a policy for RDMA has no targets"
        report.add(codes.MISSING_FIELD, located.key("spec"), message, expected="'targets'")
