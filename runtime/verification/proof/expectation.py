"""What policies promise to a packet that belongs to no known connection, told without a look at any entry.

The rules are those of docs/policies.md, said a second time in few words; `compiler.entries` says them in entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from compiler.entries.reachability import Homes, Local, Remote
from compiler.policy.policyset import Address, Device, PolicySet, Service, ServicePort, Workload, WorkloadType
from runtime.verification import wire
from runtime.verification.proof import entering, isolations, redirects
from runtime.verification.proof.redirects import Fate
from runtime.verification.speaking import Ends, Speaker

Place = tuple[Address, int]
"""Address and port as the receiver sees them."""
WHEN_CROWDED = frozenset({"flow_table_full", "flow_clash"})
"""Why an opening may be dropped although a backend is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Where a packet may be delivered, and why it may be dropped. With neither, the device leaves it alone.

    `is_refused`: the sender is told at once that nobody is there. `service` is the policy that decides, empty for a
    packet to a workload or to nobody. `is_direct`: the packet gets there as it was sent, and places are those of
    workloads that have what was called as well.
    """

    places: frozenset[Place] = frozenset()
    reasons: frozenset[str] = frozenset()
    is_refused: bool = False
    service: str = ""
    is_direct: bool = False

    @property
    def is_untouched(self) -> bool:
        return not self.places and not self.reasons and not self.is_refused

    def __str__(self) -> str:
        if self.is_untouched:
            return "left to the kernel"
        if self.is_refused:
            return "refused"
        places = " or ".join(f"{address} port {port}" for address, port in sorted(self.places, key=str))
        ways = [f"delivered to {places}"] if places else []
        ways += [f"dropped as {reason}" for reason in sorted(self.reasons - WHEN_CROWDED)]
        return ", or ".join(ways) or "delivered"


def expectation(policies: PolicySet, speaker: Speaker, ends: Ends) -> Expectation:
    """Of an opening, or of a packet of no connection, that a workload sends, or a client outside."""
    if speaker.is_outside:
        return _entering(policies, speaker, ends)
    if ends.protocol != wire.TCP or speaker.workload.type is WorkloadType.PROXY:
        return _policed(policies, speaker, ends, _unmeshed(policies, speaker, ends))
    device = _device(policies, speaker)
    fate = redirects.outbound(policies, device, speaker.workload, ends)
    if fate is Fate.DENIED:
        return Expectation(reasons=frozenset({"mesh_denied"}))
    if fate is Fate.ENDED:
        return Expectation(reasons=frozenset({"no_proxy"}))
    denials = redirects.inbound_reasons(policies, speaker.workload.network.name)
    if fate is Fate.REDIRECTED:
        called = frozenset({(ends.dst, ends.dst_port)})
        reasons = WHEN_CROWDED | denials | redirects.outbound_reasons(policies, speaker.workload)
        reasons |= isolations.REASONS if policies.isolations else frozenset()
        return Expectation(places=called, reasons=reasons)
    base = _policed(policies, speaker, ends, _unmeshed(policies, speaker, ends))
    return _meshed_inside(policies, speaker.workload.network.name, base)


def _entering(policies: PolicySet, speaker: Speaker, ends: Ends) -> Expectation:
    """Of a client outside. Backends without a network of their own are in the one that it enters."""
    device = _device(policies, speaker)
    found = service_of(policies, device, speaker.network, ends)
    if found is None:
        return Expectation()
    service, port = found
    name = f"{service.key}:{port.name}" if port.name else service.key
    if not entering.is_let_in(service, ends.dst, ends.src):
        return Expectation(reasons=frozenset({"source_denied"}), service=name)
    if not service.is_across:
        base = _of_service(policies, speaker, service, port, ends.dst)
        return _meshed_inside(policies, speaker.network, _policed(policies, speaker, ends, base))
    backends = service.backends(port, ends.dst, device)
    there = entering.reached(policies, device, backends)
    if not there:
        return Expectation(is_refused=True, service=name)
    seen = device.gateway_address(ends.dst.version) or ends.src
    places: set[Place] = set()
    reasons = {*WHEN_CROWDED, "no_source_port"}
    for backend in there:
        network = backend.network.name if backend.network is not None else speaker.network
        opening = isolations.Opening(
            network=network,
            sender=None,
            source=seen,
            destination=backend.address,
            protocol=ends.protocol,
            port=backend.port,
        )
        denied = isolations.denial(policies, opening)
        if denied is None:
            places.add((backend.address, backend.port))
        else:
            reasons.add(denied)
        reasons |= redirects.inbound_reasons(policies, network)
    return Expectation(places=frozenset(places), reasons=frozenset(reasons), service=name)


def _meshed_inside(policies: PolicySet, network: str, base: Expectation) -> Expectation:
    """With why MeshRedirects of a network may drop what comes to its workloads."""
    denials = redirects.inbound_reasons(policies, network)
    return replace(base, reasons=base.reasons | denials | WHEN_CROWDED) if base.places and denials else base


def _policed(policies: PolicySet, speaker: Speaker, ends: Ends, base: Expectation) -> Expectation:
    """What NetworkPolicies leave of it: they are held against the backend, and against who is called without one."""
    if not policies.isolations or base.is_refused:
        return base
    openings = [
        (
            (address, port),
            isolations.Opening(
                network=speaker.network,
                sender=None if speaker.is_outside else speaker.workload,
                source=ends.src,
                destination=address,
                protocol=ends.protocol,
                port=port,
            ),
        )
        for address, port in base.places or {(ends.dst, ends.dst_port)}
    ]
    denials = {place: isolations.denial(policies, opening) for place, opening in openings}
    is_concerned = any(isolations.concern(policies, opening) for _, opening in openings)
    reasons = base.reasons | {reason for reason in denials.values() if reason is not None}
    return replace(
        base,
        places=frozenset(place for place in base.places if denials[place] is None),
        reasons=reasons | WHEN_CROWDED if is_concerned and base.places else reasons,
    )


def _unmeshed(policies: PolicySet, speaker: Speaker, ends: Ends) -> Expectation:
    """As if there were no MeshRedirect."""
    found = service_of(policies, _device(policies, speaker), speaker.network, ends)
    if found is not None:
        return _of_service(policies, speaker, *found, ends.dst)
    if ends.dst in _reached(policies, _device(policies, speaker), speaker.workload):
        return Expectation(places=frozenset({(ends.dst, ends.dst_port)}))
    return Expectation()


def service_of(policies: PolicySet, device: Device, network: str, ends: Ends) -> tuple[Service, ServicePort] | None:
    """The service that is called. Networks may use the same addresses: only the caller's own counts."""
    for service in policies.services:
        for front in service.fronts(device) if service.network.name == network else ():
            called = (front.address, front.port.protocol.number, front.number)
            if called == (ends.dst, ends.protocol, ends.dst_port):
                return service, front.port
    return None


def _of_service(
    policies: PolicySet, speaker: Speaker, service: Service, port: ServicePort, front: Address
) -> Expectation:
    name = f"{service.key}:{port.name}" if port.name else service.key
    device = _device(policies, speaker)
    backends = service.backends(port, front, device)
    if service.is_direct(front):
        backends = entering.answering(policies, port, backends)
    if not backends:
        return Expectation(is_refused=True, service=name)
    reached = frozenset(_reached(policies, device, speaker.workload))
    there = frozenset((b.address, b.port) for b in backends if b.address in reached)
    lost = frozenset({"no_route"}) if len(there) < len({(b.address, b.port) for b in backends}) else frozenset[str]()
    return Expectation(places=there, reasons=WHEN_CROWDED | lost, service=name, is_direct=service.is_direct(front))


def _reached(policies: PolicySet, device: Device, sender: Workload) -> Iterator[Address]:
    """The addresses of the sender's network that something leads to from its device."""
    for place in Homes(policies).places(device, sender.network):
        if isinstance(place, Local | Remote):
            yield from place.workload.addresses


def _device(policies: PolicySet, speaker: Speaker) -> Device:
    return next(device for device in policies.devices if device.name == speaker.device)
