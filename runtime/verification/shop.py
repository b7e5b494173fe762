"""A small shop on two devices, written by hand: the entries of each device, and packets for them.

For tests of the pipeline on any target: the interpreter, loaded eBPF, a P4Runtime device.

    network 1 (VNI 1001)            device A (192.0.2.1)            device B (192.0.2.2)
    client  10.0.0.10 fd00::10      port 16
    web-1   10.0.0.11 fd00::11      port 17
    tagged  10.0.0.13 fd00::13      port 18, VLAN 100
    web-2   10.0.0.12 fd00::12                                      port 16
    service 10.96.0.10 fd00:96::10  TCP 80 -> 8080, UDP 53 -> 5353, with web-1 and web-2 behind
            TCP 81 -> web-1 alone, TCP and UDP 82 without backends, TCP 83 -> client and tagged,
            TCP 84 -> a backend nowhere
    network 2 (VNI 1002) has a client with the same addresses on port 19 of device A, and no service.
    Port 1 of each device is its uplink. Gateways 10.0.0.1 and fd00::1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from compiler.ir.entries import Entries, Group, GroupRef, Member, TableEntry, WeightedMember
from compiler.ir.interpreter import Interpreter, Model
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline
from compiler.span import Span
from runtime.verification.book import Book
from runtime.verification.levels import HASH_SEED, drawn
from runtime.verification.vector import in_order

UPLINK, CLIENT_PORT, WEB_1_PORT, TAGGED_PORT, OTHER_PORT, WEB_2_PORT = 1, 16, 17, 18, 19, 16
TAG = 100
SHOP, OTHER = 1, 2
VNI = {SHOP: 1001, OTHER: 1002}
UNDERLAY_A, UNDERLAY_B = "192.0.2.1", "192.0.2.2"
UNDERLAY_MAC_A, UNDERLAY_MAC_B = "02:00:00:00:01:01", "02:00:00:00:01:02"
ROUTER_MAC = "02:00:00:00:00:01"
MACS = {
    "client": "02:00:00:00:00:10",
    "web-1": "02:00:00:00:00:11",
    "web-2": "02:00:00:00:00:12",
    "tagged": "02:00:00:00:00:13",
}
ADDRESSES = {
    4: {"client": "10.0.0.10", "web-1": "10.0.0.11", "web-2": "10.0.0.12", "tagged": "10.0.0.13"},
    6: {"client": "fd00::10", "web-1": "fd00::11", "web-2": "fd00::12", "tagged": "fd00::13"},
}
GATEWAY = {4: "10.0.0.1", 6: "fd00::1"}
VIP = {4: "10.96.0.10", 6: "fd00:96::10"}
LOST = {4: "10.9.9.9", 6: "fd00:9::9"}
"""A backend's address that no route leads to."""
TCP_SERVICE, UDP_SERVICE, LOCAL_SERVICE, EMPTY_SERVICE, HAIRPIN_SERVICE, LOST_SERVICE = 1, 2, 3, 4, 5, 6
EMPTY_UDP_SERVICE = 7
MTU, TUNNEL_MTU = 1500, 1450
NEXTHOPS = {"client": 10, "web-1": 11, "web-2": 12, "tagged": 13}
OTHER_NEXTHOP = 20
BACKENDS = {
    TCP_SERVICE: (("web-1", 8080), ("web-2", 8080)),
    UDP_SERVICE: (("web-1", 5353), ("web-2", 5353)),
    LOCAL_SERVICE: (("web-1", 8081),),
    EMPTY_SERVICE: (),
    HAIRPIN_SERVICE: (("client", 9000),),
    LOST_SERVICE: (("lost", 9001),),
    EMPTY_UDP_SERVICE: (),
}
SERVICE_PORTS = {
    TCP_SERVICE: (6, 80),
    UDP_SERVICE: (17, 53),
    LOCAL_SERVICE: (6, 81),
    EMPTY_SERVICE: (6, 82),
    HAIRPIN_SERVICE: (6, 83),
    LOST_SERVICE: (6, 84),
    EMPTY_UDP_SERVICE: (17, 82),
}


def device_entries(device: str, *, book: Book | None = None) -> Entries:
    """What fills device "A" or "B"."""
    book = book or Book(Names(pipeline()))
    members, groups = _selectors(book)
    entries = [*_common_entries(book), *(e for v in (4, 6) for e in _service_entries(book, v))]
    entries += _device_a(book) if device == "A" else _device_b(book)
    return Entries(members=tuple(members), groups=tuple(groups), table_entries=tuple(entries))


def _selectors(book: Book) -> tuple[list[Member], list[Group]]:
    members: list[Member] = []
    groups: list[Group] = []
    for version in (4, 6):
        selector, ids = f"backends_ipv{version}", iter(range(1, 1000))
        for service, backends in BACKENDS.items():
            chosen: list[WeightedMember] = []
            for name, port in backends:
                address = LOST[version] if name == "lost" else ADDRESSES[version][name]
                call = book.call(f"to_backend_ipv{version}", address=address, port=port)
                members.append(Member(selector=selector, id=next(ids), action=call))
                chosen.append(WeightedMember(member_id=members[-1].id))
            groups.append(Group(selector=selector, id=service, members=tuple(chosen)))
    return members, groups


