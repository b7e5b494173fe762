"""The entries of that network: ports, tunnels, next hops, routes, and any number of services."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.packets.addresses import (
    BACKEND_HOP,
    BACKEND_MAC,
    BACKEND_PORT,
    CLIENT_HOP,
    CLIENT_MAC,
    CLIENT_PORT,
    LOCAL_SERVICE,
    MTU,
    NETWORK,
    REMOTE_BACKENDS,
    ROUTER_MAC,
    SERVICE_PORT,
    SINGLE_SERVICE,
    TARGET_PORT,
    TUNNEL_HOP,
    TUNNEL_MTU,
    UNDERLAY_HERE,
    UNDERLAY_MAC_HERE,
    UNDERLAY_MAC_THERE,
    UNDERLAY_THERE,
    UPLINK,
    VNI,
    Version,
    client,
    gateway,
    local_backend,
    remote_backend,
    service_address,
)
from compiler.ir.entries import (
    ActionCall,
    Entries,
    Exact,
    Group,
    GroupRef,
    Lpm,
    Member,
    MemberRef,
    TableEntry,
    WeightedMember,
)

MOST_SERVICES = 10_000 - 2
"""How many the table of services holds besides those with a single backend."""
_TCP = 6
_BACKENDS_EACH = 2
_NO_AFFINITY_MS = 0
_LOCAL_MEMBER = 1
_FIRST_REMOTE_MEMBER = 2
_VERSIONS: tuple[Version, Version] = (4, 6)


def entries(services: int) -> Entries:
    """The entries with services 1 to `services`, of two remote backends each, and the two single ones."""
    return Entries(
        members=tuple(member for version in _VERSIONS for member in _members(version)),
        groups=tuple(group for version in _VERSIONS for group in _groups(version, services)),
        table_entries=(
            *_ports(),
            *_next_hops(),
            *(entry for version in _VERSIONS for entry in _addresses(version)),
            *(entry for version in _VERSIONS for entry in _services(version, services)),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """Writes entries of one table by position; LPM keys come as `Lpm`."""

    name: str

    def __call__(self, action: ActionCall | MemberRef | GroupRef, *keys: int | Lpm) -> TableEntry:
        matches = tuple(key if isinstance(key, Lpm) else Exact(value=key) for key in keys)
        return TableEntry(table=self.name, matches=matches, action=action)


def _call(action: str, *arguments: int) -> ActionCall:
    return ActionCall(action=action, arguments=arguments)


def _ports() -> Iterator[TableEntry]:
    port, tunnel = _Table("port"), _Table("tunnel")
    yield port(_call("set_uplink"), UPLINK, 0)
    yield port(_call("set_workload", NETWORK, CLIENT_HOP), CLIENT_PORT, 0)
    yield port(_call("set_workload", NETWORK, BACKEND_HOP), BACKEND_PORT, 0)
    yield tunnel(_call("enter_network", NETWORK), UNDERLAY_HERE, VNI)


def _next_hops() -> Iterator[TableEntry]:
    neighbor = _Table("neighbor")
    for hop, port, mac in ((CLIENT_HOP, CLIENT_PORT, CLIENT_MAC), (BACKEND_HOP, BACKEND_PORT, BACKEND_MAC)):
        yield neighbor(_call("deliver", NETWORK, port, MTU, mac, ROUTER_MAC, 0), hop)
    inner = (NETWORK, UPLINK, TUNNEL_MTU, ROUTER_MAC, ROUTER_MAC)
    outer = (VNI, UNDERLAY_HERE, UNDERLAY_THERE, UNDERLAY_MAC_HERE, UNDERLAY_MAC_THERE)
    yield neighbor(_call("encapsulate", *inner, *outer), TUNNEL_HOP)
    yield _Table("network")(_call("set_gateway", gateway(4), gateway(6)), NETWORK)


def _addresses(version: Version) -> Iterator[TableEntry]:
    route = _Table(f"route_ipv{version}")
    bits = 32 if version == 4 else 128
    yield _Table("arp" if version == 4 else "nd")(_call("answer", ROUTER_MAC), NETWORK, gateway(version))
    yield route(_call("via", CLIENT_HOP), NETWORK, Lpm(value=client(version, 0), prefix_len=bits - 16))
    yield route(_call("via", BACKEND_HOP), NETWORK, Lpm(value=local_backend(version), prefix_len=bits))
    for number in range(REMOTE_BACKENDS):
        yield route(_call("via", TUNNEL_HOP), NETWORK, Lpm(value=remote_backend(version, number), prefix_len=bits))


def _members(version: Version) -> Iterator[Member]:
    selector, action = f"backends_ipv{version}", f"to_backend_ipv{version}"
    local = _call(action, local_backend(version), TARGET_PORT)
    yield Member(selector=selector, id=_LOCAL_MEMBER, action=local)
    for number in range(REMOTE_BACKENDS):
        remote = _call(action, remote_backend(version, number), TARGET_PORT)
        yield Member(selector=selector, id=_FIRST_REMOTE_MEMBER + number, action=remote)


def _groups(version: Version, services: int) -> Iterator[Group]:
    for service in range(1, services + 1):
        chosen = ((service + step) % REMOTE_BACKENDS for step in range(_BACKENDS_EACH))
        members = tuple(WeightedMember(member_id=_FIRST_REMOTE_MEMBER + number) for number in chosen)
        yield Group(selector=f"backends_ipv{version}", id=service, members=members)


def _services(version: Version, services: int) -> Iterator[TableEntry]:
    behind: dict[int, GroupRef | MemberRef] = {
        service: GroupRef(group_id=service) for service in range(1, services + 1)
    }
    behind[LOCAL_SERVICE] = MemberRef(member_id=_LOCAL_MEMBER)
    behind[SINGLE_SERVICE] = MemberRef(member_id=_FIRST_REMOTE_MEMBER)
    table, backend = _Table(f"service_ipv{version}"), _Table(f"backend_ipv{version}")
    for service, target in behind.items():
        call = _call(f"to_service_ipv{version}", service, gateway(version), _NO_AFFINITY_MS)
        yield table(call, NETWORK, service_address(version, service), _TCP, SERVICE_PORT)
        yield backend(target, service)
