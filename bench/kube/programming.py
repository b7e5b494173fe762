"""How long rules and tables take: all services at once, one more, one endpoint changed; kube-proxy and Turnout."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.kube.cluster import Api, Cluster
from bench.kube.objects import Served, called, changed, endpoints_of, filling, more, needle
from bench.kube.proxying import Mode, Proxy, proxying
from bench.kube.turnouts import Applied, Written, applied, written
from bench.lab.programs import TrafficError

CHANGES = 100
"""Of each kind, and at every size where they do not take longer than `MOST_S`."""
LEAST_CHANGES, MOST_S = 5, 40.0
APPLIES = 3
REST_S = 1.1
"""Between changes: kube-proxy waits until a second has passed since it last worked (`--iptables-min-sync-period`)."""
CHANGE_S = 120.0
SOUGHT = 8
"""Endpoints that are looked for when all are new: each costs the listener time, which kube-proxy needs."""
TABLE = 10_000
"""Entries that Turnout's table of services holds, one for each port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programmed:
    """kube-proxy in one mode."""

    cold_s: float
    more_s: list[float]
    """From the answer to the last of a client's writes until the rules were in the kernel."""
    changed_s: list[float]
    memory_mb: float
    rules: int
    """That translate to an endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """So many services, and what programming them took."""

    services: int
    there: int
    """Fewer where one more would not fit Turnout's table."""
    proxies: dict[Mode, Programmed]
    applied: Applied
    written: Written


def services_of(size: int, changes: int = CHANGES) -> list[Served]:
    """Those that are called, and others, with room for as many more."""
    first = called()
    ports = sum(len(one.protocols) for one in first)
    return [*first, *filling(0, min(size - len(first), TABLE - ports - changes))]


def programmed(cluster: Cluster, spaces: dict[Mode, str], size: int, changes: int = CHANGES) -> Size:
    """Of a cluster that has these services. One after the other, since each takes all the CPUs that it gets."""
    services = services_of(size, changes)
    return Size(
        services=size,
        there=len(services),
        proxies={mode: programmed_by_proxy(cluster, mode, space, services, changes) for mode, space in spaces.items()},
        applied=applied(services, APPLIES),
        written=written(services, changes),
    )


def sought(services: Sequence[Served]) -> list[str]:
    """Some of the endpoints, first and last among them."""
    endpoints = endpoints_of(services)
    step = max(1, len(endpoints) // SOUGHT)
    return [*endpoints[::step], endpoints[-1]]


def programmed_by_proxy(
    cluster: Cluster, mode: Mode, space: str, services: Sequence[Served], changes: int
) -> Programmed:
    last = len(services) - len(called())
    later, others = [more(number) for number in range(changes)], [changed(number, last) for number in range(changes)]
    with cluster.api() as api:
        with proxying(cluster, mode, space, sought(services)) as proxy:
            time.sleep(REST_S)
            rules, wanted = proxy.endpoint_rules(), sum(len(one.endpoints) * len(one.protocols) for one in services)
            if rules != wanted:
                raise TrafficError(f"kube-proxy ({mode}) has {rules} rules that lead to an endpoint, not {wanted}")
            more_s = _each(proxy, api, later, Api.add, lambda one: one.endpoints)
            changed_s = _each(proxy, api, others, Api.change, lambda one: one.endpoints[1:])
            memory_mb = proxy.peak_memory_mb()
        for one in later[: len(more_s)]:
            api.remove(one)
        for number in {number % last for number in range(len(changed_s))}:
            api.change(next(filling(number, number + 1)))
    return Programmed(cold_s=proxy.cold_s, more_s=more_s, changed_s=changed_s, memory_mb=memory_mb, rules=rules)


def _each(
    proxy: Proxy,
    api: Api,
    services: Sequence[Served],
    write: Callable[[Api, Served], None],
    new: Callable[[Served], Sequence[str]],
) -> list[float]:
    """Seconds from the answer to each write until its `new` endpoints are in the rules; until it takes too long."""
    waits, end = list[float](), time.monotonic() + MOST_S
    for one in services:
        if len(waits) >= LEAST_CHANGES and time.monotonic() > end:
            break
        proxy.commits.expect(needle(endpoint) for endpoint in new(one))
        write(api, one)
        answered = time.perf_counter()
        waits.append(max(0.0, proxy.commits.await_all(CHANGE_S) - answered))
        time.sleep(REST_S)
    return waits
