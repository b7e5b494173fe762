"""Everything that one device must hold for a set of policies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from compiler.diagnostic import Diagnostic, Report
from compiler.entries import codes, numbers
from compiler.entries.crossing import Crossings
from compiler.entries.directing import DirectWays, direct_networks
from compiler.entries.entering import crossing_entries, entering_entries
from compiler.entries.limiting import limit_entries, limiters
from compiler.entries.networking import network_entries, uplink_entries, ways_into
from compiler.entries.policing import policing_entries
from compiler.entries.reachability import Homes, Local, served_networks
from compiler.entries.redirecting import proxy_entries, rule_entries
from compiler.entries.servicing import ServiceNumbers, service_entries
from compiler.entries.sharing import served_entries
from compiler.entries.sizes import check_sizes
from compiler.entries.succeeding import next_hops
from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import ActionCall, Entries, TableEntry, numbers_of
from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline as whole_pipeline
from compiler.pipeline.metadata import MAX_UPLINK_PORT
from compiler.policy.policyset import Device, PolicySet, PortType, Profile, WorkloadType


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The entries of one device, and what is to be said about them. With an error among it, they must not be used."""

    device: Device
    entries: Entries
    diagnostics: tuple[Diagnostic, ...]


def compile_entries(
    policies: PolicySet, device: Device, previous: Entries | None = None, pipeline: Pipeline | None = None
) -> Desired:
    """What `device` must hold; `previous` is what it holds now, so that numbers keep their meaning."""
    words, report = Vocabulary(pipeline or whole_pipeline()), Report()
    _check_port_numbers(device, report)
    try:
        entries = _entries(words, policies, device, previous or Entries(), report)
    except numbers.NumbersUsedUpError as error:
        report.add(codes.TABLE_TOO_SMALL, device.span, f"device '{device.name}': {error}")
        entries = Entries()
    check_sizes(words, device, entries, report)
    return Desired(device=device, entries=entries, diagnostics=report.sorted())


def _entries(words: Vocabulary, policies: PolicySet, device: Device, previous: Entries, report: Report) -> Entries:
    networks = served_networks(device, policies)
    homes = Homes(policies)
    ways = {network.name: ways_into(words, homes, device, network, report) for network in networks}
    directly = direct_networks(policies) if device.profile is not Profile.V1MODEL else frozenset[str]()
    hops = next_hops(list(chain.from_iterable(ways.values())), directly, words, previous)
    wired: list[TableEntry] = [*uplink_entries(words, device)]
    to_proxies: dict[str, ActionCall] = {}
    own_hops: dict[str, int] = {}
    for network in networks:
        wired.extend(network_entries(words, device, network, ways[network.name], hops))
        wired.extend(entering_entries(words, policies, homes, device, network, hops))
        for way in ways[network.name]:
            if isinstance(way.place, Local):
                workload = way.place.workload
                own_hops[workload.key] = hops.to(way.mover, way.call)
                if workload.type is WorkloadType.PROXY:
                    to_proxies[workload.key] = way.call
    served = {network.name for network in networks}
    services = [s for s in policies.services if s.network.name in served or s.is_across]
    direct = DirectWays(words, policies, homes, device, hops)
    crossings = Crossings(words, policies, homes, device, hops, numbers.crossings(previous), report)
    serving = service_entries(
        words,
        services,
        device,
        ServiceNumbers(services=numbers.services(previous), portals=numbers.portals(previous)),
        crossings,
        direct,
        previous,
        report,
        binds_empty_groups=device.profile is not Profile.V1MODEL,
    )
    wired.extend(crossing_entries(words, policies, device, hops))
    wired.extend(crossings.entries())
    for network in networks:
        if network.name in directly:
            wired.extend(direct.entries(network))
    proxies = proxy_entries(words, networks, device, hops, to_proxies, previous)
    limits = limiters(policies.redirects, device, previous)
    if device.profile is not Profile.V1MODEL:
        wired.extend(served_entries(words, (service for service in services if not service.is_across)))
    rules = (
        *rule_entries(words, policies.redirects, device, limits),
        *limit_entries(words, policies.redirects, limits),
        *policing_entries(words, policies, device, own_hops, directly, report),
    )
    return _sorted(
        Entries(
            members=(*serving.members, *proxies.members),
            groups=(*serving.groups, *proxies.groups),
            table_entries=(*wired, *serving.table_entries, *proxies.table_entries, *rules),
        )
    )


def _sorted(entries: Entries) -> Entries:
    return Entries(
        members=tuple(sorted(entries.members, key=lambda m: (m.selector, m.id))),
        groups=tuple(sorted(entries.groups, key=lambda g: (g.selector, g.id))),
        table_entries=_distinct(entries.table_entries),
    )


def _distinct(entries: Iterable[TableEntry]) -> tuple[TableEntry, ...]:
    """One entry for each key; the first one said wins (a service address equal to a workload's is refused before)."""
    found = {_order(entry): entry for entry in reversed(list(entries))}
    return tuple(found[key] for key in sorted(found))


def _order(entry: TableEntry) -> tuple[str, tuple[tuple[int, ...], ...], int]:
    """What no other entry of a table's kinds of keys has."""
    return entry.table, tuple([numbers_of(match) for match in entry.matches]), entry.priority


def _check_port_numbers(device: Device, report: Report) -> None:
    for port in device.ports:
        is_uplink = port.type is PortType.UPLINK
        if is_uplink == (port.id <= MAX_UPLINK_PORT):
            continue
        low, high = (1, MAX_UPLINK_PORT) if is_uplink else (MAX_UPLINK_PORT + 1, 511)
        message = f"port '{port.name}' of device '{device.name}' has id {port.id}"
        hint = "the parser looks for tunnels on uplinks alone, and knows them by their number"
        report.add(codes.UPLINK_NUMBER, port.span, message, expected=f"{low} to {high}, as its type says", hint=hint)
