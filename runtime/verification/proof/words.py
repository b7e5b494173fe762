"""Packets and what becomes of them, in the names of the policies, a line each. Pure."""

from __future__ import annotations

from ipaddress import ip_address

from compiler.ir.interpreter import Outcome, VerdictKind
from compiler.policy.policyset import Address, Device, PolicySet, PortType
from runtime.verification import anatomy, wire
from runtime.verification.speaking import addresses_of, ends_of, speaker_at

_LETTERS = ((wire.SYN, "SYN"), (wire.FIN, "FIN"), (wire.RST, "RST"), (wire.PSH, "PSH"), (wire.ACK, "ACK"))


def port_words(policies: PolicySet, device: str, port: int) -> str:
    """Who is behind a port."""
    speaker = speaker_at(policies, device, port)
    if speaker is not None:
        return f"{speaker.workload.key} (port {port} of {device})"
    ports = next((d.ports for d in policies.devices if d.name == device), ())
    kind = "the underlay" if any(p.id == port and p.type is PortType.UPLINK for p in ports) else "nobody"
    return f"{kind} (port {port} of {device})"


def address_words(policies: PolicySet, network: str | None, address: Address, port: int | None = None) -> str:
    """An address with the name of who has it in a network; of a service, with the port's name."""
    place = str(address) if port is None else f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"
    name = _name_of(policies, network, address, port)
    return f"{place} ({name})" if name else place


def _name_of(policies: PolicySet, network: str | None, address: Address, port: int | None) -> str:
    for service in policies.services:
        if service.network.name == network and address in service.vips:
            named = next((p.name for p in service.ports if p.port == port and p.name), "")
            return f"service {service.key}:{named}" if named else f"service {service.key}"
    for device in policies.devices:
        if address in device.host_addresses:
            return _node_port_words(policies, network, device, port)
    for workload in policies.workloads:
        if workload.network.name == network and address in workload.addresses:
            return workload.key
    is_gateway = any(n.name == network and address in n.gateways for n in policies.networks)
    return f"gateway of {network}" if is_gateway else ""


def _node_port_words(policies: PolicySet, network: str | None, device: Device, number: int | None) -> str:
    """A node, with the service that has the port there."""
    for service in policies.services:
        for port in service.node_ports if service.network.name == network else ():
            if port.node_port == number:
                name = f"{service.key}:{port.name}" if port.name else service.key
                return f"node {device.node.name}, node port of {name}"
    return f"node {device.node.name}"


def frame_words(policies: PolicySet, network: str | None, frame: bytes) -> str:
    """The innermost packet as `TCP SYN a:1 (x) > b:2 (y)`, or what else the frame is; a tunnel is said first."""
    tunnel = f"VXLAN to {ip_address(frame[30:34])}, in it " if _is_tunnelled(frame) else ""
    ends = ends_of(frame)
    if ends is not None:
        src = address_words(policies, network, ends.src, ends.src_port)
        dst = address_words(policies, network, ends.dst, ends.dst_port)
        kind = f"TCP {_flags(frame)}" if ends.protocol == wire.TCP else "UDP"
        return f"{tunnel}{kind} {src} > {dst}"
    return tunnel + _other_words(policies, network, frame)


def _is_tunnelled(frame: bytes) -> bool:
    return anatomy.inner_frame(frame) is not frame


def _flags(frame: bytes) -> str:
    tcp = anatomy.last(frame, "tcp")
    bits = frame[tcp.start + 13] if tcp is not None else 0
    return "+".join(name for bit, name in _LETTERS if bits & bit) or "without flags"


def _other_words(policies: PolicySet, network: str | None, frame: bytes) -> str:
    ip, addresses = anatomy.innermost_ip(frame), addresses_of(frame)
    if ip is not None and addresses is not None:
        src, dst = addresses
        kind = next((p.name.upper() for p in anatomy.parts(frame) if p.start >= ip.end), ip.name)
        return f"{kind} {address_words(policies, network, src)} > {address_words(policies, network, dst)}"
    arp = anatomy.last(frame, "arp")
    if arp is not None:
        sender, target = (ip_address(frame[arp.start + at : arp.start + at + 4]) for at in (14, 24))
        return f"ARP, {address_words(policies, network, sender)} and {address_words(policies, network, target)}"
    return f"{len(frame)} bytes of EtherType 0x{frame[12:14].hex()}"


def outcome_words(policies: PolicySet, network: str | None, device: str, outcome: Outcome) -> str:
    match outcome.verdict:
        case VerdictKind.DROP:
            return f"dropped, {outcome.drop_reason}"
        case VerdictKind.TO_KERNEL:
            return "left to the kernel" + (f" as {frame_words(policies, network, outcome.packet)}")
        case VerdictKind.PUNT:
            return f"given to the controller as {frame_words(policies, network, outcome.packet)}"
        case VerdictKind.MULTICAST:
            return f"to the ports of a group as {frame_words(policies, network, outcome.packet)}"
        case VerdictKind.REPLY:
            return f"answered by the device with {frame_words(policies, network, outcome.packet)}"
        case VerdictKind.FORWARD:
            to = port_words(policies, device, outcome.egress_port or 0)
            return f"to {to} as {frame_words(policies, network, outcome.packet)}"


def bytes_words(wanted: bytes, got: bytes) -> str:
    """Where two frames part, in which header; empty when they are equal."""
    if wanted == got:
        return ""
    pairs = zip(wanted, got, strict=False)
    at = next((index for index, (one, other) in enumerate(pairs) if one != other), min(len(wanted), len(got)))
    header = next((p.name for p in reversed(anatomy.parts(wanted)) if p.start <= at < p.end), "payload")
    shown = (f"{frame[at : at + 4].hex() or 'nothing'}" for frame in (wanted, got))
    return f"bytes differ from {at} on ({header}): " + " and ".join(shown)
