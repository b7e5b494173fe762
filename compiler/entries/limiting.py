"""Limiters of mesh redirects: a number and a meter for each workload that may open so many connections a second."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from compiler.entries.numbers import Numbers
from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import ActionCall, Entries, Exact, MeterConfig, TableEntry
from compiler.pipeline.redirectlimit import LAST_LIMITER
from compiler.policy.policyset import ConnectionLimit, Device, Redirect, Workload

Place = tuple[int, int]
"""Network and address of a workload."""
_RULES = ("outbound_", "inbound_")


def limiters(redirects: Iterable[Redirect], device: Device, previous: Entries) -> Mapping[str, int]:
    """By the key of each workload behind the device that a policy limits. Who had a limiter keeps it."""
    numbers = Numbers(_known(previous), first=1, last=LAST_LIMITER, of_what="workloads with a limit")
    return {workload.key: _number(workload, numbers) for workload in _limited(redirects, device)}


def _known(previous: Entries) -> dict[Place, int]:
    """By what rules the device holds; a limiter is the second argument of what redirects."""
    return {
        (network.value, workload.value): entry.action.arguments[1]
        for entry in previous.table_entries
        if entry.table.startswith(_RULES) and isinstance(entry.action, ActionCall) and len(entry.action.arguments) > 1
        for network, workload in (entry.matches[:2],)
        if isinstance(network, Exact) and isinstance(workload, Exact) and entry.action.arguments[1]
    }


def _number(workload: Workload, numbers: Numbers[Place]) -> int:
    places = [(workload.network.id, int(address)) for address in workload.addresses]
    return numbers.of(next((place for place in places if numbers.knows(place)), places[0]))


def _limited(redirects: Iterable[Redirect], device: Device) -> Iterator[Workload]:
    """In the order of the device's ports."""
    concerned = {w.key for redirect in redirects if redirect.limit is not None for w in redirect.workloads}
    for port in device.ports:
        if port.workload is not None and port.workload.key in concerned:
            yield port.workload


def limit_entries(
    words: Vocabulary, redirects: Collection[Redirect], limiter_of: Mapping[str, int]
) -> Iterator[TableEntry]:
    """One for each workload and family that it has; of several limits of a workload the lowest counts."""
    addresses = {workload.key: workload.addresses for redirect in redirects for workload in redirect.workloads}
    lowest: dict[str, tuple[ConnectionLimit, Redirect]] = {}
    for redirect in redirects:
        for workload in redirect.workloads if redirect.limit is not None else ():
            if redirect.limit is not None and _is_lower(redirect.limit, lowest.get(workload.key)):
                lowest[workload.key] = redirect.limit, redirect
    for key, number in limiter_of.items():
        limit, redirect = lowest[key]
        rate, owner = limit.connections_per_s, f"MeshRedirect {redirect.key}"
        for family in sorted({f"ipv{address.version}" for address in addresses[key]}):
            call = words.call(f"limit_redirects_{family}")
            entry = words.entry(f"redirect_limit_{family}", call, limit.span, owner, limiter=number)
            yield replace(entry, meter=MeterConfig(cir=rate, cburst=limit.burst, pir=rate, pburst=limit.burst))


def _is_lower(limit: ConnectionLimit, held: tuple[ConnectionLimit, Redirect] | None) -> bool:
    return held is None or (limit.connections_per_s, limit.burst) < (held[0].connections_per_s, held[0].burst)
