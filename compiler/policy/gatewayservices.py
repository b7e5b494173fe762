"""DpuServices without a network, and the devices that are their gateways (docs/services.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compiler.diagnostic import Related, Report
from compiler.policy import codes, kinds
from compiler.policy.located import Located
from compiler.policy.policyset import Address, Device, Network, Node, Service
from compiler.policy.references import Claims, object_name
from compiler.span import Span


def check_gateway_service(located: Located[kinds.DpuService], report: Report) -> None:
    """Whether a DpuService asks for what goes with a network, or without one."""
    spec = located.model.spec
    name = object_name(located.model.metadata)
    if spec.network is not None:
        if not spec.addresses:
            message = f"service '{name}' has no cluster IP"
            report.add(codes.MISSING_FIELD, located.at("spec"), message, expected="'addresses'")
        for index, backend in enumerate(spec.backends):
            if backend.network is not None:
                message = f"a backend of a service of network '{spec.network}' is in that one"
                span = located.key("spec", "backends", index, "network")
                report.add(codes.CONFLICTING_FIELDS, span, message, hint="leave 'network' of the service out, or this")
        return
    if spec.type != "LoadBalancer":
        message = f"service '{name}' of type {spec.type} has no network"
        hint = "without a network clients outside alone call a service, at its externalAddresses"
        expected = "'network', or 'type: LoadBalancer'"
        report.add(codes.MISSING_FIELD, located.at("spec"), message, expected=expected, hint=hint)
    for path, what, is_there in (
        (("spec", "addresses"), "cluster IPs", bool(spec.addresses)),
        (("spec", "internalTrafficPolicy"), "internalTrafficPolicy", spec.internal_traffic_policy != "Cluster"),
        (("spec", "serverReturn"), "serverReturn Direct", spec.server_return == "Direct"),
    ):
        if is_there:
            message = f"service '{name}' has no network, and so cannot have {what}"
            report.add(codes.CONFLICTING_FIELDS, located.key(*path), message, expected="'network', or nothing of it")
    for index, backend in enumerate(spec.backends):
        if backend.network is not None and backend.workload is not None:
            message = "a workload is in its own network"
            span = located.key("spec", "backends", index, "network")
            report.add(codes.CONFLICTING_FIELDS, span, message, expected="'network' beside 'address' alone")


def check_gateways(
    services: Iterable[Service],
    devices: Iterable[Device],
    networks: Iterable[Network],
    nodes: Iterable[Node],
    report: Report,
) -> None:
    """Gateway addresses are nobody else's; and a service without a network has a gateway of each of its families."""
    services, devices = list(services), list(devices)
    taken = _taken(services, devices, nodes)
    claims = Claims(report)
    for device in devices:
        for address in device.gateway_addresses:
            message = f"gateway address {address} is used twice"
            claims.claim(address, f"device '{device.name}'", device.span, codes.DUPLICATE_ADDRESS, message)
            _check_address(device, address, networks, taken, report)
    for service in (service for service in services if service.is_across):
        for version in sorted({address.version for address in service.externals}):
            if any(device.gateway_address(version) is not None for device in devices):
                continue
            span = next(
                span
                for address, span in zip(service.externals, service.external_spans, strict=True)
                if address.version == version
            )
            message = (
                f"clients outside do not reach service '{service.key}': no device has 'gatewayAddresses' of "
                f"IPv{version}, which a service without a network needs"
            )
            report.add(codes.NO_WAY_IN, span, message)


def _taken(
    services: Iterable[Service], devices: Iterable[Device], nodes: Iterable[Node]
) -> Mapping[Address, tuple[str, Span]]:
    found: dict[Address, tuple[str, Span]] = {}
    for node in nodes:
        found |= dict.fromkeys(node.addresses, (f"an address of node '{node.name}'", node.span))
    for device in devices:
        if device.underlay is not None:
            found[device.underlay.address.ip] = f"the underlay address of device '{device.name}'", device.span
    for service in services:
        for address, span in zip(service.externals, service.external_spans, strict=True):
            found[address] = f"an external address of service '{service.key}'", span
    return found


def _check_address(
    device: Device,
    address: Address,
    networks: Iterable[Network],
    taken: Mapping[Address, tuple[str, Span]],
    report: Report,
) -> None:
    holder = next((network for network in networks if network.holds(address)), None)
    if holder is not None:
        message = (
            f"gateway address {address} of device '{device.name}' is inside network '{holder.name}', whose workloads "
            "would look for it on their own link"
        )
        related = (Related(message="the network", span=holder.span),)
        expected = "an address outside of all networks"
        report.add(codes.GATEWAY_ADDRESS_TAKEN, device.span, message, expected=expected, related=related)
    elif address in taken:
        what, span = taken[address]
        message = f"gateway address {address} of device '{device.name}' is {what}"
        related = (Related(message="that one", span=span),)
        report.add(codes.GATEWAY_ADDRESS_TAKEN, device.span, message, related=related)
    elif address.is_multicast or address.is_loopback or address.is_link_local or address.is_unspecified:
        message = f"gateway address {address} of device '{device.name}' is no unicast address that is routed"
        report.add(codes.UNUSABLE_ADDRESS, device.span, message)
