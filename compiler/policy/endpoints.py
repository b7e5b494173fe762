"""EndpointSlices: which endpoints of which service may get connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from compiler.diagnostic import Report, did_you_mean
from compiler.policy import codes
from compiler.policy.distribution import NO_HINTS, Hints
from compiler.policy.kubernetes import Endpoint, EndpointSlice
from compiler.policy.located import Located
from compiler.policy.policyset import Address
from compiler.policy.references import Claims, check_annotations, object_name
from compiler.policy.scalar import shortened
from compiler.span import Span

SERVICE_LABEL: Final = "kubernetes.io/service-name"

SliceObject = Located[EndpointSlice]


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    address: Address
    is_ready: bool
    is_serving_while_terminating: bool
    node: str
    span: Span
    hints: Hints = NO_HINTS
    """Of one that is ready."""


@dataclass(frozen=True, slots=True)
class SlicePort:
    """One port of one slice with its endpoints, all of the family `version`."""

    name: str
    protocol: str
    port: int
    version: int
    endpoints: tuple[SliceEndpoint, ...]


@dataclass(slots=True)
class Endpoints:
    """The slices of services by "namespace/service"; of those that are remembered, ports when they are asked for."""

    report: Report
    _slices: dict[str, list[SliceObject]] = field(default_factory=lambda: {})
    _ports: dict[str, list[SlicePort]] = field(default_factory=lambda: {})
    """Of the slices that are not remembered, by their names."""

    def add(self, service: str, located: SliceObject) -> None:
        self._slices.setdefault(service, []).append(located)
        if not located.known_name:
            self._ports[object_name(located.model.metadata)] = _slice_ports(located, self.report)

    def slices(self, service: str) -> Sequence[SliceObject]:
        return self._slices.get(service, ())

    def of(self, service: str) -> tuple[SlicePort, ...]:
        """With endpoints in any state (see `usable`)."""
        return tuple(port for located in self.slices(service) for port in self._ports_of(located))

    def _ports_of(self, located: SliceObject) -> list[SlicePort]:
        if located.known_name:
            return _slice_ports(located, self.report)
        return self._ports[object_name(located.model.metadata)]


def collect_endpoints(
    slices: Iterable[SliceObject],
    services: Mapping[str, object],
    refused: frozenset[str],
    report: Report,
    keep: Callable[[SliceObject], None],
) -> Endpoints:
    """All slices. One whose service is not there is warned of; `keep` hears of those that nothing had to be said of."""
    found = Endpoints(report)
    for located in slices:
        if located.known_service in services:
            found.add(located.known_service, located)
            keep(located)
            continue
        before = report.count
        metadata = located.model.metadata
        check_annotations(located, metadata.annotations, (), report)
        service = metadata.labels.get(SERVICE_LABEL)
        if service is None:
            message = f"EndpointSlice '{metadata.namespace}/{metadata.name}' belongs to no service"
            report.add(codes.ORPHAN_SLICE, located.span, message, expected=f"the label {SERVICE_LABEL}")
            continue
        key = f"{metadata.namespace}/{service}"
        if key not in services and service not in refused:
            span = located.at("metadata", "labels", SERVICE_LABEL)
            hint = did_you_mean(key, services)
            report.add(codes.ORPHAN_SLICE, span, f"Service '{shortened(key)}' is not defined", hint=hint)
        found.add(key, located)
        if report.count == before:
            keep(located)
    return found


def _slice_ports(located: SliceObject, report: Report) -> list[SlicePort]:
    model = located.model
    if model.address_type == "FQDN":
        message = "addressType FQDN is not supported: its endpoints get no connections"
        report.add(codes.IGNORED_FIELD, located.at("addressType"), message, hint="IPv4 or IPv6")
        return []
    version = 4 if model.address_type == "IPv4" else 6
    endpoints = tuple(_endpoints(located, version, report))
    ports: list[SlicePort] = []
    names = Claims(report)
    for index, port in enumerate(model.ports):
        span = located.at("ports", index)
        if port.port is None:
            message = "a port without a number (all ports) is not supported: it gets no connections"
            report.add(codes.IGNORED_FIELD, span, message)
            continue
        message = f"port name '{port.name}' is used twice"
        names.claim(port.name, f"port {port.port}", span, codes.DUPLICATE_PORT, message)
        ports.append(SlicePort(port.name, port.protocol, port.port, version, endpoints))
    return ports


def _endpoints(located: SliceObject, version: int, report: Report) -> Iterable[SliceEndpoint]:
    for index, endpoint in enumerate(located.model.endpoints):
        # All addresses of an endpoint are the same backend, and consumers use the first (discovery/v1 Endpoint).
        if not endpoint.addresses:
            message = "an endpoint has no address"
            report.add(codes.MISSING_FIELD, located.at("endpoints", index), message, expected="one address")
            continue
        span = located.at("endpoints", index, "addresses", 0)
        address = _address(endpoint.addresses[0], version, span, report)
        if address is not None:
            ends = _is_serving_while_terminating(endpoint)
            is_ready = _is_ready(endpoint)
            hints = _hints(endpoint) if is_ready else NO_HINTS
            yield SliceEndpoint(address, is_ready, ends, endpoint.node_name, span, hints)


def _address(text: str, version: int, span: Span, report: Report) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address is None or address.version != version:
        message = f"'{shortened(text)}' is not an IPv{version} address"
        report.add(codes.INVALID_VALUE, span, message, expected=f"an IPv{version} address, as addressType says")
        return None
    return address


def _hints(endpoint: Endpoint) -> Hints:
    if endpoint.hints is None:
        return NO_HINTS
    nodes, zones = endpoint.hints.for_nodes, endpoint.hints.for_zones
    return Hints(nodes=tuple(node.name for node in nodes), zones=tuple(zone.name for zone in zones))


def _is_ready(endpoint: Endpoint) -> bool:
    return endpoint.conditions.ready is not False


def _is_serving_while_terminating(endpoint: Endpoint) -> bool:
    conditions = endpoint.conditions
    return conditions.terminating is True and conditions.serving is not False


def usable(ports: tuple[SlicePort, ...], *, by_node: bool) -> tuple[SlicePort, ...]:
    """Ready endpoints; for a port and family without any, those that still serve while they end, as kube-proxy does.

    `by_node`: each node for itself, since its clients get nothing of the others.
    """

    def place(port: SlicePort, endpoint: SliceEndpoint) -> tuple[str, str, int, str]:
        return port.name, port.protocol, port.version, endpoint.node if by_node else ""

    has_ready = {place(port, endpoint) for port in ports for endpoint in port.endpoints if endpoint.is_ready}
    chosen: list[SlicePort] = []
    for port in ports:
        endpoints = tuple(
            e for e in port.endpoints if (e.is_ready if place(port, e) in has_ready else e.is_serving_while_terminating)
        )
        chosen.append(SlicePort(port.name, port.protocol, port.port, port.version, endpoints))
    return tuple(chosen)
