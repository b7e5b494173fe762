"""Frames from a few numbers: what a workload of a scene sends, good and odd, and the reply to what a device sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from runtime.verification.frames import INNER
from runtime.verification.levels import LONGEST_FRAME
from runtime.verification.scenes import (
    GATEWAY_HOST,
    NOWHERE_HOST,
    UPLINK,
    Scene,
    Workload,
    address,
    mac_of,
    service_address,
    vni_of,
)
from runtime.verification.shop import ROUTER_MAC, UNDERLAY_A, UNDERLAY_B, UNDERLAY_MAC_A, UNDERLAY_MAC_B


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to: service or workload `number`, the gateway, or nowhere."""

    kind: str
    number: int = 0


SCTP_PREFIX = "sctp "
CHUNKS = {"S": 1, "SA": 2, "A": 0, "PA": 10, "FA": 7, "RA": 14, "R": 6}
"""Types of chunks (RFC 9260, section 3.2) by the flags of TCP that mean as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """What workload `source` sends. `transport`: TCP flags, the same behind "sctp " for a chunk that means as much,
    "udp", "icmp", "other", or "open", what the service takes.

    `size`: bytes of payload; negative: as many as make the IP packet `source`'s MTU and -1 - size bytes more than one
    less. `oddities`: what is wrong or unusual, each with a number. `segment`: bytes of payload in each segment that a
    card is to cut, 0 for a packet that is whole.
    """

    source: int
    target: Target
    version: int
    transport: str
    src_port: int
    dst_port: int | None = None
    """None: the service's."""
    ttl: int = 64
    flags: str = "DF"
    size: int = 0
    oddities: tuple[tuple[str, int], ...] = ()
    segment: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """ARP (4) or a neighbour solicitation (6) for a host, and what is wrong with it."""

    source: int
    version: int
    host: int
    fault: str = ""


Arrival = tuple[int, bytes]
"""Port and frame."""


def sent(scene: Scene, step: Send | Ask) -> Arrival:
    """How the step's packet comes in: by the workload's port, or by the uplink through a tunnel."""
    source = scene.workloads[step.source % len(scene.workloads)]
    if isinstance(step, Ask):
        return _arrived(source, bytes(_question(source, step)), {})
    numbers = dict(step.oddities)
    inner = bytes(_packet(scene, source, step, numbers))
    for name, number in step.oddities:
        if name in ODDITIES:
            inner = ODDITIES[name](inner, number)
    return _arrived(source, inner, numbers)


def _arrived(source: Workload, inner: bytes, numbers: dict[str, int]) -> Arrival:
    vlan = source.vlan ^ numbers.get("wrong vlan", 0)
    if source.port is None:
        port, frame = UPLINK, _tunnelled(inner, vni_of(source.network) + numbers.get("wrong vni", 0), numbers)
    else:
        port, frame = source.port, tagged(inner, vlan) if vlan else inner
    if "nested vlan" in numbers:
        frame = tagged(frame, numbers["nested vlan"])
    return port, frame[: numbers.get("cut", LONGEST_FRAME)]


def tagged(frame: bytes, vlan: int) -> bytes:
    """With a tag behind the addresses; its priority bits are 3."""
    return frame[:12] + b"\x81\x00" + (3 << 13 | vlan & 0xFFF).to_bytes(2, "big") + frame[12:]


def _tunnelled(inner: bytes, vni: int, numbers: dict[str, int]) -> bytes:
    destination = UNDERLAY_B if "wrong tunnel" in numbers else UNDERLAY_A
    outer = Ether(src=UNDERLAY_MAC_B, dst=UNDERLAY_MAC_A) / IP(
        src=UNDERLAY_B, dst=destination, flags=numbers.get("outer flags", 2)
    )
    built = bytes(outer / UDP(sport=50_000, dport=4789, chksum=0) / VXLAN(flags=8, vni=vni & 0xFFFFFF))
    length = len(built) - 14 + len(inner)
    built = built[:16] + length.to_bytes(2, "big") + built[18:38] + (length - 20).to_bytes(2, "big") + built[40:]
    return built + inner


def _packet(scene: Scene, source: Workload, step: Send, numbers: dict[str, int]) -> Packet:
    dst, dst_port, step = _destination(scene, source, step)
    src = address(step.version, numbers.get("other source", source.host))
    ether = Ether(src=mac_of(source.host), dst=ROUTER_MAC)
    header = _transport(step, step.dst_port if step.dst_port is not None else dst_port)
    network = _network(step, src, dst, numbers)
    return ether / network / header / Raw(b"\xa5" * _payload_bytes(source, step, network, header))


