"""What must be said of a plan, and which backends stand behind its services: told from the plan, by rules of their own.

The rules are those of docs/policies.md and docs/diagnostics.md, written a second time in few words.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.diagnostic import Code
from compiler.entries import codes as entry_codes
from compiler.policy import codes
from runtime.verification.policies import plan as planned
from runtime.verification.policies.allowances import has_nameless
from runtime.verification.policies.entrances import RANGES
from runtime.verification.policies.plan import PlannedCrossing, PlannedPort, PlannedService, PolicyPlan

Place = tuple[planned.Address, int]
"""Address and port of a backend."""


def backends(
    plan: PolicyPlan, service: PlannedService, port: PlannedPort, version: int, node: str | None = None
) -> dict[Place, int]:
    """The weight of each backend that a service port has in a family, whether anything leads to it or not.

    With `node` those that clients on it are sent to; of a portal those that new hosts get.
    """
    if service.is_storage:
        return _targets(plan, service, port, version)
    found = (
        _cluster_backends(plan, service, port, version)
        if service.is_kubernetes
        else _dpu_backends(plan, service, port, version)
    )
    there = {at for _, at in found}
    nodes = there if node is None else _nodes_for(plan, service, version, node, there)
    return {place: weight for (place, at), weight in found.items() if at in nodes}


def _nodes_for(plan: PolicyPlan, service: PlannedService, version: int, node: str, there: set[str]) -> set[str]:
    """Whose backends clients on a node get; there are some on each of `there`."""
    in_zone = {at for at in there if plan.has_zones and planned.ZONES[at] == planned.ZONES[node]}
    if service.is_local:
        return {node}
    if service.is_kubernetes and not any(_ready_versions(plan, service, version)):
        return there
    if service.distribution == "PreferSameNode" and node in there:
        return {node}
    return in_zone if service.distribution and in_zone else there


def _ready_versions(plan: PolicyPlan, service: PlannedService, version: int) -> Iterator[bool]:
    """Of each endpoint, whether it is ready and of a family."""
    for backend in service.backends:
        workload = plan.backend_of(service, backend)
        yield backend.is_ready and workload is not None and version in workload.versions


def backends_across(
    plan: PolicyPlan, crossing: PlannedCrossing, port: PlannedPort, version: int
) -> set[tuple[planned.PlannedWorkload, Place]]:
    """Of a service without a network: who has an address of a family, and where."""
    target = port.target or port.port
    found = [(plan.far_backend_of(backend), backend.port or target) for backend in crossing.backends]
    found += [(workload, target) for workload in plan.selected_across(crossing)]
    return {(w, (planned.workload_address(w, version), at)) for w, at in found if version in w.versions}


def stays(plan: PolicyPlan, service: PlannedService, port: PlannedPort, version: int) -> set[Place]:
    """Of a portal: where hosts may go, those of before included, which stay with targets that drain."""
    return set(_targets(plan, service, port, version, also_unready=not service.shares_data))


def _targets(
    plan: PolicyPlan, service: PlannedService, port: PlannedPort, version: int, *, also_unready: bool = False
) -> dict[Place, int]:
    found: dict[Place, int] = {}
    for backend in service.backends:
        workload = plan.backend_of(service, backend)
        assert workload is not None
        if version in workload.versions and (backend.is_ready or also_unready):
            found[planned.workload_address(workload, version), backend.port or port.port] = backend.weight
    return found


def _dpu_backends(
    plan: PolicyPlan, service: PlannedService, port: PlannedPort, version: int
) -> dict[tuple[Place, str], int]:
    target = port.target or port.port
    found: dict[tuple[Place, str], int] = {}
    for backend in service.backends:
        workload = plan.backend_of(service, backend)
        assert workload is not None
        versions = workload.versions[:1] if backend.by_address else workload.versions
        if version in versions:
            place = planned.workload_address(workload, version), backend.port or target
            found.setdefault((place, planned.node_of(workload)), backend.weight)
    for workload in plan.selected(service):
        if version in workload.versions:
            found.setdefault(((planned.workload_address(workload, version), target), planned.node_of(workload)), 1)
    return found


def _cluster_backends(
    plan: PolicyPlan, service: PlannedService, port: PlannedPort, version: int
) -> dict[tuple[Place, str], int]:
    """The ready ones; when there are none, those that terminate. Of a local service that is so on each node."""
    target = port.target or port.port
    by_readiness: dict[tuple[str, bool], dict[tuple[Place, str], int]] = {}
    for backend in service.backends:
        workload = plan.backend_of(service, backend)
        if workload is not None and version in workload.versions:
            node = planned.node_of(workload)
            place = planned.workload_address(workload, version), target
            asked = node if service.is_local else ""
            by_readiness.setdefault((asked, backend.is_ready), {}).setdefault((place, node), 1)
    return {
        place: weight
        for (asked, is_ready), found in by_readiness.items()
        if is_ready or (asked, True) not in by_readiness
        for place, weight in found.items()
    }


def load_codes(plan: PolicyPlan) -> set[Code]:
    """Of `compiler.policy.load`."""
    return {
        *_workload_codes(plan),
        *_fabric_codes(plan),
        *_service_codes(plan),
        *_crossing_codes(plan),
        *_redirect_codes(plan),
        *_isolation_codes(plan),
    }


def _workload_codes(plan: PolicyPlan) -> Iterator[Code]:
    places = {workload.place for workload in plan.workloads}
    if "nowhere" in places:
        yield codes.NO_PORT
    if "bare" in places:
        yield codes.NO_DEVICE


def _fabric_codes(plan: PolicyPlan) -> Iterator[Code]:
    if plan.underlay in ("split", "none"):
        yield codes.UNDERLAY_UNREACHABLE
    if any(network.mtu + 50 > plan.underlay_mtu for network in plan.networks):
        yield codes.MTU_TOO_LARGE
    if plan.has_orphan:
        yield codes.ORPHAN_SLICE


def _service_codes(plan: PolicyPlan) -> Iterator[Code]:
    for service in plan.services:
        yield from _range_codes(service)
        if service.app and not service.is_kubernetes and not plan.selected(service):
            yield codes.EMPTY_SELECTOR_MATCH
        if not service.is_kubernetes and not service.is_storage and not service.app and not service.backends:
            yield codes.NO_BACKENDS
        for port in service.ports:
            present = [version for version in service.versions if backends(plan, service, port, version)]
            if service.is_kubernetes and not present:
                yield codes.NO_BACKENDS
            if present and len(present) < len(service.versions):
                yield codes.FAMILY_MISMATCH
            ready = [v for v in present if not service.is_kubernetes or any(_ready_versions(plan, service, v))]
            is_outside = service.is_shown or plan.has_node_ports(service)
            if is_outside and not _is_entered(plan, service.network):
                yield codes.NO_WAY_IN
            if ready and service.distribution not in ("", "PreferSameNode") and not plan.has_zones:
                yield codes.IGNORED_FIELD


def _range_codes(service: PlannedService | PlannedCrossing) -> Iterator[Code]:
    allowed = {RANGES[number].version for number in service.ranges.allow} if service.ranges is not None else set[int]()
    is_shown = isinstance(service, PlannedCrossing) or service.is_shown
    if is_shown and allowed and not set(service.versions) <= allowed:
        yield codes.NOBODY_ALLOWED


def _crossing_codes(plan: PolicyPlan) -> Iterator[Code]:
    for crossing in plan.crossings:
        yield from _range_codes(crossing)
        if crossing.app and not plan.selected_across(crossing):
            yield codes.EMPTY_SELECTOR_MATCH
        if not crossing.app and not crossing.backends:
            yield codes.NO_BACKENDS
        for port in crossing.ports:
            present = [version for version in crossing.versions if backends_across(plan, crossing, port, version)]
            if present and len(present) < len(crossing.versions):
                yield codes.FAMILY_MISMATCH
        for version in crossing.versions:
            if not any(plan.is_gateway(device, version) for device in planned.DEVICES):
                yield codes.NO_WAY_IN


def _is_entered(plan: PolicyPlan, network: int) -> bool:
    """Whether a device lets clients outside into a network."""
    return plan.lets_in and any(w.network == network and w.place in planned.DEVICES for w in plan.everyone)


def _redirect_codes(plan: PolicyPlan) -> Iterator[Code]:
    for redirect in plan.redirects:
        concerned = plan.concerned(redirect)
        if not concerned:
            yield codes.EMPTY_SELECTOR_MATCH
        ways = [way for way in (redirect.outbound, redirect.inbound) if way is not None]
        if redirect.limit is not None and all(way.include == () for way in ways):
            yield codes.LIMIT_OF_NOTHING
        places = {workload.place for workload in concerned if workload.place in planned.DEVICES}
        if any(not plan.proxies_at(place, redirect.network) for place in places):
            yield codes.NO_PROXY


def _isolation_codes(plan: PolicyPlan) -> Iterator[Code]:
    if not all(plan.isolated(isolation) for isolation in plan.isolations):
        yield codes.EMPTY_SELECTOR_MATCH
    if has_nameless(plan):
        yield codes.NO_SUCH_PORT


def entry_codes_of(plan: PolicyPlan, device: str) -> set[Code]:
    """Of `compiler.entries.compile_entries` for a device."""
    served = {workload.network for workload in plan.everyone if workload.place == device}
    found: set[Code] = set()
    for service in plan.services:
        if service.network in served and not set(service.versions) <= set(plan.networks[service.network].versions):
            found.add(entry_codes.NO_GATEWAY)
    other = planned.DEVICES[device == planned.DEVICES[0]]
    is_far = any(workload.place == other and workload.network in served for workload in plan.everyone)
    if is_far and plan.underlay == "split":
        found.add(entry_codes.UNREACHABLE)
    return found
