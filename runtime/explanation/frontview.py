"""An address and port of a service on one device: its live entry, the backends of its group, and the way to each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from ipaddress import IPv4Address, ip_address

from compiler.ir.entries import ActionCall, Entries, Exact, TableEntry
from compiler.pipeline import serverreturn
from compiler.policy.policyset import Address, PolicySet, Service, ServicePort
from compiler.policy.policyset import Front as Called
from compiler.span import Span
from runtime.explanation.livedevice import LiveDevice, group_of
from runtime.verification.proof.words import address_words, port_words


class State(StrEnum):
    """What is on the device, beside what was applied."""

    LIVE = "live"
    MISSING = "missing"
    OTHER = "not as applied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """`weight` is that on the device; `share` of new connections, None for one that gets none."""

    address: Address
    port: int
    words: str
    workload: str | None
    state: State
    weight: int
    share: Fraction | None
    way: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """One address and port of a service."""

    address: Address
    name: str
    protocol: str
    port: int
    state: State
    words: str
    backends: tuple[Backend, ...]
    span: Span


def fronts_of(live: LiveDevice, service: Service) -> Iterator[Front]:
    """By port, then address."""
    fronts = service.fronts(live.device)
    for port in service.ports:
        for front in fronts:
            if front.port is port:
                yield _front(live, service, front)


def _front(live: LiveDevice, service: Service, front: Called) -> Front:
    address, port = front.address, front.port
    family = f"ipv{address.version}"
    values = (service.network.id, int(address), port.protocol.number, front.number)
    there = _entry(live.entries, f"service_{family}", values)
    wanted = _entry(live.desired, f"service_{family}", values)
    state = State.MISSING if there is None else State.LIVE if there == wanted else State.OTHER
    backends = () if there is None else tuple(_backends(live, service, port, there, wanted))
    return Front(
        address=address,
        name=port.name,
        protocol=port.protocol.value,
        port=front.number,
        state=state,
        words=_words(there, backends),
        backends=backends,
        span=front.span,
    )


def _words(there: TableEntry | None, backends: tuple[Backend, ...]) -> str:
    getting = sum(backend.share is not None for backend in backends)
    if there is None:
        return "so its packets are routed like any others"
    if not getting:
        return "without a backend: new connections are refused at once"
    return f"{getting} backend" + ("s" if getting > 1 else "")


def _entry(entries: Entries, table: str, values: tuple[int, ...]) -> TableEntry | None:
    matches = tuple(Exact(value=value) for value in values)
    return next((e for e in entries.table_entries if e.table == table and e.matches == matches), None)


def _backends(
    live: LiveDevice, service: Service, port: ServicePort, there: TableEntry, wanted: TableEntry | None
) -> Iterator[Backend]:
    """Those of the live group, and those that should be in it."""
    family = there.table.removeprefix("service_")
    held = _weights(live.entries, family, there)
    asked = _weights(live.desired, family, wanted) if wanted is not None else {}
    total = sum(held.values())
    for call in dict.fromkeys((*asked, *held)):
        weight = held.get(call, 0)
        address, number = _address(call, family), call.arguments[1]
        crossing = live.crossing(call.arguments[2]) if service.is_across else {}
        name = live.network_of(crossing.get("network", 0)) if service.is_across else service.network.name
        yield Backend(
            address=address,
            port=number,
            words=address_words(live.policies, name, address, number)
            + (f" of network {name}" if service.is_across else ""),
            workload=_workload(live.policies, name, address),
            state=State.MISSING if not weight else State.LIVE if weight == asked.get(call) else State.OTHER,
            weight=weight,
            share=Fraction(weight, total) if weight else None,
            way=_way(live, service, call, address),
            span=live.backend_span(port.span, str(address), number, name if service.is_across else None),
        )


def _way(live: LiveDevice, service: Service, call: ActionCall, address: Address) -> str:
    """How a member's packets come to it."""
    if service.is_across:
        return _way_across(live, live.crossing(call.arguments[2]))
    if call.action.startswith(serverreturn.BACKEND_ACTION):
        return f"{_way_by(live, call.arguments[2])}; it answers by itself"
    return way_to(live, service.network.id, address)


def _weights(entries: Entries, family: str, front: TableEntry) -> dict[ActionCall, int]:
    """By the action of each member of the group behind a service's entry."""
    number = front.action.arguments[0] if isinstance(front.action, ActionCall) and front.action.arguments else 0
    group_id = group_of(entries.table_entries, f"backend_{family}", number)
    selector = f"backends_{family}"
    group = next((g for g in entries.groups if (g.selector, g.id) == (selector, group_id)), None)
    actions = {m.id: m.action for m in entries.members if m.selector == selector}
    return {actions[m.member_id]: m.weight for m in (group.members if group is not None else ())}


def _address(call: ActionCall, family: str) -> Address:
    value = call.arguments[0]
    return IPv4Address(value) if family == "ipv4" else ip_address(value.to_bytes(16, "big"))


def _workload(policies: PolicySet, network: str, address: Address) -> str | None:
    there = (w for w in policies.workloads if w.network.name == network and address in w.addresses)
    return next((workload.key for workload in there), None)


def way_to(live: LiveDevice, network: int, address: Address) -> str:
    """How the live tables bring a packet to an address of a network."""
    route = live.model.match_table(f"route_ipv{address.version}").lookup((network, int(address)))
    hop = live.arguments(route.entry.action).get("nexthop") if route is not None else None
    if hop is None:
        return "no route to it: dropped as no_route"
    return _way_by(live, hop)


def _way_across(live: LiveDevice, crossing: Mapping[str, int]) -> str:
    """How the live tables bring a packet of a client outside into a network."""
    hop = crossing.get("nexthop")
    return "no way into its network: dropped as no_route" if hop is None else _way_by(live, hop)


def _way_by(live: LiveDevice, hop: int) -> str:
    neighbor = live.model.match_table("neighbor").lookup((hop,))
    arguments = live.arguments(neighbor.entry.action) if neighbor is not None else {}
    if "tunnel_dst" in arguments:
        return f"through the tunnel to {_device_words(live.policies, arguments['tunnel_dst'])}"
    if "port" in arguments:
        return f"to {port_words(live.policies, live.device.name, arguments['port'])}"
    return f"next hop {hop} is not there: dropped"


def _device_words(policies: PolicySet, underlay: int) -> str:
    address = IPv4Address(underlay)
    found = (d.name for d in policies.devices if d.underlay is not None and d.underlay.address.ip == address)
    name = next(found, None)
    return f"{name} ({address})" if name else str(address)
