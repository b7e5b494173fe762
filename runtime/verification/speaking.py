"""Who speaks in a cluster: workloads with their place, the frames they send, and who a frame is from and to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from compiler.entries.identity import router_mac
from compiler.entries.vocabulary import mac_number
from compiler.policy.policyset import Address, Device, Network, PolicySet, Port, PortType, Workload, WorkloadType
from compiler.span import InternalError
from runtime.verification import anatomy, wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """A workload behind a port of a device, or a client outside, as if it were one behind the uplink."""

    workload: Workload
    device: str
    port: Port
    next_hop_mac: str | None = None
    """To which a client outside sends; a workload sends to its network's router."""

    @property
    def is_outside(self) -> bool:
        return self.port.type is PortType.UPLINK

    @property
    def network(self) -> str:
        return self.workload.network.name


_TRANSPORTS = {name.lower(): number for name, number in wire.PROTOCOLS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """From where to where: addresses and ports of TCP, UDP or SCTP."""

    protocol: int
    src: Address
    src_port: int
    dst: Address
    dst_port: int

    @property
    def turned(self) -> Ends:
        """Those of an answer."""
        return Ends(protocol=self.protocol, src=self.dst, src_port=self.dst_port, dst=self.src, dst_port=self.src_port)

    def __str__(self) -> str:
        name = wire.PROTOCOL_NAMES[self.protocol]
        return f"{name} {self.src} port {self.src_port} to {self.dst} port {self.dst_port}"


def speakers(policies: PolicySet) -> tuple[Speaker, ...]:
    """In the order of devices and ports."""
    return tuple(_speakers(policies))


def _speakers(policies: PolicySet) -> Iterator[Speaker]:
    for device in policies.devices:
        for port in device.ports:
            if port.workload is not None:
                yield Speaker(workload=port.workload, device=device.name, port=port)


def speaker_at(policies: PolicySet, device: str, port: int) -> Speaker | None:
    return next((s for s in _speakers(policies) if (s.device, s.port.id) == (device, port)), None)


def outsider(device: Device, network: Network, addresses: tuple[Address, ...]) -> Speaker:
    """A client outside, beyond the router of a device that lets clients in; `network` is the one that it enters."""
    if device.underlay is None or device.underlay.gateway_mac is None:
        raise InternalError(f"device {device.name} lets nobody in")
    client = Workload(
        name="outside",
        namespace="clients",
        type=WorkloadType.ADDRESS,
        network=network,
        node=None,
        device=device.name,
        addresses=addresses,
        mac=device.underlay.gateway_mac,
    )
    to = device.underlay.mac
    return Speaker(workload=client, device=device.name, port=device.uplinks[0], next_hop_mac=to)


def spoken(speaker: Speaker, ends: Ends, flags: str, payload: bytes) -> bytes:
    """The frame of a speaker to its router; `flags` are for TCP and SCTP."""
    return sent_by(speaker, packet(ends, flags, payload))


def sent_by(speaker: Speaker, ip_packet: bytes) -> bytes:
    """The frame of a speaker to its router."""
    tags = ((wire.ETHERTYPE_VLAN, speaker.port.vlan),) if speaker.port.vlan else ()
    src, to = mac_number(speaker.workload.mac), speaker.next_hop_mac
    dst = router_mac(speaker.workload.network) if to is None else mac_number(to)
    return wire.ethernet(dst, src, wire.ether_type_of(ip_packet[0] >> 4), ip_packet, tags=tags)


def framed(ends: Ends, flags: str, payload: bytes, dst_mac: int, src_mac: int) -> bytes:
    """A frame of TCP, UDP or SCTP; `flags` are for TCP, and for SCTP its chunk like them."""
    return wire.ethernet(dst_mac, src_mac, wire.ether_type_of(ends.src.version), packet(ends, flags, payload))


def packet(ends: Ends, flags: str, payload: bytes) -> bytes:
    """An IP packet of TCP, UDP or SCTP; `flags` are for TCP, and for SCTP its chunk like them."""
    if ends.protocol == wire.TCP:
        segment = wire.tcp(ends.src, ends.dst, ends.src_port, ends.dst_port, wire.tcp_flags(flags), payload)
    elif ends.protocol == wire.SCTP:
        segment = wire.sctp(ends.src_port, ends.dst_port, wire.tcp_flags(flags), payload)
    else:
        segment = wire.udp(ends.src, ends.dst, ends.src_port, ends.dst_port, payload)
    return wire.ip(ends.src, ends.dst, ends.protocol, segment)


def echo(src: Address, dst: Address, *, is_answer: bool) -> bytes:
    """An IP packet with an echo request, or with the answer to one (RFC 792, RFC 4443)."""
    request, answer = (8, 0) if src.version == 4 else (128, 129)
    message = wire.icmp(src, dst, answer if is_answer else request, 0, 0x1234_0001, b"turnout")
    return wire.ip(src, dst, wire.icmp_protocol(src.version), message)


def addresses_of(frame: bytes) -> tuple[Address, Address] | None:
    """Source and destination of the innermost packet; None when it is none of IP."""
    ip = anatomy.innermost_ip(frame)
    if ip is None:
        return None
    at, size = (12, 4) if ip.name == "ipv4" else (8, 16)
    src, dst = (ip_address(frame[ip.start + at + size * n : ip.start + at + size * (n + 1)]) for n in (0, 1))
    return src, dst


def ends_of(frame: bytes) -> Ends | None:
    """Of the innermost packet; None when it is not of TCP, UDP or SCTP, or a later fragment."""
    ip, addresses = anatomy.innermost_ip(frame), addresses_of(frame)
    if ip is None or addresses is None:
        return None
    transport = next((p for p in anatomy.parts(frame) if p.start >= ip.end and p.name in _TRANSPORTS), None)
    if transport is None:
        return None
    ports = [int.from_bytes(frame[transport.start + n : transport.start + n + 2], "big") for n in (0, 2)]
    return Ends(
        protocol=_TRANSPORTS[transport.name],
        src=addresses[0],
        src_port=ports[0],
        dst=addresses[1],
        dst_port=ports[1],
    )
