"""What services without a network promise to clients outside, told without a look at any entry (docs/services.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from compiler.pipeline.ports import FIRST_PORT, NO_PORT
from runtime.verification import wire
from runtime.verification.meshpromises import received
from runtime.verification.policies import expected
from runtime.verification.policies import plan as planned
from runtime.verification.policies.entrances import Entrance, admit, external_address
from runtime.verification.policies.plan import Address, PlannedCrossing, PlannedPort, PlannedWorkload, PolicyPlan
from runtime.verification.promise import WHEN_CROWDED, Landing, Promise
from runtime.verification.speaking import Ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """What is promised, by the network of the backend. `source` is what backends see."""

    by_network: dict[int, Promise]
    promise: Promise
    source: Address

    def is_seen(self, called: Ends, got: Ends, *, has_moved: bool) -> bool:
        """Whether a backend sees the source that it should: the client's own port unless that is low or in use."""
        is_own = got.src_port == called.src_port
        return (
            got.src == self.source
            and got.src_port >= FIRST_PORT
            and (is_own or has_moved or called.src_port < FIRST_PORT)
        )


def crossing_of(plan: PolicyPlan, entrance: Entrance, ends: Ends) -> tuple[PlannedCrossing, PlannedPort] | None:
    """The service that is called at a gateway, and by which of its ports."""
    for crossing in plan.crossings:
        is_its = ends.dst.version in crossing.versions and external_address(crossing, ends.dst.version) == ends.dst
        for port in crossing.ports if is_its and entrance.network == planned.ACROSS else ():
            if (wire.PROTOCOLS[port.protocol], port.port) == (ends.protocol, ends.dst_port):
                return crossing, port
    return None


def promise_across(plan: PolicyPlan, entrance: Entrance, ends: Ends, flags: str) -> Crossed:
    source = planned.gateway_address(entrance.device, ends.dst.version)
    found = crossing_of(plan, entrance, ends)
    if found is None:
        return Crossed(by_network={}, promise=Promise(), source=source)
    crossing, port = found
    if crossing.ranges is not None and not admit(crossing.ranges, ends.src):
        return Crossed(by_network={}, promise=Promise(reasons=frozenset({"source_denied"})), source=source)
    backends = [
        (workload, place)
        for workload, place in expected.backends_across(plan, crossing, port, ends.dst.version)
        if planned.is_reachable(plan, entrance.device, workload)  # others are no backends there
    ]
    if not backends:
        return Crossed(by_network={}, promise=Promise(is_refused=True), source=source)
    by_network: dict[int, Promise] = {}
    for workload, (address, at) in backends:
        landing = Landing(address=address, port=at, host=workload.host)
        promised = _of_backend(plan, entrance, workload, landing, replace(ends, src=source), flags)
        before = by_network.get(workload.network, Promise())
        by_network[workload.network] = Promise(
            landings=before.landings | promised.landings, reasons=before.reasons | promised.reasons
        )
    reasons = frozenset(reason for promised in by_network.values() for reason in promised.reasons)
    landings = frozenset(landing for promised in by_network.values() for landing in promised.landings)
    return Crossed(
        by_network=by_network,
        promise=Promise(landings=landings, reasons=reasons | WHEN_CROWDED | {NO_PORT}),
        source=source,
    )


def crossed_networks(plan: PolicyPlan, device: str) -> set[int]:
    """Those that have backends of services which a device is a gateway of."""
    return {
        workload.network
        for crossing in plan.crossings
        if any(plan.is_gateway(device, version) for version in crossing.versions)
        for port in crossing.ports
        for version in (4, 6)
        for workload, _ in expected.backends_across(plan, crossing, port, version)
        if version in crossing.versions
    }


def _of_backend(
    plan: PolicyPlan, entrance: Entrance, workload: PlannedWorkload, landing: Landing, seen: Ends, flags: str
) -> Promise:
    """Redirects concern what comes through a tunnel, and not what a gateway brings to a backend of its own."""
    client = PlannedWorkload(network=workload.network, host=0, place=entrance.device, app="", team="")
    return received(
        plan,
        client,
        landing,
        seen,
        is_asked=seen.protocol == wire.TCP and flags == "S" and workload.place != entrance.device,
    )
