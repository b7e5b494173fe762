"""What holds for every packet in a cluster, told from its bytes and from who is behind which port."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

from compiler.entries.vocabulary import mac_number
from compiler.ir.interpreter import VerdictKind
from runtime.verification import anatomy, wire
from runtime.verification.fabric import End, Hop, Journey
from runtime.verification.findings import Violation
from runtime.verification.fragmenting import later_of
from runtime.verification.frames import INNER
from runtime.verification.invariants import wrongness
from runtime.verification.policies import plan as planned
from runtime.verification.policies.entrances import ROUTER_MAC, is_node_address, network_shown_at
from runtime.verification.policies.plan import Address
from runtime.verification.traffic import inner_packet


def check(journey: Journey, at_nodes: Collection[int] = ()) -> None:
    """Networks whose services have had node ports are `at_nodes`. Raises `Violation`."""
    for hop in journey.hops:
        _check_checksums(hop)
        _check_no_return(hop)
    if journey.end is End.DELIVERED:
        _check_receiver(journey, at_nodes)
    if journey.end is End.LEFT:
        _check_left(journey, at_nodes)


def _check_no_return(hop: Hop) -> None:
    """What a proxy has sent comes to no proxy of its device, but for one that is addressed itself."""
    outcome = hop.outcome
    is_back = outcome.verdict is VerdictKind.FORWARD and _is_proxy(hop.port) and _is_proxy(outcome.egress_port or 0)
    if is_back and not _is_addressed(outcome.packet, outcome.egress_port or 0):
        raise Violation(f"a packet that a proxy sent came back to port {outcome.egress_port}: {hop.frame.hex()}")


def _is_proxy(port: int) -> bool:
    return port != planned.UPLINK and planned.behind_port(port)[1] in planned.PROXY_PLACES


def _check_checksums(hop: Hop) -> None:
    outcome = hop.outcome
    if outcome.verdict is VerdictKind.FORWARD and outcome.egress_port is not None:
        before = wrongness(inner_packet(hop.port, hop.frame))
        after = wrongness(inner_packet(outcome.egress_port, outcome.packet))
        if before != after:
            raise Violation(f"checksums were wrong by {before}, are by {after}: {hop.frame.hex()}")


def _check_receiver(journey: Journey, at_nodes: Collection[int]) -> None:
    """The port that a packet leaves by is its receiver's, or a proxy's, in the network that it came from."""
    egress_port = journey.last.outcome.egress_port or 0
    network, host = planned.behind_port(egress_port)
    if network not in _networks_of(journey.hops[0], at_nodes):
        raise Violation(f"a packet went into the network of port {egress_port}: {journey}")
    if _is_addressed(journey.frame, egress_port) or (_is_proxy(egress_port) and _is_tcp(journey.frame)):
        return
    raise Violation(f"a packet for another address was delivered to host {host}: {journey}")


def _check_left(journey: Journey, at_nodes: Collection[int]) -> None:
    """To a client outside, by the device's router, from an address that the sender's network is called at there."""
    device, frame = journey.last.device, journey.frame
    macs = mac_number(ROUTER_MAC).to_bytes(6, "big") + mac_number(planned.UNDERLAY_MACS[device]).to_bytes(6, "big")
    if not is_plain(planned.UPLINK, frame) or frame[:12] != macs:
        raise Violation(f"a packet left for nobody: {journey}")
    sent, source = journey.hops[0], _address(frame, is_source=True)
    if source is None or not set(_networks_of(sent, at_nodes)) & set(_shown_at(device, source, at_nodes)):
        raise Violation(f"a packet left from {source}, which is no address of its network: {journey}")
    if sent.port == planned.UPLINK and is_plain(sent.port, sent.frame):
        raise Violation(f"a packet from outside went back there: {journey}")


def is_plain(port: int, frame: bytes) -> bool:
    """Whether it is without a tunnel in the underlay, as frames from and to clients outside are."""
    return port == planned.UPLINK and inner_packet(port, frame) is frame


def _address(frame: bytes, *, is_source: bool) -> Address | None:
    """Of the outermost IP header."""
    ip = next((part for part in anatomy.parts(frame) if part.name in ("ipv4", "ipv6")), None)
    if ip is None:
        return None
    at, size = (12, 4) if ip.name == "ipv4" else (8, 16)
    start = ip.start + at + (0 if is_source else size)
    return ip_address(frame[start : start + size])


def _shown_at(device: str, address: Address, at_nodes: Collection[int]) -> Collection[int]:
    """The networks that clients outside may enter by an address."""
    if is_node_address(device, address):
        return at_nodes
    network = network_shown_at(address)
    if network == planned.ACROSS:
        return range(planned.ACROSS)
    return () if network is None else (network,)


def _is_addressed(frame: bytes, port: int) -> bool:
    """Whether a frame has the address of who is behind a port."""
    ip = anatomy.innermost_ip(frame)
    if ip is None:
        return False
    at, size = (16, 4) if ip.name == "ipv4" else (24, 16)
    host = planned.behind_port(port)[1]
    own = planned.host_address(host, 4 if ip.name == "ipv4" else 6)
    return frame[ip.start + at : ip.start + at + size] == own.packed


def _is_tcp(frame: bytes) -> bool:
    """Or a later fragment, or an ICMP error about a segment of TCP: a proxy gets them for whom it stands."""
    found = anatomy.parts(frame)
    if any(part.name == "tcp" for part in found) or later_of(frame) == wire.TCP:
        return True
    protocols = {"icmp": 9, "icmpv6": 6}
    return any(frame[p.end + protocols[p.name] :][:1] == bytes([wire.TCP]) for p in found if p.name in protocols)


def _networks_of(hop: Hop, at_nodes: Collection[int]) -> Collection[int]:
    """By the port of a workload; in the underlay by the VNI, or by the address that a client outside calls."""
    if hop.port != planned.UPLINK:
        return (planned.behind_port(hop.port)[0],)
    if is_plain(hop.port, hop.frame):
        called = _address(hop.frame, is_source=False)
        return () if called is None else _shown_at(hop.device, called, at_nodes)
    return (_network_of_tunnel(hop),)


def _network_of_tunnel(hop: Hop) -> int:
    return int.from_bytes(hop.frame[INNER - 4 : INNER - 1], "big") - planned.vni(0)
