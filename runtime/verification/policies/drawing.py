"""Hypothesis strategies for plans, for the next state of a cluster, and for mistakes."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from hypothesis import strategies as st

from runtime.verification.policies.entrances import RANGES
from runtime.verification.policies.isolating import PEERS
from runtime.verification.policies.isolating import PORTS as ISOLATED_PORTS
from runtime.verification.policies.meshes import PORTS, PREFIXES
from runtime.verification.policies.plan import (
    DEVICES,
    NETWORK_NAMES,
    PROXY_PLACES,
    PlannedBackend,
    PlannedCrossing,
    PlannedDirection,
    PlannedFarBackend,
    PlannedGateway,
    PlannedGrant,
    PlannedIsolation,
    PlannedNetwork,
    PlannedPort,
    PlannedRanges,
    PlannedRedirect,
    PlannedRule,
    PlannedService,
    PlannedWorkload,
    PolicyPlan,
)

T = TypeVar("T")
_BOTH, _V4, _V6 = (4, 6), (4,), (6,)
_NETWORKS = st.builds(
    PlannedNetwork,
    versions=st.sampled_from((_BOTH, _BOTH, _BOTH, _V4, _V6)),
    is_wide=st.booleans(),
    has_second=st.booleans(),
    mtu=st.sampled_from((1450, 1450, 1450, 1400, 1280, 9000)),
    has_id=st.sampled_from((True, True, False)),
)
_PLACES = st.sampled_from((*4 * ["dpu-a"], *3 * ["dpu-b"], "nowhere", "bare"))
_PORTS = st.builds(
    PlannedPort,
    protocol=st.sampled_from(("TCP", "TCP", "TCP", "UDP", "UDP", "SCTP")),
    port=st.sampled_from((53, 80, 443)),
    target=st.sampled_from((None, 8080, 0x1F41)),
)
_BACKENDS = st.builds(
    PlannedBackend,
    workload=st.integers(0, 5),
    port=st.sampled_from((None, None, 9000)),
    weight=st.sampled_from((1, 1, 2, 5)),
    by_address=st.sampled_from((False, False, True)),
    is_ready=st.sampled_from((True, True, True, False)),
)
_RULE = st.builds(
    PlannedRule,
    prefixes=st.lists(st.integers(0, len(PREFIXES) - 1), max_size=2, unique=True).map(tuple),
    ports=st.lists(st.integers(0, len(PORTS) - 1), max_size=2, unique=True).map(tuple),
)
_RANGES = st.dictionaries(st.integers(0, len(RANGES) - 1), st.booleans(), min_size=1, max_size=4).map(
    lambda found: PlannedRanges(
        allow=tuple(number for number, is_allowed in found.items() if is_allowed),
        deny=tuple(number for number, is_allowed in found.items() if not is_allowed),
    )
)
_FEW_RULES = st.lists(_RULE, max_size=2).map(tuple)
_DIRECTION = st.builds(
    PlannedDirection,
    include=st.one_of(st.none(), st.none(), _FEW_RULES),
    exclude=st.one_of(st.just(()), _FEW_RULES),
    deny=st.one_of(st.just(()), st.just(()), _FEW_RULES),
)

_GRANT = st.builds(
    PlannedGrant,
    peers=st.lists(st.integers(0, len(PEERS) - 1), max_size=3, unique=True).map(tuple),
    ports=st.lists(st.integers(0, len(ISOLATED_PORTS) - 1), max_size=3, unique=True).map(tuple),
).filter(lambda grant: grant.peers or grant.ports)
_GRANTS = st.none() | st.lists(_GRANT, max_size=3).map(tuple)
_ISOLATION = st.builds(
    PlannedIsolation,
    app=st.sampled_from(("", "web", "web", "db")),
    team=st.sampled_from(("shop", "shop", "shop", "ops")),
    number=st.integers(0, 1),
    ingress=_GRANTS,
    egress=_GRANTS,
).filter(lambda isolation: isolation.ingress is not None or isolation.egress is not None)

_FAR_BACKENDS = st.builds(
    PlannedFarBackend,
    workload=st.integers(0, 6),
    port=st.sampled_from((None, None, 9000)),
    weight=st.sampled_from((1, 1, 2)),
)
_CROSSING = st.builds(
    PlannedCrossing,
    host=st.integers(10, 11),
    versions=st.sampled_from((_BOTH, _BOTH, _V4, _V6)),
    ports=st.lists(_PORTS, min_size=1, max_size=2, unique_by=lambda p: (p.protocol, p.port)).map(tuple),
    app=st.sampled_from(("", "web")),
    backends=st.lists(_FAR_BACKENDS, max_size=4, unique_by=lambda b: b.workload).map(tuple),
    algorithm=st.sampled_from(("Maglev", "Maglev", "SourceHash", "Random", "RoundRobin", "LeastConnections")),
    ranges=st.none() | st.none() | _RANGES,
)
_CROSSINGS = st.just([]) | st.lists(_CROSSING, min_size=1, max_size=2, unique_by=lambda crossing: crossing.host)
_GATEWAYS = st.lists(
    st.builds(PlannedGateway, device=st.sampled_from(DEVICES), versions=st.sampled_from((_BOTH, _BOTH, _V4, _V6))),
    min_size=1,
    max_size=2,
    unique_by=lambda gateway: gateway.device,
).map(tuple)


def _redirect(networks: tuple[PlannedNetwork, ...]) -> st.SearchStrategy[PlannedRedirect]:
    ways = st.tuples(st.one_of(st.none(), _DIRECTION), st.one_of(st.none(), _DIRECTION)).filter(any)
    return ways.flatmap(
        lambda way: st.builds(
            PlannedRedirect,
            network=st.integers(0, len(networks) - 1),
            app=st.sampled_from(("", "web", "db")),
            team=st.sampled_from(("shop", "shop", "shop", "ops")),
            of_all_teams=st.booleans(),
            is_closed=st.booleans(),
            limit=st.sampled_from((None, None, (1, 1), (2, 3), (1000, 4))),
            outbound=st.just(way[0]),
            inbound=st.just(way[1]),
        )
    )


@st.composite
def _proxies(draw: st.DrawFn, networks: tuple[PlannedNetwork, ...]) -> tuple[PlannedWorkload, ...]:
    """Most of those that there could be."""
    made = [
        PlannedWorkload(network=number, host=host, versions=draw(_some_of(network.versions)), place=place, app="")
        for number, network in enumerate(networks)
        for host, place in PROXY_PLACES.items()
    ]
    return draw(_kept(tuple(made)))


def _workload(networks: tuple[PlannedNetwork, ...]) -> st.SearchStrategy[PlannedWorkload]:
    return st.integers(0, len(networks) - 1).flatmap(
        lambda number: st.builds(
            PlannedWorkload,
            network=st.just(number),
            host=st.integers(10, 15),
            versions=_some_of(networks[number].versions),
            place=_PLACES,
            vlan=st.sampled_from((0, 0, 0, 100, 4094)),
            app=st.sampled_from(("web", "web", "web", "db", "")),
            team=st.sampled_from(("shop", "shop", "shop", "ops")),
        )
    )


def _some_of(versions: tuple[int, ...]) -> st.SearchStrategy[tuple[int, ...]]:
    return st.sampled_from((versions, versions, versions[:1], versions[-1:]))


def _service(networks: tuple[PlannedNetwork, ...], homes: tuple[int, ...]) -> st.SearchStrategy[PlannedService]:
    """In a network that has workloads."""
    return st.sampled_from(homes).flatmap(
        lambda number: st.builds(
            PlannedService,
            network=st.just(number),
            host=st.integers(10, 13),
            versions=st.sampled_from((networks[number].versions, networks[number].versions, _V4, _BOTH)),
            is_inside=st.sampled_from((False, False, True)),
            ports=st.lists(_PORTS, min_size=1, max_size=2, unique_by=lambda p: (p.protocol, p.port)).map(tuple),
            app=st.sampled_from(("web", "web", "web", "db", "")),
            team=st.sampled_from(("shop", "shop", "shop", "ops")),
            backends=st.lists(_BACKENDS, max_size=3, unique_by=lambda b: b.workload).map(tuple),
            is_kubernetes=st.sampled_from((False, False, True)),
            algorithm=st.sampled_from(("Maglev", "Maglev", "SourceHash", "Random", "RoundRobin", "LeastConnections")),
            is_local=st.sampled_from((False, False, False, True)),
            distribution=st.sampled_from(("", "", "PreferSameZone", "PreferSameNode", "PreferClose")),
            affinity_s=st.sampled_from((0, 0, 0, 30, 60, 10_800)),
            is_storage=st.sampled_from((False, False, False, True)),
            shares_data=st.booleans(),
            is_shown=st.booleans(),
            ranges=st.none() | st.none() | _RANGES,
        ).map(_as_it_may_be)
    )


def _as_it_may_be(service: PlannedService) -> PlannedService:
    """Who counts connections remembers no clients (`compiler.policy.affinities`). Ranges are about external addresses;
    those of a Kubernetes Service are all allowed, or all denied."""
    ranges = service.ranges if service.is_shown else None
    if ranges is not None and service.is_kubernetes and ranges.allow:
        ranges = replace(ranges, deny=())
    affinity_s = 0 if service.algorithm == "LeastConnections" else service.affinity_s
    return replace(service, affinity_s=affinity_s, ranges=ranges)


def _address_of(workload: PlannedWorkload) -> tuple[int, int]:
    return workload.network, workload.host


def _name_of(isolation: PlannedIsolation) -> tuple[str, str, int]:
    return isolation.team, isolation.app, isolation.number


def _frontend_of(service: PlannedService) -> tuple[int, int, bool]:
    return service.network, service.host, service.is_inside


@st.composite
def plans(draw: st.DrawFn) -> PolicyPlan:
    """Right in all but what `expected.load_codes` says."""
    count = draw(st.integers(1, len(NETWORK_NAMES)))
    networks = tuple(draw(_NETWORKS) for _ in range(count))
    workloads = tuple(draw(st.lists(_workload(networks), min_size=2, max_size=7, unique_by=_address_of)))
    homes = tuple(sorted({workload.network for workload in workloads}))
    services = draw(st.lists(_service(networks, homes), min_size=1, max_size=4, unique_by=_frontend_of))
    return sound(
        PolicyPlan(
            networks=networks,
            workloads=workloads,
            services=tuple(services),
            underlay=draw(st.sampled_from((*3 * ["shared"], *5 * ["routed"], "split", "none"))),
            underlay_mtu=draw(st.sampled_from((1500, 1500, 9100))),
            has_zones=draw(st.booleans()),
            has_orphan=draw(st.sampled_from((False, False, False, True))),
            proxies=draw(_proxies(networks)),
            redirects=tuple(draw(st.lists(_redirect(networks), max_size=3, unique=True))),
            isolations=tuple(draw(st.just([]) | st.lists(_ISOLATION, min_size=1, max_size=3, unique_by=_name_of))),
            crossings=tuple(draw(_CROSSINGS)),
            gateways=draw(_GATEWAYS),
            at_nodes=draw(st.sampled_from((None, None, *range(count)))),
        )
    )


def sound(plan: PolicyPlan) -> PolicyPlan:
    """Without backends that name the same address and port twice."""
    return replace(
        plan,
        services=tuple(_with_single_backends(plan, service) for service in plan.services),
        crossings=tuple(_with_single_far_backends(plan, crossing) for crossing in plan.crossings),
    )


def _with_single_far_backends(plan: PolicyPlan, crossing: PlannedCrossing) -> PlannedCrossing:
    kept = {plan.far_backend_of(backend): backend for backend in reversed(crossing.backends)}
    return replace(crossing, backends=tuple(reversed(kept.values())))


def _with_single_backends(plan: PolicyPlan, service: PlannedService) -> PlannedService:
    near = len(plan.workloads_of(service.network))
    kept = {backend.workload % near: backend for backend in reversed(service.backends)} if near else {}
    single = replace(service, backends=tuple(reversed(kept.values())))
    return _as_storage(plan, single) if service.is_storage else single


def _as_storage(plan: PolicyPlan, service: PlannedService) -> PlannedService:
    """A service without targets or ports of TCP stays one. In no family are all targets out of service."""
    ports = tuple(port for port in service.ports if port.protocol == "TCP")
    if not ports or not service.backends:
        return replace(service, is_storage=False)
    targets = [(plan.backend_of(service, backend), backend) for backend in service.backends]
    held = {version for workload, _ in targets if workload is not None for version in workload.versions}
    up = {version for workload, b in targets if workload is not None and b.is_ready for version in workload.versions}
    backends = service.backends if held == up else tuple(replace(b, is_ready=True) for b in service.backends)
    return replace(
        service,
        ports=ports,
        backends=backends,
        is_kubernetes=False,
        is_local=False,
        distribution="",
        affinity_s=0,
        app="",
        algorithm="SourceHash",
        is_shown=False,
        ranges=None,
    )


@st.composite
def next_plans(draw: st.DrawFn, plan: PolicyPlan) -> PolicyPlan:
    """Another state of the same cluster: networks and links stay, all else comes and goes."""
    workloads = {_address_of(w): w for w in (*draw(_kept(plan.workloads)), *draw(_some(_workload(plan.networks))))}
    homes = tuple(sorted({workload.network for workload in workloads.values()}))
    if not homes:
        return plan
    made = draw(st.lists(_service(plan.networks, homes), max_size=2))
    kept = [service for service in draw(_kept(plan.services)) if service.network in homes]
    services = {_frontend_of(service): service for service in (*made, *kept)}
    proxies = {_address_of(proxy): proxy for proxy in (*draw(_proxies(plan.networks)), *draw(_kept(plan.proxies)))}
    redirects = dict.fromkeys((*draw(_kept(plan.redirects)), *draw(_some(_redirect(plan.networks)))))
    isolations = {
        _name_of(made): made for made in (*draw(_kept(plan.isolations)), *draw(st.just([]) | _some(_ISOLATION)))
    }
    changed = replace(
        plan,
        workloads=tuple(workloads.values()),
        services=tuple(services.values()),
        proxies=tuple(proxies.values()),
        redirects=tuple(redirects),
        isolations=tuple(isolations.values()),
        crossings=tuple({made.host: made for made in (*draw(_CROSSINGS), *draw(_kept(plan.crossings)))}.values()),
        gateways=draw(
            st.sampled_from((True, True, False)).flatmap(lambda keeps: st.just(plan.gateways) if keeps else _GATEWAYS)
        ),
        at_nodes=draw(st.sampled_from((plan.at_nodes, plan.at_nodes, None, 0))),
    )
    return sound(changed)


def _kept(items: tuple[T, ...]) -> st.SearchStrategy[tuple[T, ...]]:
    """Most of them."""
    chosen = st.lists(st.sampled_from((True, True, True, False)), min_size=len(items), max_size=len(items))
    return chosen.map(lambda keeps: tuple(item for item, is_kept in zip(items, keeps, strict=True) if is_kept))


def _some(items: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    return st.lists(items, max_size=2)
