"""What holds for every packet in a cluster, told from its bytes and from who is behind which port."""

from __future__ import annotations

from compiler.ir.interpreter import VerdictKind
from runtime.verification import anatomy, wire
from runtime.verification.fabric import End, Hop, Journey
from runtime.verification.findings import Violation
from runtime.verification.frames import INNER
from runtime.verification.invariants import wrongness
from runtime.verification.policies import plan as planned
from runtime.verification.traffic import inner_packet


def check(journey: Journey) -> None:
    """Raises `Violation`."""
    for hop in journey.hops:
        _check_checksums(hop)
        _check_no_return(hop)
    if journey.end is End.DELIVERED:
        _check_receiver(journey)


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


def _check_receiver(journey: Journey) -> None:
    """The port that a packet leaves by is its receiver's, or a proxy's, in the network that it came from."""
    egress_port = journey.last.outcome.egress_port or 0
    network, host = planned.behind_port(egress_port)
    if _network_of(journey.hops[0]) != network:
        raise Violation(f"a packet went into the network of port {egress_port}: {journey}")
    if _is_addressed(journey.frame, egress_port) or (_is_proxy(egress_port) and _is_tcp(journey.frame)):
        return
    raise Violation(f"a packet for another address was delivered to host {host}: {journey}")


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
    """Or an ICMP error about a segment of TCP, which a proxy gets for the addresses that it stands for."""
    found = anatomy.parts(frame)
    if any(part.name == "tcp" for part in found):
        return True
    protocols = {"icmp": 9, "icmpv6": 6}
    return any(frame[p.end + protocols[p.name] :][:1] == bytes([wire.TCP]) for p in found if p.name in protocols)


def _network_of(hop: Hop) -> int:
    """By the port of a workload; in the underlay by the VNI."""
    if hop.port != planned.UPLINK:
        return planned.behind_port(hop.port)[0]
    return int.from_bytes(hop.frame[INNER - 4 : INNER - 1], "big") - planned.vni(0)
