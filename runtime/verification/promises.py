"""What a plan promises to a packet that belongs to no known connection, told without a look at any entry.

Devices must hold what the plan asks for. Addresses are the same in all networks, so only the sender's own counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from runtime.verification import wire
from runtime.verification.isolationpromises import EGRESS_DENIED, all_policed, may_send
from runtime.verification.meshpromises import meshed
from runtime.verification.policies import expected
from runtime.verification.policies import plan as planned
from runtime.verification.policies.entrances import Entrance, external_address, lets_in
from runtime.verification.policies.plan import PlannedPort, PlannedService, PlannedWorkload, PolicyPlan
from runtime.verification.promise import WHEN_CROWDED, Landing, Promise
from runtime.verification.speaking import Ends


def promise_outside(plan: PolicyPlan, entrance: Entrance | None, ends: Ends, flags: str = "") -> Promise:
    """To a client outside; without an entrance nothing is let in."""
    found = None if entrance is None else service_of(plan, entrance.client, ends)
    if entrance is None or found is None:
        return Promise()
    if not lets_in(found[0], ends.dst, ends.src):
        return Promise(reasons=frozenset({"source_denied"}))
    return promise(plan, entrance.client, ends, flags)


def promise(plan: PolicyPlan, sender: PlannedWorkload, ends: Ends, flags: str = "") -> Promise:
    """`flags` of TCP: a segment with SYN alone is asked whether it goes by a proxy."""
    direct = _direct(plan, sender, ends)
    is_opening = ends.protocol == wire.TCP and flags == "S"
    promised = meshed(plan, sender, ends, direct) if is_opening else all_policed(plan, sender, ends, direct)
    is_never_learned = promised.reasons <= WHEN_CROWDED | {EGRESS_DENIED} and EGRESS_DENIED in promised.reasons
    return Promise(reasons=frozenset({EGRESS_DENIED})) if is_never_learned and not promised.landings else promised


def _direct(plan: PolicyPlan, sender: PlannedWorkload, ends: Ends) -> Promise:
    """Before redirects, and policies of those who are reached, are asked."""
    found = service_of(plan, sender, ends)
    if found is not None:
        return _of_service(plan, sender, *found, ends)
    receiver = planned.workload_of(plan, sender.network, ends.dst)
    if receiver is not None and planned.is_reachable(plan, sender.place, receiver):
        return Promise(landings=frozenset({Landing(address=ends.dst, port=ends.dst_port, host=receiver.host)}))
    return Promise() if may_send(plan, sender, ends) else Promise(reasons=frozenset({EGRESS_DENIED}))


def service_of(plan: PolicyPlan, sender: PlannedWorkload, ends: Ends) -> tuple[PlannedService, PlannedPort] | None:
    """The service that is called, and by which of its ports: at an address of its own, or at the sender's node."""
    for service in plan.services:
        if service.network != sender.network or ends.dst.version not in service.versions:
            continue
        for port in service.ports:
            is_protocol = wire.PROTOCOLS[port.protocol] == ends.protocol
            if is_protocol and (ends.dst, ends.dst_port) in _fronts(plan, sender.place, service, port):
                return service, port
    return None


def _fronts(
    plan: PolicyPlan, place: str, service: PlannedService, port: PlannedPort
) -> Iterator[tuple[planned.Address, int]]:
    """Of all families."""
    for version in service.versions:
        yield planned.cluster_ip(service, version), port.port
        if service.is_shown:
            yield external_address(service, version), port.port
        if plan.has_node_ports(service) and plan.lets_in and place in planned.DEVICES:
            yield planned.node_address(place, version), planned.node_port(plan, service, port)


def _of_service(
    plan: PolicyPlan, sender: PlannedWorkload, service: PlannedService, port: PlannedPort, ends: Ends
) -> Promise:
    version = ends.dst.version
    backends: Collection[expected.Place] = (
        expected.stays(plan, service, port, version)
        if service.is_storage
        else expected.backends(plan, service, port, version, planned.node_of(sender))
    )
    if not backends:
        return Promise(is_refused=True)
    reached = frozenset(_landings(plan, sender, backends))
    lost = {(address, at) for address, at in backends} - {(landing.address, landing.port) for landing in reached}
    whys = (may_send(plan, sender, replace(ends, dst=address, dst_port=at)) for address, at in lost)
    reasons = frozenset("no_route" if is_allowed else EGRESS_DENIED for is_allowed in whys)
    return Promise(landings=reached, reasons=WHEN_CROWDED | reasons)


def _landings(plan: PolicyPlan, sender: PlannedWorkload, places: Iterable[expected.Place]) -> Iterator[Landing]:
    """Of those to which something leads."""
    for address, port in places:
        workload = planned.workload_of(plan, sender.network, address)
        if workload is not None and planned.is_reachable(plan, sender.place, workload):
            yield Landing(address=address, port=port, host=workload.host)
