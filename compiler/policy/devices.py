"""Devices: ports and what they lead to, the underlay, and whether workloads can be reached through them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from compiler.diagnostic import Related, Report
from compiler.policy import codes, kinds
from compiler.policy.located import Located
from compiler.policy.policyset import Address, Device, Node, Port, PortType, Profile, Underlay, Workload, WorkloadType
from compiler.policy.references import Claims, Directory, check_annotations, qualified

ENCAPSULATION_BYTES: Final = 50
"""What VXLAN over IPv4 adds to a packet: 20 IPv4, 8 UDP, 8 VXLAN, 14 inner Ethernet (RFC 7348 section 5)."""

DeviceObjects = Mapping[str, Located[kinds.Device]]


@dataclass(frozen=True, slots=True)
class _Claimed:
    """What only one device or port may have."""

    underlay_addresses: Claims
    underlay_macs: Claims
    servers: Claims
    workloads: Claims


def resolve_devices(
    objects: DeviceObjects, nodes: Directory[Node], workloads: Directory[Workload], report: Report
) -> dict[str, Device]:
    claimed = _Claimed(Claims(report), Claims(report), Claims(report), Claims(report))
    devices: dict[str, Device] = {}
    for name, located in objects.items():
        spec = located.model.spec
        check_annotations(located, located.model.metadata.annotations, (), report)
        node = nodes.find(spec.node, located.at("spec", "node"), report)
        underlay = _underlay(located, claimed, report)
        ports = _ports(located, underlay, workloads, claimed, report)
        address = spec.address or f"unix:/run/turnout/{name}.sock"
        message = f"device {spec.device_id} at {address} is defined twice"
        span = located.at("spec", "address") if spec.address else located.span
        server = (address, spec.device_id)
        claimed.servers.claim(server, f"device '{name}'", span, codes.DUPLICATE_DEVICE_ADDRESS, message)
        if node is None:
            continue
        _check_nodes(located, node, ports, report)
        devices[name] = Device(
            name=name,
            node=node,
            profile=Profile(spec.profile),
            address=address,
            device_id=spec.device_id,
            underlay=underlay,
            ports=tuple(sorted(ports, key=lambda port: port.id)),
            gateway_addresses=_gateway_addresses(located, underlay, report),
            labels=tuple(sorted(located.model.metadata.labels.items())),
            span=located.span,
        )
    return devices


def _gateway_addresses(
    located: Located[kinds.Device], underlay: Underlay | None, report: Report
) -> tuple[Address, ...]:
    """Those of a device that lets clients outside in; at most one per family."""
    spec = located.model.spec
    versions: set[int] = set()
    for index, address in enumerate(spec.gateway_addresses):
        span = located.at("spec", "gatewayAddresses", index)
        if address.version in versions:
            message = f"two gateway addresses of IPv{address.version}"
            report.add(codes.CONFLICTING_FIELDS, span, message, expected="at most one address per family")
        versions.add(address.version)
    has_uplink = any(port.type == "uplink" for port in spec.ports)
    if spec.gateway_addresses and (underlay is None or underlay.gateway_mac is None or not has_uplink):
        message = f"device '{located.model.metadata.name}' has gateway addresses, and no way to clients outside"
        expected = "a port of type uplink, and 'gatewayMac' in 'underlay'"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "gatewayAddresses"), message, expected=expected)
    return tuple(sorted(spec.gateway_addresses, key=lambda address: address.version))


def _underlay(located: Located[kinds.Device], claimed: _Claimed, report: Report) -> Underlay | None:
    spec = located.model.spec.underlay
    if spec is None:
        return None
    holder = f"device '{located.model.metadata.name}'"
    path = ("spec", "underlay")
    message = f"underlay address {spec.address.ip} is used twice"
    span = located.at(*path, "address")
    claimed.underlay_addresses.claim(spec.address.ip, holder, span, codes.DUPLICATE_UNDERLAY, message)
    message = f"underlay MAC {spec.mac} is used twice"
    claimed.underlay_macs.claim(spec.mac, holder, located.at(*path, "mac"), codes.DUPLICATE_UNDERLAY, message)
    if spec.gateway_mac is not None and spec.gateway is None:
        message = "'gatewayMac' without 'gateway' does nothing"
        report.add(codes.CONFLICTING_FIELDS, located.key(*path, "gatewayMac"), message, expected="both, or none")
    return Underlay(
        address=spec.address,
        mac=spec.mac,
        gateway=_underlay_gateway(located, spec, report),
        gateway_mac=spec.gateway_mac,
        mtu=spec.mtu,
    )


def _underlay_gateway(located: Located[kinds.Device], spec: kinds.UnderlaySpec, report: Report) -> IPv4Address | None:
    span = located.at("spec", "underlay", "gateway")
    match spec.gateway:
        case None:
            return None
        case IPv4Address() as gateway:
            if gateway not in spec.address.network:
                expected = f"an address inside {spec.address.network}"
                message = f"underlay gateway {gateway} is outside of the underlay"
                report.add(codes.ADDRESS_OUTSIDE, span, message, expected=expected)
            elif gateway == spec.address.ip:
                report.add(codes.UNUSABLE_ADDRESS, span, f"{gateway} is the device's own underlay address")
            return gateway
        case gateway:
            message = f"{gateway} is IPv6: an IPv6 underlay is not supported yet"
            report.add(codes.NOT_SUPPORTED, span, message, expected="an IPv4 address")
            return None


def _ports(
    located: Located[kinds.Device],
    underlay: Underlay | None,
    workloads: Directory[Workload],
    claimed: _Claimed,
    report: Report,
) -> list[Port]:
    ids, names = Claims(report), Claims(report)
    device = located.model.metadata.name
    ports: list[Port] = []
    for index, spec in enumerate(located.model.spec.ports):
        path = ("spec", "ports", index)
        holder, message = f"port '{spec.name}'", f"port id {spec.id} is used twice on device '{device}'"
        ids.claim(spec.id, holder, located.at(*path, "id"), codes.DUPLICATE_PORT, message)
        holder, message = f"port {spec.id}", f"port name '{spec.name}' is used twice on device '{device}'"
        names.claim(spec.name, holder, located.at(*path, "name"), codes.DUPLICATE_PORT, message)
        workload = _port_workload(located, index, workloads, claimed, report)
        if workload is None and spec.type == "workload":
            continue
        ports.append(
            Port(
                id=spec.id,
                name=spec.name,
                type=PortType(spec.type),
                workload=workload,
                vlan=spec.vlan,
                mtu=spec.mtu or _default_mtu(workload, underlay),
                span=located.at(*path, "name"),
            )
        )
    return ports


def _default_mtu(workload: Workload | None, underlay: Underlay | None) -> int:
    if workload is not None:
        return workload.network.mtu
    return 1500 if underlay is None else underlay.mtu


def _port_workload(
    located: Located[kinds.Device], index: int, workloads: Directory[Workload], claimed: _Claimed, report: Report
) -> Workload | None:
    spec = located.model.spec.ports[index]
    path = ("spec", "ports", index)
    if spec.type == "uplink":
        if spec.workload is not None:
            message = "an uplink leads to no workload"
            span = located.key(*path, "workload")
            report.add(codes.CONFLICTING_FIELDS, span, message, expected="'workload' only for type workload")
        return None
    if spec.workload is None:
        message = f"port '{spec.name}' has no 'workload', which type workload needs"
        report.add(codes.MISSING_FIELD, located.at(*path), message, expected="'workload': name, or namespace/name")
        return None
    span = located.at(*path, "workload")
    workload = workloads.find(qualified(spec.workload), span, report)
    if workload is not None:
        holder = f"port '{spec.name}' of device '{located.model.metadata.name}'"
        message = f"workload '{workload.key}' is on two ports"
        claimed.workloads.claim(workload.key, holder, span, codes.WORKLOAD_ON_TWO_PORTS, message)
    return workload


def _check_nodes(located: Located[kinds.Device], node: Node, ports: list[Port], report: Report) -> None:
    """A port leads only to workloads of the device's own node, or to bare addresses of this very device."""
    device = located.model.metadata.name
    for port in ports:
        workload = port.workload
        if workload is None:
            continue
        if workload.type is WorkloadType.ADDRESS:
            is_wrong, place = workload.device != device, f"device '{workload.device}'"
            place = "no device" if workload.device is None else place
        else:
            is_wrong = workload.node is not None and workload.node.name != node.name
            place = f"node '{workload.node.name}'" if workload.node else ""
        if is_wrong:
            report.add(
                codes.WRONG_NODE,
                port.span,
                f"port '{port.name}' of device '{device}' on node '{node.name}' leads to workload '{workload.key}', "
                f"which is on {place}",
                related=(Related(message="the workload", span=workload.span),),
            )


