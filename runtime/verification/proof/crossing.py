"""What holds for every packet, also a damaged one: it stays in its network, its checksums as right as they were."""

from __future__ import annotations

from compiler.ir.interpreter import VerdictKind
from compiler.policy.policyset import PolicySet, PortType
from runtime.verification.anatomy import INNER, inner_frame
from runtime.verification.fabric import End, Hop, Journey
from runtime.verification.findings import Violation
from runtime.verification.invariants import wrongness
from runtime.verification.proof.entering import network_entered, networks_of
from runtime.verification.speaking import addresses_of, speaker_at


def check(policies: PolicySet, journey: Journey) -> None:
    """Raises `Violation`."""
    for hop in journey.hops:
        _check_checksums(policies, hop)
    if journey.end is End.DELIVERED:
        _check_receiver(policies, journey)


def networks_at(policies: PolicySet, device: str, port: int, frame: bytes) -> frozenset[str]:
    """The names of the networks that a packet may go to: of its port, in the underlay of its VNI, and without a tunnel
    those behind the address that a client outside calls."""
    speaker = speaker_at(policies, device, port)
    if speaker is not None:
        return frozenset({speaker.network})
    if inner_frame(frame) is frame:
        addresses = addresses_of(frame)
        return frozenset() if addresses is None else networks_of(policies, device, addresses[1])
    vni = int.from_bytes(frame[INNER - 4 : INNER - 1], "big")
    return frozenset(network.name for network in policies.networks if network.vni == vni)


def network_at(policies: PolicySet, device: str, port: int, frame: bytes) -> str | None:
    """The name of the network that a packet comes in from, by which its addresses are told; None where it is none."""
    if speaker_at(policies, device, port) is None and inner_frame(frame) is frame:
        addresses = addresses_of(frame)
        return None if addresses is None else network_entered(policies, device, addresses[1])
    return next(iter(networks_at(policies, device, port, frame)), None)


def _check_checksums(policies: PolicySet, hop: Hop) -> None:
    outcome = hop.outcome
    if outcome.verdict is not VerdictKind.FORWARD or outcome.egress_port is None:
        return
    before = wrongness(_inner(policies, hop.device, hop.port, hop.frame))
    after = wrongness(_inner(policies, hop.device, outcome.egress_port, outcome.packet))
    if before != after:
        raise Violation(f"checksums were wrong by {before} before device {hop.device}, and are by {after} behind it")


def _inner(policies: PolicySet, device: str, port: int, frame: bytes) -> bytes:
    """The workload's frame; on an uplink what is in the tunnel."""
    ports = next(d.ports for d in policies.devices if d.name == device)
    is_uplink = any(p.id == port and p.type is PortType.UPLINK for p in ports)
    return inner_frame(frame) if is_uplink else frame


def _check_receiver(policies: PolicySet, journey: Journey) -> None:
    """The port that a packet leaves by is its receiver's, in the network that it came from."""
    port = journey.last.outcome.egress_port or 0
    receiver = speaker_at(policies, journey.last.device, port)
    if receiver is None:
        raise Violation(f"delivered by port {port} of {journey.last.device}, behind which there is no workload")
    first = journey.hops[0]
    networks = networks_at(policies, first.device, first.port, first.frame)
    if receiver.network not in networks:
        came_from = " or ".join(sorted(networks)) or "none"
        raise Violation(f"went from network {came_from} to {receiver.network}, to {receiver.workload.key}")
