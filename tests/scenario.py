"""A small shop on two devices, written by hand: the entries of each device, and packets for them.

For tests of the pipeline on any target: the interpreter, loaded eBPF, a P4Runtime device.

    network 1 (VNI 1001)            device A (192.0.2.1)            device B (192.0.2.2)
    client  10.0.0.10 fd00::10      port 16
    web-1   10.0.0.11 fd00::11      port 17
    tagged  10.0.0.13 fd00::13      port 18, VLAN 100
    web-2   10.0.0.12 fd00::12                                      port 16
    service 10.96.0.10 fd00:96::10  TCP 80 -> 8080, UDP 53 -> 5353, with web-1 and web-2 behind
            TCP 81 -> web-1 alone, TCP 82 without backends, TCP 83 -> client and tagged, TCP 84 -> a backend nowhere
    network 2 (VNI 1002) has a client with the same addresses on port 19 of device A, and no service.
    Port 1 of each device is its uplink. Gateways 10.0.0.1 and fd00::1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from scapy.layers.inet import IP, TCP, UDP, IPerror, TCPerror, UDPerror
from scapy.layers.inet6 import IPerror6, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import NoPayload, Packet, Raw

from compiler.ir.entries import (
    ActionCall,
    Exact,
    Group,
    GroupRef,
    Lpm,
    MatchValue,
    Member,
    MemberRef,
    TableEntry,
    WeightedMember,
)
from compiler.ir.interpreter import Interpreter, Model
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import MatchKind
from compiler.pipeline.assembly import pipeline
from compiler.span import NOWHERE, Span

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
MTU, TUNNEL_MTU = 1500, 1450
NEXTHOPS = {"client": 10, "web-1": 11, "web-2": 12, "tagged": 13}
OTHER_NEXTHOP = 20
Number = int | str


def number(value: Number) -> int:
    """An address, a MAC address or a number as a number."""
    if isinstance(value, int):
        return value
    if len(value.split(":")) == 6 and all(len(part) == 2 for part in value.split(":")):
        return int(value.replace(":", ""), 16)
    return int(ip_address(value))


@dataclass(frozen=True)
class Book:
    """Writes entries in the names of a pipeline."""

    names: Names

    def call(self, action: str, **arguments: Number) -> ActionCall:
        params = self.names.actions[action].params
        assert [param.name for param in params] == list(arguments), action
        return ActionCall(action=action, arguments=tuple(number(value) for value in arguments.values()))

    def entry(
        self, table: str, action: ActionCall | MemberRef | GroupRef, *, span: Span = NOWHERE, **keys: Number | str
    ) -> TableEntry:
        """An LPM key is written `10.0.0.0/8`."""
        declared = self.names.tables[table].keys
        assert [key.name for key in declared] == list(keys)
        matches: list[MatchValue] = []
        for key, value in zip(declared, keys.values(), strict=True):
            if key.match is MatchKind.LPM:
                prefix = ip_network(str(value))
                matches.append(Lpm(value=int(prefix.network_address), prefix_len=prefix.prefixlen))
            else:
                matches.append(Exact(value=number(value)))
        return TableEntry(table=table, matches=tuple(matches), action=action, span=span)


@dataclass(frozen=True)
class DeviceEntries:
    """What fills one device, in an order in which each part can be added."""

    members: tuple[Member, ...]
    groups: tuple[Group, ...]
    table_entries: tuple[TableEntry, ...]

    def all(self) -> tuple[Member | Group | TableEntry, ...]:
        return (*self.members, *self.groups, *self.table_entries)


BACKENDS = {
    TCP_SERVICE: (("web-1", 8080), ("web-2", 8080)),
    UDP_SERVICE: (("web-1", 5353), ("web-2", 5353)),
    LOCAL_SERVICE: (("web-1", 8081),),
    EMPTY_SERVICE: (),
    HAIRPIN_SERVICE: (("client", 9000),),
    LOST_SERVICE: (("lost", 9001),),
}
SERVICE_PORTS = {
    TCP_SERVICE: (6, 80),
    UDP_SERVICE: (17, 53),
    LOCAL_SERVICE: (6, 81),
    EMPTY_SERVICE: (6, 82),
    HAIRPIN_SERVICE: (6, 83),
    LOST_SERVICE: (6, 84),
}


def device_entries(device: str, *, book: Book | None = None) -> DeviceEntries:
    """The entries of device "A" or "B"."""
    book = book or Book(Names(pipeline()))
    members, groups = _selectors(book)
    entries = [*_common_entries(book), *(e for v in (4, 6) for e in _service_entries(book, v))]
    entries += _device_a(book) if device == "A" else _device_b(book)
    return DeviceEntries(tuple(members), tuple(groups), tuple(entries))


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
        call = book.call(f"to_service_ipv{version}", service_id=service, hairpin=GATEWAY[version])
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
    hash_seed: int = 0x7475726E6F7574
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.book = Book(Names(self.source))
        self.model = Model(self.source, hash_seed=self.hash_seed)
        for change in device_entries(self.device, book=self.book).all():
            self.model.insert(change)
        self.interpreter = Interpreter(self.model, clock=self.clock, random=lambda width: 0)


def version_of(address: str) -> int:
    return ip_address(address).version


def frame(
    src: str, dst: str, transport: Packet, *, mac: str = MACS["client"], ttl: int = 64, payload: bytes = b""
) -> Packet:
    """A frame of a workload to its router."""
    network = IPv6(src=src, dst=dst, hlim=ttl) if version_of(src) == 6 else IP(src=src, dst=dst, ttl=ttl, flags="DF")
    built = Ether(src=mac, dst=ROUTER_MAC) / network / transport
    return built / Raw(payload) if payload else built


def tcp(sport: int, dport: int, flags: str = "S") -> Packet:
    return TCP(sport=sport, dport=dport, flags=flags, seq=1000, ack=0 if flags == "S" else 1)


def udp(sport: int, dport: int) -> Packet:
    return UDP(sport=sport, dport=dport)


def tunnelled(inner: Packet, *, to: str = "A", vni: int = VNI[SHOP]) -> Packet:
    """The frame as the other device sends it through the underlay."""
    here, there = (_B, _A) if to == "A" else (_A, _B)
    outer = Ether(src=here[1], dst=there[1]) / IP(src=here[0], dst=there[0], flags="DF") / UDP(sport=50000, dport=4789)
    return outer / VXLAN(flags=8, vni=vni) / inner


def address_number(text: str) -> int:
    return int(IPv4Address(text)) if version_of(text) == 4 else int(IPv6Address(text))


_COMPUTED_FIELDS = ("chksum", "cksum", "len", "plen")
INNER = 14 + 20 + 8 + 8
"""Where the inner frame of a tunnelled one begins."""


def recomputed(packet: bytes) -> bytes:
    """The frame with every length and checksum as Scapy computes it; of a tunnelled one, pass the inner frame alone."""
    built = Ether(packet)
    layer: Packet = built
    while not isinstance(layer, Raw | NoPayload):
        for name in _COMPUTED_FIELDS:
            if name in layer.fields and not isinstance(layer, IPerror | IPerror6 | TCPerror | UDPerror):
                delattr(layer, name)
        layer = layer.payload
    return bytes(built)