def _payload_bytes(source: Workload, step: Send, network: Packet, header: Packet) -> int:
    if step.size >= 0:
        return step.size
    headers = len(network / header)
    return max(0, min(source.mtu - 2 - step.size, LONGEST_FRAME - 200) - headers)


def _destination(scene: Scene, source: Workload, step: Send) -> tuple[str, int, Send]:
    """Address, port, and the step with a transport."""
    plain = replace(step, transport="S") if step.transport == "open" else step
    match step.target.kind:
        case "service":
            services = [s for s in scene.services if s.network == source.network] or scene.services
            service = services[step.target.number % len(services)]
            if step.transport == "open" and service.protocol != "tcp":
                plain = replace(step, transport={"udp": "udp", "sctp": f"{SCTP_PREFIX}S"}[service.protocol])
            return service_address(step.version, service.host), service.port, plain
        case "workload":
            workload = scene.workloads[step.target.number % len(scene.workloads)]
            return address(step.version, workload.host), 80, plain
        case "gateway":
            return address(step.version, GATEWAY_HOST), 80, plain
        case _:
            return address(step.version, NOWHERE_HOST), 80, plain


def _network(step: Send, src: str, dst: str, numbers: dict[str, int]) -> Packet:
    if step.version == 4:
        options = [IPOption_NOP()] * 4 if "options" in numbers else []
        return IP(src=src, dst=dst, ttl=step.ttl, flags=step.flags, frag=numbers.get("fragment", 0), options=options)
    built = IPv6(src=src, dst=dst, hlim=step.ttl, tc=numbers.get("traffic class", 0))
    if "options" in numbers:
        return built / IPv6ExtHdrDestOpt()
    if "fragment" in numbers:
        return built / IPv6ExtHdrFragment(offset=numbers["fragment"], m="MF" in step.flags)
    return built


def _transport(step: Send, dst_port: int) -> Packet:
    if step.transport == "udp":
        return UDP(sport=step.src_port, dport=dst_port)
    if step.transport.startswith(SCTP_PREFIX):
        return _association(step.src_port, dst_port, step.transport.removeprefix(SCTP_PREFIX))
    if step.transport == "icmp":
        return ICMP() if step.version == 4 else ICMPv6EchoRequest()
    if step.transport == "other":
        return Raw(b"GRE?" * 5)
    return TCP(sport=step.src_port, dport=dst_port, flags=step.transport, seq=step.src_port)


def _association(src_port: int, dst_port: int, flags: str) -> Packet:
    """SCTP with a chunk without a value."""
    return SCTP(sport=src_port, dport=dst_port, tag=0x1234_5678) / Raw(bytes([CHUNKS[flags], 0, 0, 4]))


def _add(at: int, width: int) -> Callable[[bytes, int], bytes]:
    """Add a number to a field of an untagged frame, modulo its size."""

    def change(frame: bytes, number: int) -> bytes:
        if len(frame) < at + width:
            return frame
        value = (int.from_bytes(frame[at : at + width], "big") + number) % (1 << 8 * width)
        return frame[:at] + value.to_bytes(width, "big") + frame[at + width :]

    return change


def _transport_at(frame: bytes) -> int:
    return 34 if frame[12:14] == b"\x08\x00" else 54


def _checksum_at(frame: bytes) -> int:
    protocol = frame[23 if frame[12:14] == b"\x08\x00" else 20]
    return _transport_at(frame) + {6: 16, 17: 6, 132: 8}.get(protocol, 2)


def _without_checksum(frame: bytes) -> bytes:
    at = _checksum_at(frame)
    is_crc = at - _transport_at(frame) == 8
    return frame[:at] + bytes(4 if is_crc else 2) + frame[at + (4 if is_crc else 2) :]


def _flip(frame: bytes, bit: int) -> bytes:
    at = bit // 8 % len(frame)
    return frame[:at] + bytes([frame[at] ^ 1 << bit % 8]) + frame[at + 1 :]


