"""Entries of mesh redirects: the rules of each workload behind the device's own ports, and the proxies there.

A rule is one entry for each workload, prefix and range of ports. Its priority says what overrules what: denied before
excluded, excluded before included, and of what is included that which ends without a proxy before that which goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from compiler.entries.numbers import NextHops, member_ids
from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import (
    ActionCall,
    Entries,
    Group,
    GroupRef,
    Member,
    Range,
    TableEntry,
    Ternary,
    Watch,
    WeightedMember,
)
from compiler.policy.meshredirects import proxies_of
from compiler.policy.policyset import Device, Network, Prefix, Redirect, Redirection, RedirectRule, Workload

INCLUDED_OPEN, INCLUDED_CLOSED, EXCLUDED, DENIED = 1, 2, 3, 4
"""Priorities."""
NO_LIMITER = 0


def rule_entries(
    words: Vocabulary, redirects: Iterable[Redirect], device: Device, limiters: Mapping[str, int]
) -> Iterator[TableEntry]:
    """Rules of the workloads that are behind ports of the device: only there it is known who opens a connection.

    `limiters` are the numbers of those that have a limit, by the workload's key.
    """
    here = {port.workload.key for port in device.ports if port.workload is not None}
    for redirect in redirects:
        for workload in redirect.workloads:
            if workload.key in here:
                concerned = _Concerned(workload=workload, limiter=limiters.get(workload.key, NO_LIMITER))
                yield from _directions(words, redirect, concerned, device)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Concerned:
    workload: Workload
    limiter: int


def _directions(words: Vocabulary, redirect: Redirect, concerned: _Concerned, device: Device) -> Iterator[TableEntry]:
    if redirect.outbound is not None:
        yield from _rules(words, "outbound", redirect, redirect.outbound, concerned)
        yield from _rules(words, "outbound", redirect, _to_proxies(redirect, device), concerned)
    if redirect.inbound is not None:
        yield from _rules(words, "inbound", redirect, redirect.inbound, concerned)


def _to_proxies(redirect: Redirect, device: Device) -> Redirection:
    """A connection to a proxy itself stays one: redirected, the proxy would go on to itself without end."""
    addresses = (address for proxy in proxies_of(device, redirect.network) for address in proxy.addresses)
    own = tuple(
        RedirectRule(cidrs=(ip_network(address),), ports=((0, 65535),), span=redirect.span) for address in addresses
    )
    return Redirection(include=(), exclude=own)


def _rules(
    words: Vocabulary, direction: str, redirect: Redirect, rules: Redirection, concerned: _Concerned
) -> Iterator[TableEntry]:
    included = INCLUDED_CLOSED if redirect.is_closed else INCLUDED_OPEN
    for given, priority, verb, arguments in (
        (rules.include, included, "redirect", {"closed": int(redirect.is_closed), "limiter": concerned.limiter}),
        (rules.exclude, EXCLUDED, "bypass", {}),
        (rules.deny, DENIED, "deny", {}),
    ):
        for rule in given:
            yield from _rule(words, direction, redirect, rule, concerned.workload, priority, (verb, arguments))


def _rule(
    words: Vocabulary,
    direction: str,
    redirect: Redirect,
    rule: RedirectRule,
    workload: Workload,
    priority: int,
    does: tuple[str, dict[str, int]],
) -> Iterator[TableEntry]:
    verb, arguments = does
    for address in workload.addresses:
        call = words.call(f"{verb}_{direction}_ipv{address.version}", **arguments)
        for prefix in rule.prefixes(address.version):
            for low, high in rule.ports:
                yield words.entry(
                    f"{direction}_ipv{address.version}",
                    call,
                    rule.span,
                    f"MeshRedirect {redirect.key}",
                    priority=priority,
                    network=redirect.network.id,
                    workload=address,
                    peer=_ternary(prefix),
                    port=Range(low=low, high=high),
                )


def _ternary(prefix: Prefix | None) -> Ternary:
    if prefix is None:
        return Ternary(value=0, mask=0)
    return Ternary(value=int(prefix.network_address), mask=int(prefix.netmask))


def proxy_entries(
    words: Vocabulary,
    networks: Iterable[Network],
    device: Device,
    hops: NextHops,
    ways: dict[str, ActionCall],
    previous: Entries,
) -> Entries:
    """A group for each network with proxies on the device; each member is watched by its port.

    `ways` has the action that reaches a workload behind one of the device's ports, by the workload's key.
    """
    parts = [
        _family_proxies(words, f"ipv{version}", tuple(networks), device, hops, ways, previous) for version in (4, 6)
    ]
    return Entries(
        members=tuple(m for part in parts for m in part.members),
        groups=tuple(g for part in parts for g in part.groups),
        table_entries=tuple(e for part in parts for e in part.table_entries),
    )


def _family_proxies(
    words: Vocabulary,
    family: str,
    networks: tuple[Network, ...],
    device: Device,
    hops: NextHops,
    ways: dict[str, ActionCall],
    previous: Entries,
) -> Entries:
    selector, version = f"proxies_{family}", int(family[-1])
    found = {network: [w for w in proxies_of(device, network) if w.address(version)] for network in networks}
    calls = {
        w.key: words.call(f"to_proxy_{family}", nexthop=hops.of(ways[w.key])) for held in found.values() for w in held
    }
    by_call = {calls[w.key]: w for held in found.values() for w in held}
    ids = member_ids(by_call, previous, selector)
    groups: list[Group] = []
    entries: list[TableEntry] = []
    for network, held in found.items():
        if not held:
            continue
        members = sorted((ids[calls[w.key]], port.id) for w in held if (port := device.port_of(w)) is not None)
        groups.append(
            Group(
                selector=selector,
                id=network.id,
                members=tuple(WeightedMember(member_id=number, watch=Watch(port=port)) for number, port in members),
                span=held[0].span,
            )
        )
        owner = f"Workload {held[0].key}"
        reference = GroupRef(group_id=network.id)
        entries.append(words.entry(f"proxy_{family}", reference, held[0].span, owner, network=network.id))
    return Entries(
        members=tuple(Member(selector=selector, id=n, action=c, span=by_call[c].span) for c, n in ids.items()),
        groups=tuple(groups),
        table_entries=tuple(entries),
    )
