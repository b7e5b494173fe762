"""A service as policies ask for it and as devices have it: addresses, backends and shares, and what is not served."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from compiler.diagnostic import Diagnostic, did_you_mean
from compiler.policy.policyset import Algorithm, ServerReturn, Service, ServicePort, Steering, TrafficPolicy
from compiler.span import NOWHERE, Span
from runtime.client.errors import ClientError
from runtime.explanation.fleet import Fleet, Placed
from runtime.explanation.frontview import Backend, Front, fronts_of
from runtime.explanation.question import QuestionError
from runtime.explanation.telling import share_words

Numbered = TypeVar("Numbered", ServicePort, Front)
"""What has a port."""

_POLICIES = {
    TrafficPolicy.CLUSTER: ", all backends get connections from all workloads of the network",
    TrafficPolicy.LOCAL: ", each device has the backends of its own node alone",
}

_EXTERNAL_POLICIES = {
    TrafficPolicy.CLUSTER: ", clients outside get all backends",
    TrafficPolicy.LOCAL: ", clients outside get the backends of the node that they come to",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDevice:
    """The service on one device; `why` there is nothing to tell of it, empty when `fronts` tell."""

    device: str
    address: str
    fronts: tuple[Front, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """`service` None: policies name it, and nothing of it is offloaded; `notes` say why."""

    key: str
    service: Service | None
    devices: tuple[OnDevice, ...]
    notes: tuple[Diagnostic, ...]


def view_of(name: str, fleet: Fleet) -> ServiceView:
    """By namespace/name, or by a name that is one service's alone. Raises `QuestionError`."""
    found = {(s.key, s.kind): s for placed in fleet.placed.values() for s in placed.policies.services}
    named = [service for service in found.values() if name in (service.key, service.name)]
    if len({service.key for service in named}) > 1:
        shown = ", ".join(f"{service.key} in network {service.network.name}" for service in named)
        raise QuestionError(f"'{name}' is several services: {shown}; name one as namespace/name")
    if not named:
        return _not_offloaded(name, fleet, [service.key for service in found.values()])
    service = named[0]
    devices = tuple(_on_device(service, placed, fleet) for placed in fleet.placed.values())
    return ServiceView(key=service.key, service=service, devices=devices, notes=_notes(service, fleet))


def _not_offloaded(name: str, fleet: Fleet, known: list[str]) -> ServiceView:
    """Of a service that policies have, and of which nothing is to be programmed."""
    quoted = f"service '{name}'" if "/" in name else f"/{name}'"
    notes = _distinct(d for p in fleet.placed.values() for d in p.diagnostics if quoted in d.message)
    if not notes:
        hint = did_you_mean(name, known)
        where = ", ".join(fleet.placed)
        raise QuestionError(f"no service '{name}' was applied to {where}" + (f"; {hint}" if hint else ""))
    key = notes[0].message.partition("service '")[2].partition("'")[0] or name
    return ServiceView(key=key, service=None, devices=(), notes=notes)


def _on_device(service: Service, placed: Placed, fleet: Fleet) -> OnDevice:
    name, address = placed.device.name, placed.device.address
    applied = next((s for s in placed.policies.services if (s.key, s.kind) == (service.key, service.kind)), None)
    if applied is None:
        return OnDevice(
            device=name, address=address, why="the policies that were applied to it do not have the service"
        )
    if service.is_across and not service.fronts(placed.device):
        why = "it is no gateway of it: it has no gateway address of a family that the service has"
        return OnDevice(device=name, address=address, why=why)
    near = (p.workload for p in placed.device.ports if p.workload is not None)
    if not service.is_across and not any(workload.network.name == service.network.name for workload in near):
        why = f"no workload of network {service.network.name} is behind it, so it needs none of this"
        return OnDevice(device=name, address=address, why=why)
    try:
        live = fleet.device(name)
    except ClientError as problem:
        return OnDevice(device=name, address=address, why=f"cannot be asked: {problem}")
    return OnDevice(device=name, address=address, fronts=tuple(fronts_of(live, applied)))


def _notes(service: Service, fleet: Fleet) -> tuple[Diagnostic, ...]:
    """What checking the policies and making entries has said of it."""
    found: list[Diagnostic] = []
    for name, placed in fleet.placed.items():
        lines = _document_of(service.span, placed.sources)
        said = [*placed.diagnostics, *_of_entries(name, fleet)]
        found += [d for d in said if _concerns(d, service, lines)]
    return _distinct(found)


def _of_entries(name: str, fleet: Fleet) -> Iterable[Diagnostic]:
    try:
        return fleet.device(name).diagnostics
    except ClientError:
        return ()


def _concerns(diagnostic: Diagnostic, service: Service, lines: range) -> bool:
    is_there = diagnostic.span.path == service.span.path and diagnostic.span.line in lines
    return is_there or f"service '{service.key}'" in diagnostic.message


