"""What DpuService and Kubernetes Service have in common: addresses, clashes, and backends that cannot serve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from compiler.diagnostic import Related, Report
from compiler.policy import codes
from compiler.policy.policyset import Address, Backend, Network, Protocol, Service, ServicePort, Workload
from compiler.policy.references import Claims
from compiler.span import NOWHERE, Span

PlacedAddress = tuple[Address, Span]


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has an address, by network name and address."""

    workloads: Mapping[tuple[str, Address], Workload]

    def workload(self, network: Network, address: Address) -> Workload | None:
        return self.workloads.get((network.name, address))


def holders_of(workloads: Iterable[Workload]) -> Holders:
    by_address: dict[tuple[str, Address], Workload] = {}
    for workload in workloads:
        for address in workload.addresses:
            by_address.setdefault((workload.network.name, address), workload)
    return Holders(by_address)


def check_addresses(network: Network, addresses: Sequence[PlacedAddress], holders: Holders, report: Report) -> None:
    """At most one cluster IP per family, and none that is a workload's or the gateway's."""
    versions: set[int] = set()
    for address, span in addresses:
        if address.version in versions:
            message = f"two cluster IPs of IPv{address.version}"
            report.add(codes.CONFLICTING_FIELDS, span, message, expected="at most one address per family")
        versions.add(address.version)
        workload = holders.workload(network, address)
        if workload is not None:
            report.add(
                codes.CLUSTER_IP_TAKEN,
                span,
                f"cluster IP {address} is the address of workload '{workload.key}' in network '{network.name}'",
                related=(Related(message="the workload", span=workload.span),),
            )
        elif address in network.gateways:
            message = f"cluster IP {address} is the gateway of network '{network.name}'"
            report.add(codes.CLUSTER_IP_TAKEN, span, message)


def check_families(service: str, addresses: Sequence[PlacedAddress], port: ServicePort, report: Report) -> None:
    """Warn of a cluster IP whose family no backend has, when others have backends."""
    if not port.backends:
        return
    versions = {backend.address.version for backend in port.backends}
    for address, span in addresses:
        if address.version not in versions:
            message = (
                f"service '{service}' has the IPv{address.version} address {address}, "
                f"but port {port.port}/{port.protocol} has no IPv{address.version} backend"
            )
            report.add(codes.FAMILY_MISMATCH, span, message)


def check_clashes(services: Iterable[Service], report: Report) -> None:
    """Two services, or two ports of one, must not claim the same packets. A range clashes once at an address."""
    claims, told = Claims(report), set[tuple[Address, Span]]()
    for service in services:
        holder = f"{service.kind} '{service.key}'"
        for port in service.ports:
            for address in service.vips:
                if (address, port.span) in told:
                    continue
                is_first = claims.claim(
                    (service.network.name, address, port.protocol, port.port),
                    holder,
                    port.span,
                    codes.SERVICE_CLASH,
                    f"{address} port {port.port}/{port.protocol} of network '{service.network.name}' is served twice",
                )
                if not is_first:
                    told.add((address, port.span))


def check_chains(services: Sequence[Service], report: Report) -> None:
    """A backend must not be the address of a service itself: a packet passes the service table once."""
    own = {(service.network.name, address) for service in services for address in service.vips}
    for service in services:
        for port in service.ports:
            for backend in port.backends:
                if backend.workload is None and (service.network.name, backend.address) in own:
                    message = f"backend {backend.address} of '{service.key}' is the address of a service itself"
                    report.add(codes.CLUSTER_IP_TAKEN, backend.span, message)


def node_of(workload: Workload | None) -> str:
    """The name of the node that a backend's workload is on; empty where that is not known."""
    return workload.node.name if workload is not None and workload.node is not None else ""


def service_port(
    *,
    name: str,
    protocol: str,
    port: int,
    backends: Iterable[Backend],
    span: Span,
    node_port: int = 0,
    node_port_span: Span = NOWHERE,
) -> ServicePort:
    """A port with its backends in order; of two for the same address and port the first stays."""
    return ServicePort(
        name=name,
        protocol=Protocol(protocol),
        port=port,
        backends=ordered(backends),
        node_port=node_port,
        node_port_span=node_port_span,
        span=span,
    )


def ordered(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """By family, address, port and network; of two for the same place the first stays."""
    by_place: dict[tuple[int, int, int, str], Backend] = {}
    for backend in backends:
        address = backend.address
        place = address.version, int(address), backend.port, _network_of(backend)
        by_place.setdefault(place, backend)
    return tuple(map(by_place.__getitem__, sorted(by_place)))


def _network_of(backend: Backend) -> str:
    """The name of its own network, empty for one of the service's."""
    return "" if backend.network is None else backend.network.name
