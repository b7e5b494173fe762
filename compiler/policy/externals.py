"""Addresses of services for clients outside (EIPs): from which fields they come, and what they must not be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from compiler.diagnostic import Related, Report
from compiler.policy import codes, kinds
from compiler.policy.frontends import PlacedAddress
from compiler.policy.kubernetes import KubernetesService
from compiler.policy.located import Located
from compiler.policy.policyset import OUTSIDE, Address, Device, Network, Node, Service
from compiler.policy.references import Claims, object_name
from compiler.policy.scalar import shortened
from compiler.span import Span

DEFAULT_NETWORK: Final = "default"


def address_order(placed: PlacedAddress) -> tuple[int, int]:
    """By family, then number."""
    return placed[0].version, int(placed[0])


def written_externals(located: Located[kinds.DpuService], report: Report) -> list[PlacedAddress]:
    """Those of a DpuService, which go with type LoadBalancer and with no other."""
    spec = located.model.spec
    placed = [
        (address, located.at("spec", "externalAddresses", i)) for i, address in enumerate(spec.external_addresses)
    ]
    if spec.type == "LoadBalancer" and not placed:
        message = f"service '{object_name(located.model.metadata)}' of type LoadBalancer has no external address"
        report.add(codes.MISSING_FIELD, located.at("spec", "type"), message, expected="'externalAddresses'")
    if spec.type != "LoadBalancer" and placed:
        message = "externalAddresses without type LoadBalancer do nothing"
        expected = "'type: LoadBalancer', or none of them"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "externalAddresses"), message, expected=expected)
    given = (("externalTrafficPolicy", spec.external_traffic_policy), ("sourceRanges", spec.source_ranges))
    for field in (name for name, value in given if value is not None and spec.type == "ClusterIP"):
        message = f"{field} without type LoadBalancer or NodePort does nothing"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", field), message)
    claims = Claims(report)
    for address, span in placed:
        message = f"external address {address} is written twice"
        claims.claim(address, "this item", span, codes.DUPLICATE_ADDRESS, message)
    return _distinct(placed, report)


def assigned_externals(
    located: Located[KubernetesService], balanced: Iterable[PlacedAddress], report: Report
) -> list[PlacedAddress]:
    """Those of a Kubernetes Service: externalIPs, and those of its load balancer."""
    placed = _addresses(located.model.spec.external_ips, located, ("spec", "externalIPs"), report)
    return _distinct([*placed, *balanced], report)


def balancer_addresses(located: Located[KubernetesService], report: Report) -> list[PlacedAddress]:
    """What the status of a Kubernetes Service says that its load balancer has.

    A load balancer that is a proxy (ipMode) or has a name only brings packets to node ports.
    """
    spec, status = located.model.spec, located.model.status
    placed: list[PlacedAddress] = []
    if spec.type == "LoadBalancer" and status is not None:
        for index, ingress in enumerate(status.load_balancer.ingress):
            path = ("status", "loadBalancer", "ingress", index, "ip")
            if ingress.ip and ingress.ip_mode != "Proxy":
                placed += [*_parsed(ingress.ip, located.at(*path), report)]
    return placed


def _addresses(
    texts: Iterable[str], located: Located[KubernetesService], path: tuple[str, ...], report: Report
) -> Iterator[PlacedAddress]:
    for index, text in enumerate(texts):
        yield from _parsed(text, located.at(*path, index), report)


def _parsed(text: str, span: Span, report: Report) -> Iterator[PlacedAddress]:
    try:
        yield ip_address(text), span
    except ValueError:
        report.add(
            codes.INVALID_VALUE, span, f"'{shortened(text)}' is not an address", expected="an IPv4 or IPv6 address"
        )


def _distinct(placed: Iterable[PlacedAddress], report: Report) -> list[PlacedAddress]:
    """Without those that nobody can call from outside. An address may be written in two fields, and is one then."""
    found: dict[Address, Span] = {}
    for address, span in placed:
        if address.is_multicast or address.is_loopback or address.is_link_local or address.is_unspecified:
            message = f"external address {address} is none that clients outside can call"
            report.add(codes.UNUSABLE_ADDRESS, span, message, expected="a unicast address")
        else:
            found.setdefault(address, span)
    return list(found.items())


def check_externals(
    services: Iterable[Service], nodes: Iterable[Node], devices: Iterable[Device], report: Report
) -> None:
    """An external address is nobody else's, where packets to it come by, and belongs to one network."""
    services, devices = list(services), list(devices)
    taken = _taken(nodes, devices)
    cluster_ips = {(s.network.name, a): s for s in services for a in s.addresses}
    networks: dict[Address, tuple[Network, Service, Span]] = {}
    for service in services:
        for address, span in zip(service.externals, service.external_spans, strict=True):
            _check_one(service, address, span, taken, cluster_ips, report)
            network, other, at = networks.setdefault(address, (service.network, service, span))
            if network.name != service.network.name:
                message = (
                    f"external address {address} is one of {network_words(service.network)} here, and one of "
                    f"{network_words(network)} of service '{other.key}'"
                )
                related = (Related(message="the other one", span=at),)
                report.add(codes.EXTERNAL_IN_TWO_NETWORKS, span, message, related=related)
    _check_ways_in(services, devices, report)


def network_words(network: Network) -> str:
    return "no network" if network.id == OUTSIDE.id else f"network '{network.name}'"


def _check_one(
    service: Service,
    address: Address,
    span: Span,
    taken: Mapping[Address, str],
    cluster_ips: Mapping[tuple[str, Address], Service],
    report: Report,
) -> None:
    network = service.network
    block = next((cidr for cidr in network.cidrs if address in cidr), None)
    holder = cluster_ips.get((network.name, address)) or cluster_ips.get((DEFAULT_NETWORK, address))
    if address in taken:
        message = f"external address {address} is {taken[address]}"
        report.add(codes.EXTERNAL_TAKEN, span, message, expected="an address that nobody has")
    elif holder is not None:
        message = f"external address {address} is the cluster IP of service '{holder.key}'"
        related = (Related(message="the service", span=holder.span),)
        report.add(codes.EXTERNAL_TAKEN, span, message, related=related)
    elif block is not None:
        message = f"external address {address} is inside {block} of its own network '{network.name}'"
        report.add(codes.EXTERNAL_TAKEN, span, message, expected="an address outside of the network's prefixes")


def _taken(nodes: Iterable[Node], devices: Iterable[Device]) -> dict[Address, str]:
    found: dict[Address, str] = {}
    for node in nodes:
        found |= dict.fromkeys(node.addresses, f"the address of node '{node.name}'")
    for device in devices:
        if device.underlay is not None:
            found[device.underlay.address.ip] = f"the underlay address of device '{device.name}'"
            if device.underlay.gateway is not None:
                found[device.underlay.gateway] = f"the underlay gateway of device '{device.name}'"
    return found


def _check_ways_in(services: Iterable[Service], devices: Iterable[Device], report: Report) -> None:
    """Warn of services whose network no device lets clients outside into."""
    entered = {
        port.workload.network.name
        for device in devices
        if device.lets_in
        for port in device.ports
        if port.workload is not None
    }
    for service in (service for service in services if not service.is_across):
        spans = (*service.external_spans, *(port.node_port_span for port in service.node_ports))
        if spans and service.network.name not in entered:
            message = (
                f"clients outside do not reach service '{service.key}': no device with a workload of network "
                f"'{service.network.name}' has an uplink and an underlay with 'gatewayMac'"
            )
            report.add(codes.NO_WAY_IN, spans[0], message)
