"""The iproute2 commands that make a topology: pure text, one command a line, run in batches by `building`.

First `creation` outside of all namespaces, then `configuration` inside each.
"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.lab.names import MANAGEMENT
from runtime.lab.topology import Bridge, LabDevice, LabNode, LabWorkload, Topology

DPU_SYSCTLS = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    # An address belongs to one interface: workloads learn nothing of the underlay.
    "net/ipv4/conf/all/arp_ignore": "1",
    "net/ipv4/conf/default/arp_ignore": "1",
    "net/ipv6/conf/all/forwarding": "0",
    "net/ipv6/conf/default/forwarding": "0",
    "net/ipv6/conf/default/addr_gen_mode": "1",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/accept_dad": "0",
}
"""Nothing but the pipeline forwards, and representors have no address, not even a link-local one."""

HOST_SYSCTLS = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/accept_dad": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/autoconf": "0",
    "net/ipv6/conf/default/router_solicitations": "0",
}
"""Workloads and hosts: addresses work at once, and only policies give them."""

LOOPBACK_SYSCTLS = {
    "net/ipv4/conf/all/arp_ignore": "1",
    "net/ipv4/conf/all/arp_announce": "2",
}
"""Of a workload that has the address of a service besides: on its links it neither answers nor asks by that."""

SWITCH_SYSCTLS = {
    "net/bridge/bridge-nf-call-iptables": "0",
    "net/bridge/bridge-nf-call-ip6tables": "0",
    "net/bridge/bridge-nf-call-arptables": "0",
}
"""Of a bridge that stands for a switch: what it passes on is no business of netfilter (br_netfilter)."""

UNDERLAY_SYSCTLS = SWITCH_SYSCTLS | {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/addr_gen_mode": "1",
}
"""The underlay's router forwards between its subnets."""


def sysctls(topology: Topology) -> Iterator[tuple[str, dict[str, str]]]:
    """Per namespace: what to set before an interface is made there."""
    yield topology.underlay, UNDERLAY_SYSCTLS
    for device in topology.devices:
        yield device.namespace, DPU_SYSCTLS
    for node in topology.nodes:
        yield node.namespace, HOST_SYSCTLS
    for workload in topology.workloads:
        yield workload.namespace, HOST_SYSCTLS | (LOOPBACK_SYSCTLS if workload.loopbacks else {})


def creation(topology: Topology) -> list[str]:
    """Commands that make every bridge and every veth pair with both ends where they belong."""
    lines = [_bridge_line(topology, bridge) for bridge in topology.bridges]
    for index, device in enumerate(topology.devices):
        lines.extend(_device_lines(topology, index, device))
    for node in topology.nodes:
        for index, device in enumerate(_devices_of(topology, node)):
            lines.append(
                f"link add name dpu{index} netns {node.namespace} type veth "
                f"peer name {MANAGEMENT} netns {device.namespace}"
            )
    return lines


def _bridge_line(topology: Topology, bridge: Bridge) -> str:
    mac = "" if bridge.mac is None else f"address {bridge.mac} "
    options = "stp_state 0 forward_delay 0 mcast_snooping 0"
    return f"link add name {bridge.name} netns {topology.underlay} {mac}mtu {bridge.mtu} type bridge {options}"


def _device_lines(topology: Topology, index: int, device: LabDevice) -> Iterator[str]:
    for port in device.ports:
        here = f"link add name {port.interface} netns {device.namespace}"
        if port.workload is not None:
            peer = f"name eth0 netns {port.workload.namespace} address {port.workload.mac}"
            yield f"{here} mtu {port.mtu} type veth peer {peer} mtu {port.mtu}"
        else:
            has_address = device.underlay is not None and port is device.uplinks[0]
            mac = f" address {device.underlay.mac}" if device.underlay is not None and has_address else ""
            peer = f"name {uplink_peer(index, port.id)} netns {topology.underlay}"
            yield f"{here}{mac} mtu {port.mtu} type veth peer {peer} mtu {port.mtu}"


def uplink_peer(device_index: int, port_id: int) -> str:
    """The bridge's end of an uplink."""
    return f"up{device_index}-{port_id}"


def _devices_of(topology: Topology, node: LabNode) -> list[LabDevice]:
    return [device for device in topology.devices if device.node == node.name]


def configuration(topology: Topology) -> Iterator[tuple[str, list[str]]]:
    """Per namespace: the commands that give addresses and routes and bring its links up. Underlay and DPUs first."""
    yield topology.underlay, _underlay_lines(topology)
    indices = {d.name: i for node in topology.nodes for i, d in enumerate(_devices_of(topology, node))}
    for device in topology.devices:
        yield device.namespace, _dpu_lines(device, indices[device.name])
    for node in topology.nodes:
        yield node.namespace, _node_lines(node, len(_devices_of(topology, node)))
    for workload in topology.workloads:
        yield workload.namespace, _workload_lines(workload)


