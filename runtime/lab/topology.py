"""What a lab consists of, derived from policies: plain values, no effects.

Each node is a host namespace; each of its devices a DPU namespace; each workload with a port a namespace of its own,
whose `eth0` is the VF (for bare metal, the cable) and whose other end is the port's representor in the DPU. Uplinks
end in bridges, one a subnet, in the underlay namespace, which also plays the router between subnets.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, ip_interface

from compiler.policy.policyset import (
    Address,
    Device,
    Node,
    PolicySet,
    Port,
    PortType,
    Profile,
    Redirect,
    Underlay,
    Workload,
    WorkloadType,
)
from runtime.lab.errors import LabError
from runtime.lab.names import check_lab_name, interface_name, namespace_name

InterfaceAddress = IPv4Interface | IPv6Interface
HttpPorts = dict[str, tuple[int, ...]]
"""By network."""
Loopbacks = dict[str, tuple[Address, ...]]
"""By the key of a workload."""
TARGET_OF_PROFILE = {Profile.EBPF: "kernel", Profile.MODEL: "model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabNode:
    name: str
    namespace: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabProxy:
    """`http_ports` are those that some policy of its network has the proxy take for HTTP."""

    http_ports: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabWorkload:
    """`key` is "namespace/name". `vlan` 0 is untagged. `serve` holds pairs of server and port; `proxy` says that it is
    the proxy of its network. At `loopbacks` it is called as well: those of services that it answers for by itself."""

    key: str
    namespace: str
    addresses: tuple[InterfaceAddress, ...]
    gateways: tuple[Address, ...]
    mac: str
    mtu: int
    vlan: int
    serve: tuple[tuple[str, int], ...]
    proxy: LabProxy | None = None
    loopbacks: tuple[Address, ...] = ()

    @property
    def is_serving(self) -> bool:
        """Whether a process belongs to it."""
        return bool(self.serve) or self.proxy is not None

    @property
    def interface(self) -> str:
        """The interface that carries the addresses."""
        return f"eth0.{self.vlan}" if self.vlan else "eth0"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPort:
    """`workload` is None for an uplink."""

    id: int
    interface: str
    mtu: int
    workload: LabWorkload | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabUnderlay:
    address: IPv4Interface
    mac: str
    gateway: IPv4Address | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabDevice:
    """`listen` is the address of the P4Runtime server, `bridge` where the uplinks end. The first uplink has the
    underlay's address and MAC. `host_addresses` are its node's: what no policy concerns goes on to the kernel that has
    them, which without a card of its own is the host's."""

    name: str
    node: str
    host_addresses: tuple[Address, ...] = ()
    namespace: str
    listen: str
    device_id: int
    target: str
    ports: tuple[LabPort, ...]
    underlay: LabUnderlay | None
    bridge: str

    @property
    def uplinks(self) -> tuple[LabPort, ...]:
        return tuple(port for port in self.ports if port.workload is None)

    @property
    def socket(self) -> str | None:
        """The path of a server that listens on a unix socket."""
        return self.listen.removeprefix("unix:") if self.listen.startswith("unix:") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """One subnet of the underlay. `gateways` are the router's addresses in it, `mac` the router's, None for any."""

    name: str
    gateways: tuple[IPv4Interface, ...]
    mac: str | None
    mtu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All of a lab. Workloads that no port leads to are left out."""

    lab: str
    underlay: str
    nodes: tuple[LabNode, ...]
    devices: tuple[LabDevice, ...]
    workloads: tuple[LabWorkload, ...]
    bridges: tuple[Bridge, ...]

    @property
    def namespaces(self) -> tuple[str, ...]:
        members = (*self.nodes, *self.devices, *self.workloads)
        return (self.underlay, *(member.namespace for member in members))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What other policies say of workloads."""

    http_ports: HttpPorts
    loopbacks: Loopbacks


def topology_of(policies: PolicySet, lab: str) -> Topology:
    """Lay out a lab. Raises `LabError` for a bad name and for what namespaces cannot play."""
    check_lab_name(lab)
    subnets = _subnets(policies.devices)
    said = _Said(http_ports=_http_ports(policies.redirects), loopbacks=_loopbacks(policies))
    devices = tuple(_device(lab, device, subnets, said) for device in policies.devices)
    _refuse_shared_servers(policies.devices)
    workloads = [port.workload for device in devices for port in device.ports if port.workload is not None]
    return Topology(
        lab=lab,
        underlay=namespace_name(lab, "underlay"),
        nodes=tuple(_node(lab, node) for node in policies.nodes),
        devices=devices,
        workloads=tuple(sorted(workloads, key=lambda workload: workload.key)),
        bridges=tuple(_bridge(subnet, name, policies.devices) for subnet, name in subnets.items()),
    )


def _node(lab: str, node: Node) -> LabNode:
    return LabNode(name=node.name, namespace=namespace_name(lab, "node", node.name), addresses=node.addresses)


def _http_ports(redirects: tuple[Redirect, ...]) -> HttpPorts:
    names = {redirect.network.name for redirect in redirects}
    return {
        name: tuple(sorted({port for r in redirects if r.network.name == name for port in r.http_ports}))
        for name in names
    }


