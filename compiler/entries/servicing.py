"""Entries of services: addresses and ports, groups of backends, members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from compiler.diagnostic import Report
from compiler.entries import codes
from compiler.entries.admitting import range_entries
from compiler.entries.crossing import Crossings
from compiler.entries.directing import DirectWays
from compiler.entries.identity import router_mac
from compiler.entries.numbers import Numbers, member_ids
from compiler.entries.storing import storage_entries
from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import (
    ActionCall,
    Entries,
    EntryKey,
    Group,
    GroupRef,
    Member,
    TableEntry,
    Watch,
    WeightedMember,
)
from compiler.pipeline import gateway, serverreturn
from compiler.pipeline.affinity import KEPT_MS
from compiler.policy.policyset import (
    Algorithm,
    Backend,
    Device,
    Front,
    Profile,
    Protocol,
    ServerReturn,
    Service,
    ServicePort,
    Steering,
)
from compiler.span import Span

_MS_PER_S = 1000
_ACTIONS = {
    Algorithm.MAGLEV: "to_service",
    Algorithm.SOURCE_HASH: "to_service_by_source",
    Algorithm.RANDOM: "to_service_by_chance",
    Algorithm.ROUND_ROBIN: "to_service_in_turn",
    Algorithm.LEAST_CONNECTIONS: "to_service_by_count",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """One (service, family, port): its number, its entry, and its backends with the action of each."""

    family: str
    number: int
    entry: TableEntry
    backends: tuple[tuple[ActionCall, Backend], ...]
    steering: Steering | None
    keepers: tuple[tuple[ActionCall, Backend], ...]
    """Backends that a client which is remembered may stay with."""
    ranges: tuple[TableEntry, ...]
    """Which clients outside it lets in."""
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceNumbers:
    """Those of services, and those of portals and registries, by which a packet knows that it is one of storage."""

    services: Numbers[EntryKey]
    portals: Numbers[EntryKey]

    def of(self, service: Service, key: EntryKey) -> int:
        return (self.services if service.steering is None else self.portals).of(key)


def service_entries(
    words: Vocabulary,
    services: Iterable[Service],
    device: Device,
    numbers: ServiceNumbers,
    crossings: Crossings,
    direct: DirectWays,
    previous: Entries,
    report: Report,
    *,
    binds_empty_groups: bool,
) -> Entries:
    """Members, groups and entries of the services of the networks that a device serves.

    Without `binds_empty_groups` no entry points to an empty group, which is a miss either way: BMv2 refuses such ones.
    """
    services = [service for service in services if _is_offered(service, device, report)]
    targets = [t for service in services for t in _targets(words, service, device, numbers, crossings, direct, report)]
    members: list[Member] = []
    groups: list[Group] = []
    entries = [entry for service in services for entry in _vip_entries(words, service)]
    entries += storage_entries(
        words, ((t.number, t.steering, t.span, t.entry.owner) for t in targets if t.steering is not None)
    )
    for family in ("ipv4", "ipv6"):
        of_family = [t for t in targets if t.family == family]
        _add_family(words, family, of_family, device, previous, members, groups, entries)
    _check_group_sizes(words, groups, report)
    if not binds_empty_groups:
        empty = {GroupRef(group_id=group.id) for group in groups if not group.members}
        entries = [entry for entry in entries if entry.action not in empty]
    return Entries(members=tuple(members), groups=tuple(groups), table_entries=tuple(entries))


def _is_offered(service: Service, device: Device, report: Report) -> bool:
    """Whether the profile can do what the service asks for.

    A P4 program cannot look for a source port that is free, nor let a CRC32c follow a translation.
    v1model has one digest a packet, which tells of the connection: no client could be remembered besides. Its selectors
    know no turns and count nothing.
    """
    if device.profile is not Profile.V1MODEL:
        return True
    if service.algorithm in (Algorithm.ROUND_ROBIN, Algorithm.LEAST_CONNECTIONS):
        message = (
            f"service '{service.key}' has algorithm {service.algorithm}; device '{device.name}' has profile v1model"
        )
        hint = "an action selector of P4 picks by a hash; profiles ebpf and model have turns and counts"
        report.add(
            codes.ALGORITHM_NOT_OFFERED, service.span, message, expected="Maglev, SourceHash or Random", hint=hint
        )
        return False
    if service.is_across and service.fronts(device):
        message = f"device '{device.name}' with profile v1model is no gateway of service '{service.key}'"
        hint = "a P4 program cannot look for a source port that is free; profiles ebpf and model do"
        report.add(codes.GATEWAY_NOT_OFFERED, service.span, message, expected="profile ebpf or model", hint=hint)
        return False
    if any(port.protocol is Protocol.SCTP for port in service.ports):
        message = f"service '{service.key}' has a port of SCTP; device '{device.name}' has profile v1model"
        hint = "a P4 program cannot let SCTP's checksum, a CRC32c, follow a translation; profiles ebpf and model do"
        report.add(codes.PROTOCOL_NOT_OFFERED, service.span, message, expected="TCP or UDP", hint=hint)
        return False
    if service.server_return is ServerReturn.DIRECT:
        message = f"service '{service.key}' has server return Direct; device '{device.name}' has profile v1model"
        hint = "a P4 program has no connections that it sees one side of; profiles ebpf and model do"
        report.add(codes.RETURN_NOT_OFFERED, service.span, message, expected="server return Entrance", hint=hint)
        return False
    if not (service.affinity_s or service.is_portal):
        return True
    what, expected = f"service '{service.key}' has sessionAffinity ClientIP", "sessionAffinity None"
    if service.is_portal:
        what, expected = f"portal '{service.key}' keeps hosts at their targets", "profile ebpf or model"
    message = f"{what}; device '{device.name}' has profile v1model"
    hint = "profiles ebpf and model remember clients"
    report.add(codes.AFFINITY_NOT_OFFERED, service.span, message, expected=expected, hint=hint)
    return False


def _targets(
    words: Vocabulary,
    service: Service,
    device: Device,
    numbers: ServiceNumbers,
    crossings: Crossings,
    direct: DirectWays,
    report: Report,
) -> Iterator[_Target]:
    for address in service.vips:
        if not service.is_across and service.network.gateway(address.version) is None:
            message = (
                f"network '{service.network.name}' has no IPv{address.version} gateway: a backend that "
                f"calls service '{service.key}' and is chosen itself gets no answer"
            )
            report.add(codes.NO_GATEWAY, service.span, message)
    for front in service.fronts(device):
        gateways = device.gateway_address if service.is_across else service.network.gateway
        hairpin = int(gateways(front.address.version) or 0)
        backends = service.backends(front.port, front.address, device)
        yield _target(words, service, front, hairpin, backends, numbers, crossings, direct)


def _owner(service: Service, port: ServicePort) -> str:
    return f"{service.kind} {service.key}:{port.name or port.port}"


def _target(
    words: Vocabulary,
    service: Service,
    front: Front,
    hairpin: int,
    backends: tuple[Backend, ...],
    numbers: ServiceNumbers,
    crossings: Crossings,
    direct: DirectWays,
) -> _Target:
    address, port = front.address, front.port
    family = f"ipv{address.version}"
    table = f"service_{family}"

    owner = _owner(service, port)
    key = words.key(
        table,
        network=service.network.id,
        address=address,
        protocol=port.protocol.number,
        port=front.number,
    )
    number = numbers.of(service, key)
    call = words.call(
        f"{_ACTIONS[service.algorithm]}_{family}",
        service_id=number,
        hairpin=hairpin,
        affinity_ms=KEPT_MS if service.is_portal else _MS_PER_S * service.affinity_s,
    )
    if service.is_direct(address):
        called = _called_directly(words, service, port, backends, direct)
    else:
        called = _called(words, family, backends, crossings)
    stays = service.keepers(port, address.version) if service.is_portal else backends
    return _Target(
        family=family,
        number=number,
        entry=TableEntry(table=table, matches=key.matches, action=call, owner=owner, span=front.span),
        backends=called,
        steering=service.steering,
        keepers=_called(words, family, stays, crossings) if service.is_portal or service.affinity_s else (),
        ranges=tuple(range_entries(words, service, address, number, owner)),
        span=front.span,
    )


def _add_family(
    words: Vocabulary,
    family: str,
    targets: list[_Target],
    device: Device,
    previous: Entries,
    members: list[Member],
    groups: list[Group],
    entries: list[TableEntry],
) -> None:
    selector = f"backends_{family}"
    calls: dict[ActionCall, Backend] = {}
    for target in targets:
        for call, backend in target.backends:
            calls.setdefault(call, backend)
    ids = member_ids(calls, previous, selector)
    members.extend(
        Member(selector=selector, id=number, action=call, span=calls[call].span) for call, number in ids.items()
    )
    for target in targets:
        weights: dict[int, int] = {}
        for call, backend in target.backends:
            number = ids[call]
            weights[number] = weights.get(number, 0) + backend.weight
        watched = _watched(target, device, ids)
        chosen = tuple(
            WeightedMember(member_id=number, weight=weights[number], watch=watched.get(number))
            for number in sorted(weights)
        )
        groups.append(Group(selector=selector, id=target.number, members=chosen, span=target.span))
        reference = GroupRef(group_id=target.number)
        entries.append(
            words.entry(f"backend_{family}", reference, target.span, target.entry.owner, service_id=target.number)
        )
        entries.append(target.entry)
        entries.extend(_staying_entries(words, target))
        entries.extend(target.ranges)


def _called(
    words: Vocabulary, family: str, backends: Iterable[Backend], crossings: Crossings
) -> tuple[tuple[ActionCall, Backend], ...]:
    """The action of each backend, but for those of other networks that this device does not reach."""
    found: list[tuple[ActionCall, Backend]] = []
    for backend in backends:
        action, where = f"to_backend_{family}", {"address": backend.address, "port": backend.port}
        if backend.network is not None:
            crossing = crossings.number_of(family, backend)
            if crossing is None:
                continue
            action, where = f"{gateway.BACKEND_ACTION}_{family}", {**where, "crossing": crossing}
        found.append((words.call(action, **where), backend))
    return tuple(found)


def _called_directly(
    words: Vocabulary, service: Service, port: ServicePort, backends: Iterable[Backend], direct: DirectWays
) -> tuple[tuple[ActionCall, Backend], ...]:
    """The action of each backend that answers by itself, but for those that cannot."""
    hops = ((direct.hop_to(service, backend, port.protocol), backend) for backend in backends)
    return tuple(
        (
            words.call(
                f"{serverreturn.BACKEND_ACTION}_ipv{backend.address.version}",
                address=backend.address,
                port=backend.port,
                nexthop=hop,
            ),
            backend,
        )
        for hop, backend in hops
        if hop is not None
    )


def _staying_entries(words: Vocabulary, target: _Target) -> Iterator[TableEntry]:
    """Of a service with affinity those that the client's next connection might get, of a portal more (`keepers`)."""
    for call, backend in target.keepers:
        address, port, *crossing = call.arguments
        yield words.entry(
            f"affinity_backend_{target.family}",
            words.call("may_stay"),
            backend.span,
            target.entry.owner,
            service_id=target.number,
            address=address,
            port=port,
            crossing=crossing[0] if crossing else 0,
        )


