"""Ports of services at the addresses of nodes: what their fields must not say, and what is in their way.

A node port belongs to the whole cluster, as in Kubernetes: one number and protocol is one service's. Packets to it come
in as those to an external address do, but for a network that is found by the address of the device: so the services of
one network alone, or those without a network alone, may have node ports at a device, and that address is nobody's
inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Final

from compiler.diagnostic import Related, Report
from compiler.policy import codes, kinds
from compiler.policy.externals import network_words
from compiler.policy.kubernetes import KubernetesService
from compiler.policy.located import Located
from compiler.policy.policyset import Address, Device, Protocol, Service, ServicePort, Workload
from compiler.policy.references import Claims, object_name

EPHEMERAL: Final = range(32_768, 61_000)
"""From which Linux takes the ports of a host's own connections (ip(7), ip_local_port_range, the default)."""

VXLAN_PORT: Final = 4789
"""Of UDP, where tunnels of devices end (RFC 7348, section 8)."""

Offered = tuple[Service, ServicePort]


def check_written(located: Located[kinds.DpuService], report: Report) -> None:
    """Node ports of a DpuService: with type NodePort each port has one, with LoadBalancer it may, else it must not."""
    spec = located.model.spec
    for index, port in enumerate(spec.ports):
        if port.node_port is None and port.end_port is None and spec.type == "NodePort":
            message = f"port {port.port}/{port.protocol} of type NodePort has no node port"
            report.add(codes.MISSING_FIELD, located.at("spec", "ports", index), message, expected="'nodePort'")
        if port.node_port is not None and spec.type == "ClusterIP":
            _without_type(located, index, report)


def check_assigned(located: Located[KubernetesService], report: Report) -> None:
    """Node ports of a Kubernetes Service. What the API server refuses is refused (`ValidateService` of core/v1).

    A port without a number may have got one from the API server, which a file cannot know.
    """
    spec = located.model.spec
    if spec.type in ("NodePort", "LoadBalancer") and (spec.cluster_ip == "None" or "None" in spec.cluster_ips):
        message = f"a service of type {spec.type} cannot be headless"
        span = located.at("spec", "clusterIP" if spec.cluster_ip else "clusterIPs")
        report.add(codes.CONFLICTING_FIELDS, span, message, expected="an address, or type ClusterIP")
    if spec.type == "ClusterIP":
        for index in (index for index, port in enumerate(spec.ports) if port.node_port):
            _without_type(located, index, report)
    allocates = spec.type == "NodePort" or (spec.type == "LoadBalancer" and spec.allocate_load_balancer_node_ports)
    missing = [f"{port.port}/{port.protocol}" for port in spec.ports if allocates and not port.node_port]
    if missing:
        key, which = object_name(located.model.metadata), ", ".join(missing)
        message = f"service '{key}' of type {spec.type} has no node port for {which}: it is not served at nodes there"
        hint = "the API server assigns it: read the object back with kubectl get, or write 'nodePort'"
        report.add(codes.NO_NODE_PORT, located.at("spec", "type"), message, hint=hint)


def _without_type(located: Located[kinds.DpuService] | Located[KubernetesService], index: int, report: Report) -> None:
    span = located.key("spec", "ports", index, "nodePort")
    expected = "type NodePort or LoadBalancer, or no node port"
    report.add(codes.CONFLICTING_FIELDS, span, "nodePort with type ClusterIP does nothing", expected=expected)


def check_node_ports(
    services: Iterable[Service], devices: Iterable[Device], workloads: Iterable[Workload], report: Report
) -> None:
    """A node port is one service's, none that hosts and devices need, and of the one network that its address is of."""
    devices, services = list(devices), list(services)
    offered = [(service, port) for service in services for port in service.node_ports]
    if not offered:
        return
    _check_clashes(offered, report)
    for service, port in offered:
        _check_taken(service, port, devices, report)
    _check_hosts(services, devices, list(workloads), report)
    _check_chains(services, offered, devices, report)


def _check_clashes(offered: Iterable[Offered], report: Report) -> None:
    claims = Claims(report)
    for service, port in offered:
        message = f"node port {port.node_port}/{port.protocol} is served twice"
        place = (port.protocol, port.node_port)
        claims.claim(place, f"{service.kind} '{service.key}'", port.node_port_span, codes.SERVICE_CLASH, message)