def _common_entries(book: Book) -> Iterable[TableEntry]:
    gateway = book.call("set_gateway", ipv4=GATEWAY[4], ipv6=GATEWAY[6])
    answer = book.call("answer", mac=ROUTER_MAC)
    yield book.entry("port", book.call("set_uplink"), port=UPLINK, vlan=0)
    yield book.entry("network", gateway, network=SHOP)
    for table, version in (("arp", 4), ("nd", 6)):
        for address in (GATEWAY[version], VIP[version]):
            yield book.entry(table, answer, network=SHOP, address=address)


def _service_entries(book: Book, version: int) -> Iterable[TableEntry]:
    for service, (protocol, port) in SERVICE_PORTS.items():
        call = book.call(f"to_service_ipv{version}", service_id=service, hairpin=GATEWAY[version], affinity_ms=0)
        yield book.entry(
            f"service_ipv{version}",
            call,
            span=Span(path="shop.yaml", line=100 + service),
            network=SHOP,
            address=VIP[version],
            protocol=protocol,
            port=port,
        )
        yield book.entry(f"backend_ipv{version}", GroupRef(group_id=service), service_id=service)


def _workload(book: Book, name: str, port: int, vlan: int = 0) -> Iterable[TableEntry]:
    """A workload of network 1 on this device."""
    hop = NEXTHOPS[name]
    yield book.entry("port", book.call("set_workload", network=SHOP, nexthop=hop), port=port, vlan=vlan)
    yield _deliver(book, SHOP, hop, port, MACS[name], vlan)
    yield from _routes(book, SHOP, name, hop)


def _deliver(book: Book, network: int, hop: int, port: int, mac: str, vlan: int = 0) -> TableEntry:
    call = book.call("deliver", network=network, port=port, mtu=MTU, dst_mac=mac, src_mac=ROUTER_MAC, vlan=vlan)
    return book.entry("neighbor", call, nexthop=hop)


def _routes(book: Book, network: int, name: str, hop: int) -> Iterable[TableEntry]:
    for version, length in ((4, 32), (6, 128)):
        via = book.call("via", nexthop=hop)
        yield book.entry(f"route_ipv{version}", via, network=network, dst=f"{ADDRESSES[version][name]}/{length}")


def _remote(book: Book, name: str, here: tuple[str, str], there: tuple[str, str]) -> Iterable[TableEntry]:
    """A workload of network 1 behind another device; the pairs are address and MAC address in the underlay."""
    call = book.call(
        "encapsulate",
        network=SHOP,
        port=UPLINK,
        mtu=TUNNEL_MTU,
        dst_mac=MACS[name],
        src_mac=ROUTER_MAC,
        vni=VNI[SHOP],
        tunnel_src=here[0],
        tunnel_dst=there[0],
        tunnel_src_mac=here[1],
        tunnel_dst_mac=there[1],
    )
    yield book.entry("neighbor", call, nexthop=NEXTHOPS[name])
    yield from _routes(book, SHOP, name, NEXTHOPS[name])


_A, _B = (UNDERLAY_A, UNDERLAY_MAC_A), (UNDERLAY_B, UNDERLAY_MAC_B)


def _device_a(book: Book) -> list[TableEntry]:
    entries = [
        book.entry("tunnel", book.call("enter_network", network=network), destination=UNDERLAY_A, vni=vni)
        for network, vni in VNI.items()
    ]
    entries += [*_workload(book, "client", CLIENT_PORT), *_workload(book, "web-1", WEB_1_PORT)]
    entries += [*_workload(book, "tagged", TAGGED_PORT, TAG), *_remote(book, "web-2", _A, _B)]
    call = book.call("set_workload", network=OTHER, nexthop=OTHER_NEXTHOP)
    entries.append(book.entry("port", call, port=OTHER_PORT, vlan=0))
    entries.append(_deliver(book, OTHER, OTHER_NEXTHOP, OTHER_PORT, MACS["client"]))
    entries += _routes(book, OTHER, "client", OTHER_NEXTHOP)
    return entries


def _device_b(book: Book) -> list[TableEntry]:
    enter = book.call("enter_network", network=SHOP)
    entries = [book.entry("tunnel", enter, destination=UNDERLAY_B, vni=VNI[SHOP])]
    entries += _workload(book, "web-2", WEB_2_PORT)
    for name in ("client", "web-1", "tagged"):
        entries += _remote(book, name, _B, _A)
    return entries


@dataclass
class Clock:
    """Milliseconds that a test sets."""

    now_ms: int = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class Node:
    """A device on the interpreter."""

    device: str = "A"
    source: Pipeline = field(default_factory=pipeline)
    hash_seed: int = HASH_SEED
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.book = Book(Names(self.source))
        self.model = Model(self.source, hash_seed=self.hash_seed)
        for change in in_order(device_entries(self.device, book=self.book)):
            self.model.insert(change)
        self.interpreter = Interpreter(
            self.model, clock=self.clock, random=lambda width_bits: drawn(self.clock(), width_bits)
        )
