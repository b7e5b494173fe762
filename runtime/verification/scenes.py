"""Device states as few numbers: networks, workloads, services and what is missing of them, and the entries they make.

Unlike what a policy file gives, entries may be missing here or lead nowhere: a device sees such states while a client
writes. Made by `strategies`, so all numbers come from small sets in which addresses, ports and names collide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compiler.ir.entries import Entries, Group, GroupRef, Member, MemberRef, TableEntry, WeightedMember
from runtime.verification import wire
from runtime.verification.book import Book
from runtime.verification.shop import ROUTER_MAC, UNDERLAY_A, UNDERLAY_B, UNDERLAY_MAC_A, UNDERLAY_MAC_B

UPLINK = 1
GATEWAY_HOST = 1
NOWHERE_HOST = 99


def address(version: int, host: int) -> str:
    """The same in every network."""
    return f"10.0.0.{host}" if version == 4 else f"fd00::{host:x}"


def service_address(version: int, host: int) -> str:
    return f"10.96.0.{host}" if version == 4 else f"fd00:96::{host:x}"


def mac_of(host: int) -> str:
    return f"02:00:00:00:aa:{host:02x}"


def vni_of(network: int) -> int:
    """All three bytes differ, so that their order matters."""
    return 0x0A0000 + network


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`port` None: behind the other device. `routed` and `known`: whether route and neighbor have entries."""

    network: int
    host: int
    port: int | None
    vlan: int
    mtu: int
    routed: bool = True
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """`backends` are hosts with ports and weights; hosts without a workload lead nowhere.

    `behind`: "group", "member" (the entry names the first backend itself), or "nothing" (table backend has no entry).
    """

    network: int
    host: int
    protocol: str
    port: int
    backends: tuple[tuple[int, int, int], ...]
    behind: str = "group"
    spread: str = ""
    """Which of the actions `to_service...` it has: "", "_by_source", "_by_chance", "_in_turn" or "_by_count"."""
    affinity_ms: int = 0
    may_stay: bool = True
    """Whether clients that are remembered may stay with its backends, where there is affinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One device. `prefix_len`: of a route that covers all hosts, to a network's first workload; None without."""

    networks: tuple[int, ...]
    workloads: tuple[Workload, ...]
    services: tuple[Service, ...]
    gateways: bool = True
    tunnels: bool = True
    prefix_len: int | None = None

    def entries(self, book: Book) -> Entries:
        """In an order in which each can be added."""
        members: list[Member] = []
        groups: list[Group] = []
        table_entries = [*_device_entries(self, book)]
        for number, workload in enumerate(self.workloads, 1):
            table_entries += _workload_entries(workload, number, book)
        table_entries += _served_entries(self, book)
        for number, service in enumerate(self.services, 1):
            for version in (4, 6):
                made = tuple(_members(service, number, version, book))
                members += made
                groups.append(_group(service, number, version, made))
                table_entries += _service_entries(service, number, version, made, book)
        return Entries(members=tuple(members), groups=tuple(groups), table_entries=tuple(table_entries))


def _device_entries(scene: Scene, book: Book) -> Iterator[TableEntry]:
    yield book.entry("port", book.call("set_uplink"), port=UPLINK, vlan=0)
    for network in scene.networks:
        if scene.tunnels:
            call = book.call("enter_network", network=network)
            yield book.entry("tunnel", call, destination=UNDERLAY_A, vni=vni_of(network))
        if scene.gateways:
            gateways = {f"ipv{version}": address(version, GATEWAY_HOST) for version in (4, 6)}
            yield book.entry("network", book.call("set_gateway", **gateways), network=network)
            for table, version in (("arp", 4), ("nd", 6)):
                answer = book.call("answer", mac=ROUTER_MAC)
                yield book.entry(table, answer, network=network, address=address(version, GATEWAY_HOST))
        nexthop = next((at for at, w in enumerate(scene.workloads, 1) if w.network == network), 1)
        if scene.prefix_len is not None:
            yield from _wide_routes(network, nexthop, scene.prefix_len, book)