def _watched(target: _Target, device: Device, ids: Mapping[ActionCall, int]) -> dict[int, Watch]:
    """By member, the ports of storage targets that are behind this device: one that is down takes no new hosts."""
    if target.steering is None:
        return {}
    ports = ((ids[call], device.port_of(b.workload)) for call, b in target.backends if b.workload is not None)
    return {number: Watch(port=port.id) for number, port in ports if port is not None}


def _vip_entries(words: Vocabulary, service: Service) -> Iterator[TableEntry]:
    """Answer for service addresses that workloads take for neighbours: those inside the network's own prefixes."""
    if service.steering is not None and not service.steering.is_portal:
        return
    answer = words.call("answer", mac=router_mac(service.network))
    for address in service.addresses:
        if service.network.holds(address):
            table = "arp" if address.version == 4 else "nd"
            yield words.entry(
                table,
                answer,
                service.span,
                f"{service.kind} {service.key}",
                network=service.network.id,
                address=address,
            )


def _check_group_sizes(words: Vocabulary, groups: Iterable[Group], report: Report) -> None:
    limits = {t.selector.name: t.selector.max_group_size for t in words.pipeline.tables if t.selector is not None}
    for group in groups:
        weight = sum(member.weight for member in group.members)
        if weight > limits[group.selector]:
            message = f"the weights of the backends add up to {weight}; {group.selector} takes {limits[group.selector]}"
            report.add(codes.GROUP_TOO_LARGE, group.span, message, expected=f"at most {limits[group.selector]}")