def _document_of(span: Span, sources: Mapping[str, str]) -> range:
    """The lines of the YAML document that something stands in."""
    texts = sources.get(span.path, "").splitlines()
    breaks = [number for number, text in enumerate(texts, 1) if text.startswith("---")]
    first = max((number for number in breaks if number <= span.line), default=0)
    after = min((number for number in breaks if number > span.line), default=len(texts) + 1)
    return range(first, after)


def _distinct(found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(dict.fromkeys(found))


def lines(view: ServiceView) -> Iterator[str]:
    """For people."""
    if view.service is None:
        yield f"service {view.key}: nothing of it is offloaded"
    else:
        service = view.service
        of = "backends in any networks" if service.is_across else f"network {service.network.name}"
        yield f"service {view.key}: {service.kind} of {of}{_place(service.span)}"
        if service.addresses:
            yield f"addresses: {', '.join(map(str, service.addresses))}"
        if service.externals:
            yield f"addresses for clients outside: {', '.join(map(str, service.externals))}"
        yield f"ports: {', '.join(_ports_words(service.ports))}"
        if service.node_ports:
            words = (_port_words(p.name, p.protocol, p.node_port) for p in service.node_ports)
            yield f"node ports, at the addresses of nodes: {', '.join(words)}"
        words = "of two drawn by weight the one with fewer connections" if _is_counted(service) else "by weight"
        yield f"algorithm: {service.algorithm}, {words}"
        yield from _steering_lines(service)
        if not service.is_across:
            policy = service.internal_traffic_policy
            yield f"internal traffic policy: {policy}{_POLICIES[policy]}"
        if service.is_hinted:
            asked = service.traffic_distribution or "as hints say"
            yield f"traffic distribution: {asked}, clients get the backends for their node or zone where there are any"
        if service.externals or service.node_ports:
            policy = service.external_traffic_policy
            yield f"external traffic policy: {policy}{_EXTERNAL_POLICIES[policy]}"
            yield from _return_lines(service)
            yield from _range_lines(service)
    for on in view.devices:
        yield ""
        yield f"{on.device} ({on.address}):" + (f" {on.why}" if on.why else "")
        for alike in _runs(on.fronts, _as_one):
            yield from _front_lines(alike, is_counted=view.service is not None and _is_counted(view.service))
    if view.notes:
        yield ""
        yield "not offloaded, or other than asked for:"
        yield from (f"  {note.severity}[{note.code.id}]: {note.message}{_place(note.span)}" for note in view.notes)


def _return_lines(service: Service) -> Iterator[str]:
    if service.server_return is ServerReturn.DIRECT and service.externals:
        yield (
            "server return: Direct, backends have the addresses for clients outside themselves; their answers leave at "
            "their own devices"
        )


def _range_lines(service: Service) -> Iterator[str]:
    if not (service.bounded or _bounds_node_ports(service)):
        return
    others = "let in" if service.admits_others else "dropped"
    where = [str(address) for address in service.externals if address in service.bounded]
    where += ["node ports"] if _bounds_node_ports(service) else []
    yield f"clients outside, at {', '.join(where)}:"
    for found in service.source_ranges:
        yield f"  {found.prefix}: {'let in' if found.is_allowed else 'dropped'}{_place(found.span)}"
    yield f"  all others: {others}"


def _bounds_node_ports(service: Service) -> bool:
    return service.bounds_node_ports and bool(service.node_ports)


def _steering_lines(service: Service) -> Iterator[str]:
    steering = service.steering
    if steering is None:
        yield f"session affinity: {_affinity_words(service.affinity_s)}"
        return
    if steering.is_portal:
        shared = "share their data" if steering.shared_data else "do not share their data, so a host moves from none"
        yield f"hosts: each keeps its target while it has connections; targets {shared}"
    yield f"class: {'as it comes' if steering.dscp is None else f'DSCP {steering.dscp}'}"
    rate = steering.rate_bps
    yield "rate: " + ("unbounded" if rate is None else f"{rate} bit/s each way, burst {steering.burst} bytes")


def _affinity_words(seconds: int) -> str:
    if not seconds:
        return "None"
    return f"ClientIP, a client stays with its backend until {seconds} s after its last new connection"


def _is_counted(service: Service) -> bool:
    """Then shares follow from connections, and weights say how often a backend is drawn."""
    return service.algorithm is Algorithm.LEAST_CONNECTIONS


def _ports_words(ports: Iterable[ServicePort]) -> Iterator[str]:
    """A range is one."""
    for alike in _runs(ports, lambda port: (port.span, port.name, port.protocol)):
        last = alike[-1].port if len(alike) > 1 else 0
        yield _port_words(alike[0].name, alike[0].protocol, alike[0].port, last)


def _as_one(front: Front) -> tuple[object, ...]:
    """What ports of one range have in common, as far as the device has them alike: backends whose ports are as far."""
    backends = frozenset(replace(one, port=one.port - front.port, words="") for one in front.backends)
    return front.address, front.name, front.protocol, front.span, front.state, front.words, backends


def _runs(items: Iterable[Numbered], key: Callable[[Numbered], object]) -> Iterator[list[Numbered]]:
    """What has one key and a port behind that of the one before, together; in the order of the first ones."""
    runs: list[list[Numbered]] = []
    latest: dict[object, list[Numbered]] = {}
    for item in items:
        run = latest.get(key(item))
        if run is None or run[-1].port + 1 != item.port:
            run = latest[key(item)] = []
            runs.append(run)
        run.append(item)
    yield from runs


def _front_lines(alike: Sequence[Front], *, is_counted: bool) -> Iterator[str]:
    front, last = alike[0], alike[-1].port if len(alike) > 1 else 0
    port = _port_words(front.name, front.protocol, front.port, last)
    yield f"  {front.address}, {port}: {front.state}, {front.words}{_place(front.span)}"
    width = max((len(backend.words) for backend in front.backends), default=0)
    for backend in front.backends:
        share = "" if backend.share is None or is_counted else f", {share_words(backend.share)}"
        yield f"    {backend.words:<{width}}  {backend.state}{share}, {backend.way}{_place(backend.span)}"
    if last and front.backends:
        yield f"    of port {front.port}; those of the {len(alike) - 1} ports behind it are as many ports further"


def _port_words(name: str, protocol: str, port: int, last: int = 0) -> str:
    """`last` is that of a range."""
    return f"{protocol} {port}{f'-{last}' if last else ''}" + (f" ({name})" if name else "")


def _place(span: Span) -> str:
    return f"  [{span}]" if span != NOWHERE else ""


def plain(view: ServiceView) -> dict[str, Any]:
    """For JSON and YAML."""
    return {
        "service": view.key,
        "offloaded": view.service is not None,
        **(_plain_service(view.service) if view.service is not None else {}),
        "devices": [_plain_device(on) for on in view.devices],
        "notes": [
            {"severity": n.severity.value, "code": n.code.id, "message": n.message, "place": _plain_place(n.span)}
            for n in view.notes
        ],
    }


def _plain_service(service: Service) -> dict[str, Any]:
    return {
        "kind": service.kind,
        "network": None if service.is_across else service.network.name,
        "place": _plain_place(service.span),
        "addresses": [str(address) for address in service.addresses],
        **_plain_externals(service),
        "ports": [_plain_port(port) for port in service.ports],
        "algorithm": service.algorithm.value,
        "affinity_s": service.affinity_s,
        **_plain_steering(service.steering),
        "internal_traffic_policy": service.internal_traffic_policy.value,
        "traffic_distribution": service.traffic_distribution,
    }


def _plain_port(port: ServicePort) -> dict[str, Any]:
    at_nodes = {"node_port": port.node_port} if port.node_port else {}
    return {"name": port.name, "protocol": port.protocol.value, "port": port.port, **at_nodes}


def _plain_externals(service: Service) -> dict[str, Any]:
    if not service.externals and not service.node_ports:
        return {}
    return {
        "external_addresses": [str(address) for address in service.externals],
        "external_traffic_policy": service.external_traffic_policy.value,
        "server_return": service.server_return.value,
        **_plain_ranges(service),
    }


def _plain_ranges(service: Service) -> dict[str, Any]:
    if not (service.bounded or _bounds_node_ports(service)):
        return {}
    return {
        "bounded_addresses": [str(address) for address in service.externals if address in service.bounded],
        "bounds_node_ports": _bounds_node_ports(service),
        "source_ranges": [
            {"range": str(found.prefix), "is_allowed": found.is_allowed, "place": _plain_place(found.span)}
            for found in service.source_ranges
        ],
        "admits_others": service.admits_others,
    }


def _plain_steering(steering: Steering | None) -> dict[str, Any]:
    if steering is None:
        return {}
    return {
        "is_portal": steering.is_portal,
        "shared_data": steering.shared_data,
        "dscp": steering.dscp,
        "rate_bps": steering.rate_bps,
        "burst": steering.burst,
    }


def _plain_device(on: OnDevice) -> dict[str, Any]:
    fronts = [
        {
            "address": str(front.address),
            "protocol": front.protocol,
            "port": front.port,
            "state": front.state.value,
            "words": front.words,
            "place": _plain_place(front.span),
            "backends": [_plain_backend(backend) for backend in front.backends],
        }
        for front in on.fronts
    ]
    return {"device": on.device, "address": on.address, "why": on.why, "fronts": fronts}


def _plain_backend(backend: Backend) -> dict[str, Any]:
    return {
        "address": str(backend.address),
        "port": backend.port,
        "workload": backend.workload,
        "state": backend.state.value,
        "weight": backend.weight,
        "share": None if backend.share is None else str(backend.share),
        "way": backend.way,
        "place": _plain_place(backend.span),
    }


def _plain_place(span: Span) -> str | None:
    return str(span) if span != NOWHERE else None