def _loopbacks(policies: PolicySet) -> Loopbacks:
    """The addresses of services that their backends have themselves (serverReturn Direct)."""
    found: dict[str, dict[Address, None]] = {}
    for service in policies.services:
        backends = (b for port in service.ports for b in (*port.backends, *(port.outside or ())))
        for key in {b.workload.key for b in backends if b.workload is not None}:
            found.setdefault(key, {}).update((a, None) for a in service.externals if service.is_direct(a))
    return {key: tuple(addresses) for key, addresses in found.items()}


def _workload(lab: str, workload: Workload, port: Port, said: _Said) -> LabWorkload:
    is_proxy = workload.type is WorkloadType.PROXY
    return LabWorkload(
        key=workload.key,
        namespace=namespace_name(lab, "workload", workload.namespace, workload.name),
        addresses=tuple(_interface_address(workload, address) for address in workload.addresses),
        gateways=tuple(g for g in workload.network.gateways if workload.address(g.version) is not None),
        mac=workload.mac,
        mtu=port.mtu,
        vlan=port.vlan,
        serve=workload.lab_serve,
        proxy=LabProxy(http_ports=said.http_ports.get(workload.network.name, ())) if is_proxy else None,
        loopbacks=said.loopbacks.get(workload.key, ()),
    )


def _interface_address(workload: Workload, address: Address) -> InterfaceAddress:
    """With the length of the network's prefix that holds it, else that of a single host."""
    lengths = [cidr.prefixlen for cidr in workload.network.cidrs if address in cidr]
    return ip_interface(f"{address}/{max(lengths, default=address.max_prefixlen)}")


def _refuse_shared_servers(devices: tuple[Device, ...]) -> None:
    """A policy may have one server for several devices; in the lab each has its own namespace and process."""
    by_address: dict[str, Device] = {}
    for device in devices:
        other = by_address.setdefault(device.address, device)
        if other is not device:
            message = f"{device.span}: device '{device.name}' has the same address as '{other.name}': {device.address}"
            raise LabError(message, hint="in the lab each device runs a server of its own")


def _subnets(devices: tuple[Device, ...]) -> dict[IPv4Network | None, str]:
    """The bridge of each subnet; None stands for devices without an underlay."""
    found = {_subnet(device.underlay) for device in devices if device.uplinks}
    ordered = sorted(found, key=lambda subnet: (subnet is None, str(subnet)))
    return {subnet: f"underlay{index}" for index, subnet in enumerate(ordered)}


def _subnet(underlay: Underlay | None) -> IPv4Network | None:
    return None if underlay is None else underlay.address.network


def _device(lab: str, device: Device, subnets: dict[IPv4Network | None, str], said: _Said) -> LabDevice:
    target = TARGET_OF_PROFILE.get(device.profile)
    if target is None:
        raise LabError(
            f"{device.span}: device '{device.name}' has profile {device.profile.value}, which the lab cannot run",
            hint=f"profiles that it runs: {', '.join(sorted(profile.value for profile in TARGET_OF_PROFILE))}",
        )
    underlay = device.underlay
    return LabDevice(
        name=device.name,
        node=device.node.name,
        host_addresses=device.node.addresses,
        namespace=namespace_name(lab, "device", device.name),
        listen=device.address,
        device_id=device.device_id,
        target=target,
        ports=tuple(_port(lab, port, said) for port in device.ports),
        underlay=None
        if underlay is None
        else LabUnderlay(address=underlay.address, mac=underlay.mac, gateway=underlay.gateway),
        bridge=subnets.get(_subnet(underlay), ""),
    )


def _port(lab: str, port: Port, said: _Said) -> LabPort:
    match port.type:
        case PortType.UPLINK:
            workload = None
        case PortType.WORKLOAD:
            workload = None if port.workload is None else _workload(lab, port.workload, port, said)
    return LabPort(id=port.id, interface=interface_name(port.name), mtu=port.mtu, workload=workload)


def _bridge(subnet: IPv4Network | None, name: str, devices: tuple[Device, ...]) -> Bridge:
    """The subnet's bridge with the gateways that its devices name, less those that are a device themselves."""
    mine = [device for device in devices if device.uplinks and _subnet(device.underlay) == subnet]
    underlays = [device.underlay for device in mine if device.underlay is not None]
    own = {underlay.address.ip for underlay in underlays}
    routers = {(u.gateway, u.gateway_mac) for u in underlays if u.gateway is not None and u.gateway not in own}
    macs = sorted({mac for _, mac in routers if mac is not None})
    if len(macs) > 1:
        raise LabError(
            f"the devices of underlay {subnet} name different MACs of their gateways: {', '.join(macs)}",
            hint="the lab's router has one MAC in each subnet",
        )
    length = 32 if subnet is None else subnet.prefixlen
    gateways = sorted({IPv4Interface((gateway, length)) for gateway, _ in routers})
    mtu = max((port.mtu for device in mine for port in device.uplinks), default=1500)
    return Bridge(name=name, gateways=tuple(gateways), mac=macs[0] if macs else None, mtu=mtu)