def _wide_routes(network: int, nexthop: int, prefix_len: int, book: Book) -> Iterator[TableEntry]:
    via = book.call("via", nexthop=nexthop)
    yield book.entry("route_ipv4", via, network=network, dst=f"{'10.0.0.0' if prefix_len else '0.0.0.0'}/{prefix_len}")
    yield book.entry("route_ipv6", via, network=network, dst=f"{'fd00::' if prefix_len else '::'}/{prefix_len * 4}")


def _workload_entries(workload: Workload, nexthop: int, book: Book) -> Iterator[TableEntry]:
    if workload.port is not None:
        call = book.call("set_workload", network=workload.network, nexthop=nexthop)
        yield book.entry("port", call, port=workload.port, vlan=workload.vlan)
    if workload.known:
        yield _neighbor(workload, nexthop, book)
    if workload.routed:
        for version, length in ((4, 32), (6, 128)):
            via, dst = book.call("via", nexthop=nexthop), f"{address(version, workload.host)}/{length}"
            yield book.entry(f"route_ipv{version}", via, network=workload.network, dst=dst)


def _served_entries(scene: Scene, book: Book) -> Iterator[TableEntry]:
    """Of the workloads that services have as backends."""
    there = {(workload.network, workload.host) for workload in scene.workloads}
    chosen = ((service.network, host) for service in scene.services for host, *_ in service.backends)
    for network, host in dict.fromkeys(chosen):
        if (network, host) in there:
            for version, length in ((4, 32), (6, 128)):
                place = f"{address(version, host)}/{length}"
                yield book.entry(f"served_ipv{version}", book.call("has_services"), network=network, address=place)


def _neighbor(workload: Workload, nexthop: int, book: Book) -> TableEntry:
    common = {"mtu": workload.mtu, "dst_mac": mac_of(workload.host), "src_mac": ROUTER_MAC}
    if workload.port is not None:
        call = book.call("deliver", network=workload.network, port=workload.port, **common, vlan=workload.vlan)
    else:
        tunnel = {"tunnel_src": UNDERLAY_A, "tunnel_dst": UNDERLAY_B}
        macs = {"tunnel_src_mac": UNDERLAY_MAC_A, "tunnel_dst_mac": UNDERLAY_MAC_B}
        vni = vni_of(workload.network)
        call = book.call("encapsulate", network=workload.network, port=UPLINK, **common, vni=vni, **tunnel, **macs)
    return book.entry("neighbor", call, nexthop=nexthop)


def _members(service: Service, number: int, version: int, book: Book) -> Iterator[Member]:
    for at, (host, port, _) in enumerate(service.backends, 1):
        call = book.call(f"to_backend_ipv{version}", address=address(version, host), port=port)
        yield Member(selector=f"backends_ipv{version}", id=number * 10 + at, action=call)


def _group(service: Service, number: int, version: int, members: Iterable[Member]) -> Group:
    weighted = (
        WeightedMember(member_id=member.id, weight=weight)
        for member, (_, _, weight) in zip(members, service.backends, strict=True)
    )
    return Group(selector=f"backends_ipv{version}", id=number, members=tuple(weighted))


def _service_entries(
    service: Service, number: int, version: int, members: tuple[Member, ...], book: Book
) -> Iterator[TableEntry]:
    hairpin = address(version, GATEWAY_HOST)
    call = book.call(
        f"to_service{service.spread}_ipv{version}", service_id=number, hairpin=hairpin, affinity_ms=service.affinity_ms
    )
    yield book.entry(
        f"service_ipv{version}",
        call,
        network=service.network,
        address=service_address(version, service.host),
        protocol=wire.PROTOCOLS[service.protocol.upper()],
        port=service.port,
    )
    if service.behind == "group":
        yield book.entry(f"backend_ipv{version}", GroupRef(group_id=number), service_id=number)
    elif service.behind == "member" and members:
        yield book.entry(f"backend_ipv{version}", MemberRef(member_id=members[0].id), service_id=number)
    if service.affinity_ms and service.may_stay:
        for host, port in dict.fromkeys((host, port) for host, port, _ in service.backends):
            table, at = f"affinity_backend_ipv{version}", address(version, host)
            yield book.entry(table, book.call("may_stay"), service_id=number, address=at, port=port, crossing=0)
