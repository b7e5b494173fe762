"""What a plan promises to a packet that belongs to no known connection, told without a look at any entry.

Devices must hold what the plan asks for. Addresses are the same in all networks, so only the sender's own counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.verification import wire
from runtime.verification.policies import expected
from runtime.verification.policies import plan as planned
from runtime.verification.policies.plan import PlannedPort, PlannedService, PlannedWorkload, PolicyPlan
from runtime.verification.speaking import Ends

_PROTOCOLS = {"TCP": wire.TCP, "UDP": wire.UDP}
_WHEN_CROWDED = frozenset({"flow_table_full", "flow_clash"})
"""Why an opening may be dropped even though there is a backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Where the packet may be delivered, by destination address and port as they arrive; why it may be dropped.

    With neither, it is left alone. `is_refused`: the sender is told at once that nobody is there.
    """

    places: frozenset[expected.Place] = frozenset()
    reasons: frozenset[str] = frozenset()
    is_refused: bool = False

    @property
    def is_untouched(self) -> bool:
        return not self.places and not self.reasons and not self.is_refused

    def __str__(self) -> str:
        if self.is_refused:
            return "refused"
        if self.is_untouched:
            return "left alone"
        places = ", ".join(f"{address} port {port}" for address, port in sorted(self.places, key=str))
        return f"delivered to {places or 'nobody'}, or dropped as {', '.join(sorted(self.reasons)) or 'nothing'}"


def promise(plan: PolicyPlan, sender: PlannedWorkload, ends: Ends) -> Promise:
    found = service_of(plan, sender.network, ends)
    if found is not None:
        return _of_service(plan, sender, *found, ends.dst.version)
    receiver = _workload(plan, sender.network, ends.dst)
    if receiver is not None and planned.is_reachable(plan, sender.place, receiver):
        return Promise(places=frozenset({(ends.dst, ends.dst_port)}))
    return Promise()


def service_of(plan: PolicyPlan, network: int, ends: Ends) -> tuple[PlannedService, PlannedPort] | None:
    """The service that is called, and by which of its ports."""
    for service in plan.services:
        version = ends.dst.version
        if service.network != network or version not in service.versions:
            continue
        for port in service.ports:
            is_port = (_PROTOCOLS[port.protocol], port.port) == (ends.protocol, ends.dst_port)
            if is_port and planned.cluster_ip(service, version) == ends.dst:
                return service, port
    return None


def _of_service(
    plan: PolicyPlan, sender: PlannedWorkload, service: PlannedService, port: PlannedPort, version: int
) -> Promise:
    backends = expected.backends(plan, service, port, version, planned.node_of(sender))
    reached = frozenset(place for place in backends if _leads_there(plan, sender, place[0]))
    if not backends:
        return Promise(is_refused=True)
    lost = frozenset({"no_route"}) if len(reached) < len(backends) else frozenset[str]()
    return Promise(places=reached, reasons=_WHEN_CROWDED | lost)


def _leads_there(plan: PolicyPlan, sender: PlannedWorkload, address: planned.Address) -> bool:
    workload = _workload(plan, sender.network, address)
    return workload is not None and planned.is_reachable(plan, sender.place, workload)


def _workload(plan: PolicyPlan, network: int, address: planned.Address) -> PlannedWorkload | None:
    """Whose address it is in a network."""
    version = address.version
    return next(
        (
            workload
            for workload in plan.workloads_of(network)
            if version in workload.versions and planned.workload_address(workload, version) == address
        ),
        None,
    )