def _check_taken(service: Service, port: ServicePort, devices: Sequence[Device], report: Report) -> None:
    number = port.node_port
    where = f"node port {number}/{port.protocol} of service '{service.key}'"
    if (port.protocol, number) == (Protocol.UDP, VXLAN_PORT):
        message = f"{where} is the port of tunnels (VXLAN)"
        report.add(codes.NODE_PORT_TAKEN, port.node_port_span, message, expected="another port")
        return
    server = next((d for d in devices if port.protocol is Protocol.TCP and number == _server_port(d)), None)
    if server is not None:
        message = f"{where} is the one that device '{server.name}' listens at ({server.address})"
        related = (Related(message="the device", span=server.span),)
        report.add(codes.NODE_PORT_TAKEN, port.node_port_span, message, expected="another port", related=related)
    if number in EPHEMERAL:
        message = (
            f"{where} may be one that hosts pick for connections of their own, whose answers the service then gets"
        )
        hint = f"net.ipv4.ip_local_reserved_ports of each node has to hold {number}, or take one of 30000 to 32767"
        report.add(codes.PICKED_PORT, port.node_port_span, message, hint=hint)


def _server_port(device: Device) -> int | None:
    """Where its P4Runtime server listens, if that is an address of its host or all of them."""
    host, separator, port = device.address.rpartition(":")
    if device.address.startswith("unix:") or not separator or not port.isdecimal():
        return None
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return None
    return int(port) if address.is_unspecified or address in device.host_addresses else None


def _check_hosts(
    services: Sequence[Service], devices: Iterable[Device], workloads: Sequence[Workload], report: Report
) -> None:
    """The address of a device leads into one network, where nobody else has it."""
    told: set[tuple[str, object]] = set()
    for device in devices:
        first: Offered | None = None
        for service, port in _at(services, device):
            first = first or (service, port)
            if service.network.name != first[0].network.name:
                if ("network", service.key) not in told:
                    told.add(("network", service.key))
                    _in_two_networks(device, (service, port), first, report)
                continue
            for address in device.host_addresses:
                holder = _holder(service, address, workloads)
                if holder and (service.network.name, address) not in told:
                    told.add((service.network.name, address))
                    message = f"address {address} of device '{device.name}', where node ports are called, is {holder}"
                    report.add(codes.EXTERNAL_TAKEN, port.node_port_span, message, expected="no node ports there")


def _at(services: Iterable[Service], device: Device) -> Iterator[Offered]:
    """The services that are called at the addresses of a device, each with its first node port."""
    if not device.lets_in:
        return
    served = {port.workload.network.name for port in device.ports if port.workload is not None}
    for service in services:
        is_at = bool(service.node_fronts(device)) if service.is_across else service.network.name in served
        if service.node_ports and is_at:
            yield service, service.node_ports[0]


def _in_two_networks(device: Device, here: Offered, first: Offered, report: Report) -> None:
    service, port = here
    message = (
        f"device '{device.name}' has node ports of {network_words(service.network)} here, and of "
        f"{network_words(first[0].network)} of service '{first[0].key}'"
    )
    related = (Related(message="the other one", span=first[1].node_port_span),)
    report.add(codes.EXTERNAL_IN_TWO_NETWORKS, port.node_port_span, message, related=related)


def _holder(service: Service, address: Address, workloads: Iterable[Workload]) -> str:
    """Who has an address in the network of a service, empty when nobody has."""
    network = service.network
    block = next((cidr for cidr in network.cidrs if address in cidr), None)
    if block is not None:
        return f"inside {block} of network '{network.name}'"
    there = (w.key for w in workloads if w.network.name == network.name and address in w.addresses)
    key = next(there, None)
    return f"that of workload '{key}' of network '{network.name}'" if key else ""


def _check_chains(
    services: Iterable[Service], offered: Iterable[Offered], devices: Iterable[Device], report: Report
) -> None:
    """A backend must not be a node port itself: a packet passes the service table once."""
    addresses = {address for device in devices for address in device.host_addresses}
    numbers: Mapping[tuple[Protocol, int], Service] = {(p.protocol, p.node_port): s for s, p in offered}
    for service in services:
        for port in service.ports:
            for backend in port.backends:
                other = numbers.get((port.protocol, backend.port)) if backend.address in addresses else None
                if other is not None:
                    message = (
                        f"backend {backend.address} of '{service.key}' is the node port {backend.port} of '{other.key}'"
                    )
                    report.add(codes.CLUSTER_IP_TAKEN, backend.span, message)
