"""Entries of NetworkPolicies: whom they concern on a device, and what they allow.

Workloads that the same policies concern, in one network, share a *policy* in each direction. Of such a policy all rules
are put together here: the prefixes of its peers divide the addresses into regions, and in each region the ports of all
rules that hold there are one set. So the device looks up a longest prefix and then a set, whatever was written, and a
part that a block leaves out is a prefix like any other.

A region that allows what the one around it does is left out. Sets are numbered within a policy, so that each entry has
the line behind it; numbers follow from what they stand for and carry no connection, so they may change in any batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

from compiler.diagnostic import Report
from compiler.entries import codes
from compiler.entries.numbers import Numbers
from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import TableEntry
from compiler.pipeline.metadata import LEG_PROXY
from compiler.pipeline.policing import (
    DESTINATION,
    DIRECTIONS,
    PEER,
    PORT,
    PORT_BITS,
    PORT_SHIFT,
    PROTOCOL_BITS,
    SOURCE,
    service,
)
from compiler.policy.policyset import (
    Device,
    Isolation,
    NamedPort,
    Network,
    Peer,
    PolicyRule,
    PolicySet,
    PortRange,
    Prefix,
    Profile,
    Workload,
    WorkloadType,
)
from compiler.span import Span

ANYTHING = ((0, 0),)
"""The set of all ports of all protocols: one prefix of no length."""
NOTHING = 0
"""The number of a policy or a set of ports that is none."""
Ports = tuple[tuple[int, int], ...]
"""Prefixes, as value and length, of protocol and port; sorted, none in another."""


def policing_entries(
    words: Vocabulary,
    policies: PolicySet,
    device: Device,
    hops: Mapping[str, int],
    directly: Collection[str],
    report: Report,
) -> Iterator[TableEntry]:
    """`hops` are the next hops of workloads behind the device's ports, by their keys; `directly` the names of networks
    with services whose backends answer by themselves."""
    here = [port.workload for port in device.ports if port.workload is not None and port.workload.key in hops]
    isolated = _by_workload(policies.isolations)
    of_workload = {w.key: tuple(isolated.get(w.key, ())) for w in here}
    concerned = [workload for workload in here if of_workload[workload.key]]
    if not concerned or not _is_offered(device, concerned, of_workload, report):
        return
    numbered: Numbers[_Policy] = _numbers(_Policy.identity, "policies of workloads")
    wanted: dict[_Policy, None] = {}
    for workload in sorted(concerned, key=lambda w: w.key):
        held = {d: _policy(d, workload, of_workload[workload.key]) for d in DIRECTIONS}
        numbers = {d: numbered.of(policy) if policy is not None else NOTHING for d, policy in held.items()}
        wanted.update((policy, None) for policy in held.values() if policy is not None)
        yield from _workload_entries(words, workload, of_workload[workload.key], numbers, hops[workload.key])
        if workload.network.name in directly:
            yield from _met_entries(words, workload, of_workload[workload.key], numbers, hops[workload.key])
    yield from _proxy_entries(words, here, concerned, hops)
    sets: Numbers[tuple[int, str, Ports]] = _numbers(repr, "sets of ports that policies allow")
    for policy in wanted:
        yield from _policy_entries(words, policy, numbered.of(policy), policies.workloads, sets)


def _is_offered(
    device: Device, concerned: list[Workload], of_workload: Mapping[str, tuple[Isolation, ...]], report: Report
) -> bool:
    """Where learned tables have no store in common, answers are not known in time (`compiler.pipeline.portable`)."""
    if device.profile is not Profile.V1MODEL:
        return True
    policy = of_workload[concerned[0].key][0]
    message = f"NetworkPolicy '{policy.key}' concerns workload '{concerned[0].key}' behind device '{device.name}'"
    hint = "profiles ebpf and model hold them"
    report.add(codes.POLICY_NOT_OFFERED, policy.span, f"{message}, which has profile v1model", hint=hint)
    return False


@dataclass(frozen=True)
class _Policy:
    """The rules of all NetworkPolicies that isolate a workload in one direction.

    `server` is a workload whose named ports differ from those of others, where rules of ingress use names; else None.
    """

    direction: str
    network: Network
    policies: tuple[Isolation, ...] = field(compare=False)
    keys: tuple[str, ...]
    named: tuple[tuple[str, str, int | None], ...]
    server: Workload | None = field(compare=False)

    def identity(self) -> str:
        return repr((self.direction, self.network.id, self.keys, self.named))

    @property
    def owner(self) -> str:
        return _owner(self.policies)

    @property
    def rules(self) -> Iterator[tuple[Isolation, PolicyRule]]:
        return ((p, rule) for p in self.policies for rule in p.rules(self.direction) or ())


def _by_workload(isolations: Iterable[Isolation]) -> Mapping[str, list[Isolation]]:
    """The policies that concern each workload, by its key."""
    found: dict[str, list[Isolation]] = {}
    for isolation in isolations:
        for key in dict.fromkeys(workload.key for workload in isolation.workloads):
            found.setdefault(key, []).append(isolation)
    return found


def _policy(direction: str, workload: Workload, policies: tuple[Isolation, ...]) -> _Policy | None:
    """None where none of them says anything of the direction."""
    isolating = tuple(p for p in policies if p.rules(direction) is not None)
    if not isolating:
        return None
    found = _Policy(direction, workload.network, isolating, tuple(p.key for p in isolating), (), workload)
    if direction == "egress":
        return found
    names = {(p.name, p.protocol) for _, rule in found.rules for p in rule.ports if isinstance(p, NamedPort)}
    named = tuple((name, str(protocol), workload.port_named(name, protocol)) for name, protocol in sorted(names))
    return replace(found, named=named)


def _numbers(identity: Callable[..., str], of_what: str) -> Numbers[Any]:
    def preferred(thing: object) -> int:
        return int.from_bytes(hashlib.sha256(identity(thing).encode()).digest()[:2]) or 1

    return Numbers({}, (), preferred, of_what=of_what)


def _owner(policies: Iterable[Isolation]) -> str:
    """As "NetworkPolicy shop/web, shop/deny"."""
    return "NetworkPolicy " + ", ".join(policy.key for policy in policies)


def _workload_entries(
    words: Vocabulary, workload: Workload, policies: tuple[Isolation, ...], numbers: Mapping[str, int], hop: int
) -> Iterator[TableEntry]:
    network, span, owner = workload.network.id, policies[0].span, _owner(policies)
    source = words.call("isolate_source", policy=numbers["egress"])
    for version in (4, 6):
        yield words.entry(f"{SOURCE}_ipv{version}", source, span, owner, network=network, nexthop=hop)
    yield from _destinations(words, workload, numbers["ingress"], hop, span, owner)


def _met_entries(
    words: Vocabulary, workload: Workload, policies: tuple[Isolation, ...], numbers: Mapping[str, int], hop: int
) -> Iterator[TableEntry]:
    """Of a workload that another device may choose as a backend which answers by itself (`serverreturn.stand_in`)."""
    own = tuple((IPv4Address if address.version == 4 else IPv6Address)(hop) for address in workload.addresses)
    yield from _destinations(
        words, replace(workload, addresses=own), numbers["ingress"], hop, policies[0].span, _owner(policies)
    )


def _destinations(
    words: Vocabulary, workload: Workload, policy: int, hop: int, span: Span, owner: str
) -> Iterator[TableEntry]:
    leg = LEG_PROXY if workload.type is WorkloadType.PROXY else 0
    call = words.call("isolate_destination", policy=policy, nexthop=hop, reply_leg=leg)
    for address in workload.addresses:
        yield words.entry(
            f"{DESTINATION}_ipv{address.version}",
            call,
            span,
            owner,
            prefix_len=address.max_prefixlen,
            network=workload.network.id,
            address=address,
        )


def _proxy_entries(
    words: Vocabulary, here: Iterable[Workload], concerned: Iterable[Workload], hops: Mapping[str, int]
) -> Iterator[TableEntry]:
    """What a proxy answers comes from another leg, which a workload with policies has to know for its answers."""
    networks, keys = {w.network.name for w in concerned}, {w.key for w in concerned}
    for workload in here:
        if workload.type is WorkloadType.PROXY and workload.network.name in networks and workload.key not in keys:
            owner = f"Workload {workload.key}"
            yield from _destinations(words, workload, NOTHING, hops[workload.key], workload.span, owner)


@dataclass(frozen=True, slots=True, eq=False)
class _Grant:
    """A prefix whose addresses are allowed ports, but for those in `excepts`; each set has the line behind it."""

    prefix: Prefix
    excepts: tuple[Prefix, ...]
    ports: tuple[tuple[Ports, Span], ...]
    policy: Isolation
    span: Span


def _policy_entries(
    words: Vocabulary,
    policy: _Policy,
    number: int,
    workloads: tuple[Workload, ...],
    sets: Numbers[tuple[int, str, Ports]],
) -> Iterator[TableEntry]:
    grants = [g for isolation, rule in policy.rules for g in _grants(policy, isolation, rule, workloads)]
    for version in (4, 6):
        family = f"ipv{version}"
        said: dict[int, tuple[Ports, tuple[_Grant, ...]]] = {}
        for region in regions([grant for grant in grants if grant.prefix.version == version]):
            ports = _joined(p for grant in region.grants for p, _ in grant.ports)
            of_set = sets.of((number, f"{policy.direction}_{family}", ports)) if ports else NOTHING
            said.setdefault(of_set, (ports, region.grants))
            first = region.grants[0] if region.grants else None
            yield words.entry(
                f"{PEER[policy.direction]}_{family}",
                words.call("has_ports", ports=of_set),
                first.span if first is not None else region.span,
                _owner([first.policy]) if first is not None else policy.owner,
                prefix_len=region.prefix.prefixlen,
                policy=number,
                peer=region.prefix.network_address,
            )
        for of_set, (ports, held) in said.items():
            yield from _port_entries(words, policy.direction, family, of_set, ports, held)


def _port_entries(
    words: Vocabulary, direction: str, family: str, number: int, ports: Ports, grants: tuple[_Grant, ...]
) -> Iterator[TableEntry]:
    call = words.call(f"allow_{direction}_{family}")
    lines: dict[tuple[int, int], tuple[_Grant, Span]] = {}
    for grant in grants:
        for held, span in grant.ports:
            for prefix in held:
                lines.setdefault(prefix, (grant, span))
    for value, length in ports:
        grant, span = _behind((value, length), lines)
        yield words.entry(
            f"{PORT[direction]}_{family}",
            call,
            span,
            _owner([grant.policy]),
            prefix_len=length,
            ports=number,
            port=value,
        )


def _behind(prefix: tuple[int, int], lines: Mapping[tuple[int, int], tuple[_Grant, Span]]) -> tuple[_Grant, Span]:
    """Who allows a prefix of ports, and the line where it does; of two halves made one, that of the lower."""
    value, length = prefix
    longer = ((value, bits) for bits in range(length + 1, PORT_BITS + 1))
    return next(lines[found] for found in (prefix, *longer) if found in lines)


def _grants(
    policy: _Policy, isolation: Isolation, rule: PolicyRule, workloads: tuple[Workload, ...]
) -> Iterator[_Grant]:
    """What one rule allows. A named port is that of whoever serves: of egress each peer has its own."""
    everyone = (Peer(block=ip_network("0.0.0.0/0"), span=rule.span), Peer(block=ip_network("::/0"), span=rule.span))
    serves_itself = policy.direction == "ingress"
    for peer in everyone if rule.is_everyone else rule.peers:
        if peer.block is not None:
            ports = _rule_ports(rule, policy.server if serves_itself else None)
            if ports:
                yield _Grant(peer.block, peer.excepts, ports, isolation, peer.span)
        for workload in _in(policy.network, peer.workloads):
            ports = _rule_ports(rule, policy.server if serves_itself else workload)
            yield from _of_workload(workload, ports, isolation, peer.span)
    if rule.is_everyone and not serves_itself:
        for workload in _in(policy.network, workloads):
            named = tuple(p for p in rule.ports if isinstance(p, NamedPort))
            ports = _rule_ports(replace(rule, ports=named), workload) if named else ()
            yield from _of_workload(workload, ports, isolation, rule.span)


def _in(network: Network, workloads: Iterable[Workload]) -> Iterator[Workload]:
    return (workload for workload in workloads if workload.network.name == network.name)


def _of_workload(
    workload: Workload, ports: tuple[tuple[Ports, Span], ...], isolation: Isolation, span: Span
) -> Iterator[_Grant]:
    if ports:
        for address in workload.addresses:
            yield _Grant(ip_network(address), (), ports, isolation, span)


def _rule_ports(rule: PolicyRule, server: Workload | None) -> tuple[tuple[Ports, Span], ...]:
    if rule.is_any_port:
        return ((ANYTHING, rule.span),)
    found: list[tuple[Ports, Span]] = []
    for port in rule.ports:
        if isinstance(port, PortRange):
            found.append((_range_prefixes(port.protocol.number, port.first, port.last), port.span))
            continue
        number = server.port_named(port.name, port.protocol) if server is not None else None
        if number is not None:
            found.append((_range_prefixes(port.protocol.number, number, number), port.span))
    return tuple(found)


def _range_prefixes(protocol: int, first: int, last: int) -> Ports:
    """The prefixes that a range of ports of a protocol is made of, the longest run first where it begins."""
    found: list[tuple[int, int]] = []
    while first <= last:
        bits = min((first & -first).bit_length() - 1 if first else 16, (last - first + 1).bit_length() - 1)
        found.append((service(protocol, first), PROTOCOL_BITS + 16 - bits))
        first += 1 << bits
    return tuple(found)


def _joined(parts: Iterable[Ports]) -> Ports:
    """All prefixes of several sets, but those that lie in others, and two halves as the whole."""
    prefixes = {prefix for part in parts for prefix in part}
    for length in range(PORT_BITS - PORT_SHIFT, PROTOCOL_BITS, -1):
        for value in sorted(value for value, of_length in prefixes if of_length == length):
            other = value ^ 1 << (PORT_BITS - length)
            if value < other and (other, length) in prefixes:
                prefixes -= {(value, length), (other, length)}
                prefixes.add((value, length - 1))
    return tuple(sorted(p for p in prefixes if not any(outer in prefixes for outer in _around(p))))


def _around(prefix: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The shorter prefixes that hold one, the longest first."""
    value, length = prefix
    for shorter in range(length - 1, -1, -1):
        yield value >> (PORT_BITS - shorter) << (PORT_BITS - shorter), shorter