OUTSIDE = ("198.51.100.10", "2001:db8:51::10")
"""Clients outside are in the underlay's namespace, which is the router that DPUs know: these are their addresses."""


def _underlay_lines(topology: Topology) -> list[str]:
    lines = ["link set lo up"]
    for index, device in enumerate(topology.devices):
        for port in device.uplinks:
            lines.append(f"link set {uplink_peer(index, port.id)} master {device.bridge} up")
    for bridge in topology.bridges:
        lines.extend(f"addr add {gateway} dev {bridge.name}" for gateway in bridge.gateways)
        lines.append(f"link set {bridge.name} up")
    lines.extend(_outside_lines(topology))
    return lines


def _outside_lines(topology: Topology) -> Iterator[str]:
    """Whatever nobody else is asked for is a neighbour in the first subnet: addresses of services come and go."""
    bridge = next((bridge for bridge in topology.bridges if bridge.gateways), None)
    if bridge is None:
        return
    for address in OUTSIDE:
        length, everywhere = (128, "::/0") if ":" in address else (32, "0.0.0.0/0")
        yield f"addr add {address}/{length} dev {bridge.name}{' nodad' if length == 128 else ''}"
        yield f"route add {everywhere} dev {bridge.name} src {address}"


def _dpu_lines(device: LabDevice, index: int) -> list[str]:
    lines = ["link set lo up", *(f"link set {port.interface} up" for port in device.ports)]
    lines += [f"addr add {_management(index, 2)} dev {MANAGEMENT}", f"link set {MANAGEMENT} up"]
    if device.underlay is not None and device.uplinks:
        uplink = device.uplinks[0].interface
        lines.append(f"addr add {device.underlay.address} dev {uplink}")
        if device.underlay.gateway is not None:
            lines.append(f"route add default via {device.underlay.gateway} dev {uplink}")
        lines += _host_lines(device, uplink) if index == 0 else ()
    return lines


def _host_lines(device: LabDevice, uplink: str) -> Iterator[str]:
    """Of a node's devices the first one's kernel has its addresses, and knows everybody on the underlay by them."""
    for address in device.host_addresses:
        yield f"addr add {address}/{address.max_prefixlen} dev {uplink}{' nodad' if address.version == 6 else ''}"
    if any(address.version == 6 for address in device.host_addresses):
        yield f"route add ::/0 dev {uplink}"


def vlan_line(workload: LabWorkload) -> str:
    """The command, in the workload's namespace, that makes the interface for its tagged frames."""
    return f"link add link eth0 name {workload.interface} type vlan id {workload.vlan}"


def _management(index: int, host: int) -> str:
    """Link-local (RFC 3927), the same on every node: the link between a host and its DPU leads nowhere else."""
    return f"169.254.{index}.{host}/30"


def _node_lines(node: LabNode, devices: int) -> list[str]:
    lines = ["link set lo up", *(f"addr add {address}/{address.max_prefixlen} dev lo" for address in node.addresses)]
    for index in range(devices):
        lines += [f"addr add {_management(index, 1)} dev dpu{index}", f"link set dpu{index} up"]
    return lines


def _workload_lines(workload: LabWorkload) -> list[str]:
    interface = workload.interface
    lines = ["link set lo up", "link set eth0 up"]
    lines += [f"addr add {address}/{address.max_prefixlen} dev lo" for address in workload.loopbacks]
    if workload.vlan:
        lines.append(f"link set {interface} up")
    for address in workload.addresses:
        lines.append(f"addr add {address} dev {interface}{' nodad' if address.version == 6 else ''}")
    for gateway in workload.gateways:
        everywhere = "::/0" if gateway.version == 6 else "0.0.0.0/0"
        lines.append(f"route add {everywhere} via {gateway} dev {interface} onlink")
    return lines


def interfaces(topology: Topology) -> dict[str, frozenset[str]]:
    """The interfaces that each namespace has when the lab is whole, `lo` left out."""
    expected: dict[str, frozenset[str]] = {}
    peers = {uplink_peer(i, port.id) for i, device in enumerate(topology.devices) for port in device.uplinks}
    expected[topology.underlay] = frozenset(peers | {bridge.name for bridge in topology.bridges})
    for device in topology.devices:
        expected[device.namespace] = frozenset({MANAGEMENT, *(port.interface for port in device.ports)})
    for node in topology.nodes:
        expected[node.namespace] = frozenset(f"dpu{index}" for index in range(len(_devices_of(topology, node))))
    for workload in topology.workloads:
        expected[workload.namespace] = frozenset({"eth0", workload.interface})
    return expected