def check_reachability(devices: Iterable[Device], workloads: Iterable[Workload], report: Report) -> None:
    """Warn of workloads that no packet can reach."""
    names = {device.name: device for device in devices}
    nodes = {device.node.name for device in names.values()}
    on_ports = {port.workload.key for d in names.values() for port in d.ports if port.workload is not None}
    for workload in workloads:
        if workload.key in on_ports:
            continue
        if workload.node is not None and workload.node.name not in nodes:
            message = f"node '{workload.node.name}' of workload '{workload.key}' has no device"
            report.add(codes.NO_DEVICE, workload.span, message, hint="define a Device with this node")
        elif workload.node is not None:
            message = f"no port leads to workload '{workload.key}' on node '{workload.node.name}'"
            hint = "add a port of type workload to the node's device"
            report.add(codes.NO_PORT, workload.span, message, hint=hint)
        elif workload.device in names and not names[workload.device].uplinks:
            message = f"device '{workload.device}' has neither a port to '{workload.key}' nor an uplink"
            report.add(codes.NO_PORT, workload.span, message)


def check_underlay(devices: Iterable[Device], report: Report) -> None:
    """Warn of devices that cannot exchange encapsulated packets with the others."""
    ordered = list(devices)
    if len(ordered) < 2:
        return
    subnets = {device.underlay.address.network for device in ordered if device.underlay is not None}
    for device in ordered:
        problem = _underlay_problem(device, len(subnets))
        if problem is not None:
            message = f"device '{device.name}' {problem}: it cannot exchange packets with other devices"
            report.add(codes.UNDERLAY_UNREACHABLE, device.span, message)


def _underlay_problem(device: Device, subnets: int) -> str | None:
    if device.underlay is None:
        return "has no underlay"
    if not device.uplinks:
        return "has no port of type uplink"
    if subnets > 1 and device.underlay.gateway is None:
        return "has no underlay gateway, and other devices are in other subnets"
    return None


def check_mtu(networks: Mapping[str, Located[kinds.Network]], devices: Iterable[Device], report: Report) -> None:
    """Warn of networks whose largest packet does not fit the underlay once encapsulated."""
    underlays = [(d.underlay.mtu, d.name) for d in devices if d.underlay is not None]
    if not underlays:
        return
    least, device = min(underlays)
    for name, located in networks.items():
        mtu = located.model.spec.mtu
        if mtu + ENCAPSULATION_BYTES > least:
            report.add(
                codes.MTU_TOO_LARGE,
                located.at("spec", "mtu"),
                f"packets of network '{name}' ({mtu} bytes) and {ENCAPSULATION_BYTES} bytes of encapsulation do not "
                f"fit the underlay of device '{device}' ({least} bytes)",
                hint=f"an mtu of at most {least - ENCAPSULATION_BYTES}, or a larger underlay mtu",
            )