@dataclass(frozen=True, slots=True)
class Region:
    """A prefix, and what is allowed there but in longer prefixes; without grants, nothing."""

    prefix: Prefix
    grants: tuple[_Grant, ...]
    span: Span


def regions(grants: Iterable[_Grant]) -> Iterator[Region]:
    """The prefixes of grants of one family and of what they leave out, each with the grants that hold in it.

    One that has the grants of the prefix around it is left out. They come in order, so those around one are a stack.
    """
    begins: dict[Prefix, list[_Grant]] = {}
    ends: dict[Prefix, list[_Grant]] = {}
    for grant in grants:
        begins.setdefault(grant.prefix, []).append(grant)
        for prefix in grant.excepts:
            ends.setdefault(prefix, []).append(grant)
    around: list[tuple[Prefix, tuple[_Grant, ...]]] = []
    for prefix in sorted(begins.keys() | ends.keys(), key=lambda p: (int(p.network_address), p.prefixlen)):
        while around and not (prefix.network_address in around[-1][0] and prefix.prefixlen >= around[-1][0].prefixlen):
            around.pop()
        outside = around[-1][1] if around else ()
        left_out = ends.get(prefix, [])
        inside = (*(g for g in outside if g not in left_out), *begins.get(prefix, []))
        around.append((prefix, inside))
        if inside != outside:
            span = left_out[0].span if left_out else begins[prefix][0].span
            yield Region(prefix, inside, span)