ODDITIES: dict[str, Callable[[bytes, int], bytes]] = {
    "wrong header checksum": lambda frame, number: _add(24, 2)(frame, number) if _transport_at(frame) == 34 else frame,
    "wrong checksum": lambda frame, number: _add(_checksum_at(frame), 2)(frame, number),
    "no checksum": lambda frame, _: _without_checksum(frame),
    "wrong length": lambda frame, number: _add(16 if _transport_at(frame) == 34 else 18, 2)(frame, number),
    "wrong transport length": lambda frame, number: _add(_transport_at(frame) + 4, 2)(frame, number),
    "other version": lambda frame, number: _add(14, 1)(frame, number << 4 & 0xFF),
    "header length": lambda frame, number: _add(14, 1)(frame, number & 15),
    "flipped bit": _flip,
    "trailer": lambda frame, number: frame + bytes(number % 64),
}
"""Changes of the workload's frame before it is tagged or tunnelled."""


def _question(source: Workload, step: Ask) -> Packet:
    mac = mac_of(source.host)
    sender, target = address(step.version, source.host), address(step.version, step.host)
    if step.version == 4:
        ask = ARP(
            op=2 if step.fault == "operation" else 1,
            hwtype=6 if step.fault == "type" else 1,
            hwlen=8 if step.fault == "length" else 6,
            hwsrc=mac,
            psrc={"probe": "0.0.0.0", "own": target}.get(step.fault, sender),
            pdst=target,
        )
        built = Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ask
        return Ether(bytes(built)[:-4]) if step.fault == "short" else built
    return _solicitation(mac, sender, target, step.fault)


def _solicitation(mac: str, sender: str, target: str, fault: str) -> Packet:
    source = {"probe": "::", "own": target}.get(fault, sender)
    network = IPv6(src=source, dst="ff02::1:ff00:1", hlim=254 if fault == "type" else 255)
    option = ICMPv6NDOptDstLLAddr if fault == "operation" else ICMPv6NDOptSrcLLAddr
    ask = ICMPv6ND_NS(tgt=target, code=1 if fault == "length" else 0)
    built = Ether(src=mac, dst="33:33:ff:00:00:01") / network / ask / option(lladdr=mac)
    return Ether(bytes(built)[:-4]) if fault == "short" else built


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A packet that a device forwarded: port and bytes."""

    port: int
    frame: bytes


def inner_packet(port: int, frame: bytes) -> bytes:
    """The workload's frame: on the uplink, what is in the tunnel, if it is in one."""
    is_tunnelled = port == UPLINK and frame[12:15] == b"\x08\x00\x45" and frame[23:24] == b"\x11"
    return frame[INNER:] if is_tunnelled and frame[36:38] == b"\x12\xb5" else frame


def reply_to(passed: Passed, flags: str, size: int) -> Arrival | None:
    """What the receiver answers: addresses and ports the other way round. None when there is nothing to answer."""
    inner = inner_packet(passed.port, passed.frame)
    built = Ether(inner)
    ip = built.getlayer(IP) or built.getlayer(IPv6)
    transport = built.getlayer(TCP) or built.getlayer(UDP) or built.getlayer(SCTP)
    if ip is None or transport is None:
        return None
    ports = {"sport": transport.dport, "dport": transport.sport}
    if isinstance(transport, SCTP):
        answer = _association(transport.dport, transport.sport, flags)
    else:
        answer = UDP(**ports) if isinstance(transport, UDP) else TCP(**ports, flags=flags)
    network = IP(src=ip.dst, dst=ip.src, flags="DF") if isinstance(ip, IP) else IPv6(src=ip.dst, dst=ip.src)
    ether = Ether(src=built.dst, dst=built.src)
    tag = [Dot1Q(vlan=built[Dot1Q].vlan)] if built.haslayer(Dot1Q) else []
    whole = ether
    for layer in (*tag, network, answer, Raw(b"r" * size)):
        whole = whole / layer
    if inner is passed.frame:
        return passed.port, bytes(whole)
    vni = int.from_bytes(passed.frame[INNER - 4 : INNER - 1], "big")
    return passed.port, _tunnelled(bytes(whole), vni, {})


Ends = tuple[str, int, str, int]
"""Source address and port, destination address and port."""


def ends_of(port: int, frame: bytes) -> Ends:
    """Of a frame with TCP, UDP or SCTP, in a tunnel or not."""
    built = Ether(inner_packet(port, frame))
    ip = built.getlayer(IP) or built.getlayer(IPv6)
    transport = built.getlayer(TCP) or built.getlayer(UDP) or built.getlayer(SCTP)
    assert ip is not None
    assert transport is not None
    return ip.src, transport.sport, ip.dst, transport.dport
