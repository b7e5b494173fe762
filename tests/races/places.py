"""A device all of whose numbers tell where they belong: client 3's address, port and MAC address are made of 3.

So a packet that was sent by parts of two entries shows it: hammer.bpf.c knows the same rules. Every place is behind one
port, by which all packets come in; each has a next hop of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from compiler.ir.entries import ActionCall, Entries, Exact, Group, GroupRef, Member, TableEntry, WeightedMember
from compiler.pipeline.ports import FIRST_PORT
from runtime.verification.book import Book

PORT = 16
NETWORK = 1
CLIENT, BACKEND, SERVICE = 1, 2, 3
BACKEND_PORT, SERVICE_PORT = 0x2300, 80
FIRST_EGRESS, EGRESS_STEP = 32, 64
CLIENT_HOP = 31
"""The next hop of the port, so that of all clients."""
FRAME_BYTES = 80
_FRAME = struct.Struct(f"={FRAME_BYTES}s4I")
FRAME_SIZE = _FRAME.size
FLAGS = ("S", "S", "A", "PA", "FA", "R")


def place(kind: int, number: int) -> int:
    return kind << 16 | number


def address(version: int, kind: int, number: int) -> int:
    """Both halves of an IPv6 address tell the place."""
    where = place(kind, number)
    return 10 << 24 | where if version == 4 else (0xFD00 << 48 | where) << 64 | where


def text(version: int, kind: int, number: int) -> str:
    raw = address(version, kind, number)
    if version == 4:
        return ".".join(str(byte) for byte in raw.to_bytes(4, "big"))
    return ":".join(f"{word:x}" for word in struct.unpack(">8H", raw.to_bytes(16, "big")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many there are of each. Client 0 opens `connections` to each service, from ports that tell all of it."""

    clients: int = 2
    services: int = 2
    backends: int = 4
    connections: int = 2
    versions: tuple[int, ...] = (4, 6)

    def backends_of(self, service: int) -> tuple[int, ...]:
        """Each service has every backend, in weights of its own."""
        return tuple((service + at) % self.backends for at in range(self.backends))

    def client_port(self, client: int, service: int, connection: int) -> int:
        """Below `FIRST_PORT`, so that no port that the pipeline draws is another connection's own."""
        port = 0x200 | client << 8 | service << 4 | connection
        if port >= FIRST_PORT:
            raise ValueError(f"port {port} of client {client} may be drawn")
        return port


def entries(places: Places, book: Book) -> Entries:
    """In an order in which each can be added."""
    members: list[Member] = []
    groups: list[Group] = []
    made = [_port(book), *(neighbor(book, hop, 0) for hop in (*range(places.backends), CLIENT_HOP))]
    for version in places.versions:
        made += _routes(places, version, book)
        members += _members(places, version, book)
        groups += [group(places, version, service, places.backends_of(service)) for service in range(places.services)]
        made += _services(places, version, book)
    return Entries(members=tuple(members), groups=tuple(groups), table_entries=tuple(made))


def neighbor(book: Book, hop: int, turn: int) -> TableEntry:
    """A next hop; another `turn` changes port and both MAC addresses together."""
    mac = turn << 16 | hop
    call = book.call(
        "deliver",
        network=NETWORK,
        port=FIRST_EGRESS + hop + EGRESS_STEP * turn,
        mtu=1500,
        dst_mac=0x0200 << 32 | mac,
        src_mac=0x0600 << 32 | mac,
        vlan=0,
    )
    return book.entry("neighbor", call, nexthop=100 + hop)


def group(places: Places, version: int, service: int, backends: tuple[int, ...]) -> Group:
    weighted = tuple(WeightedMember(member_id=1 + backend, weight=1 + service) for backend in sorted(backends))
    return Group(selector=f"backends_ipv{version}", id=1 + service, members=weighted)


def service_entry(version: int, service: int, book: Book) -> TableEntry:
    hairpin = text(version, CLIENT, 0xFFFF)
    call = book.call(f"to_service_ipv{version}", service_id=1 + service, hairpin=hairpin, affinity_ms=0)
    return book.entry(
        f"service_ipv{version}",
        call,
        network=NETWORK,
        address=text(version, SERVICE, service),
        protocol=6,
        port=SERVICE_PORT + service,
    )


def learned_to(backend: int, entry_action: ActionCall, version: int) -> bool:
    """Whether a learned entry's action leads to a backend."""
    is_forth = entry_action.action == f"translate_ipv{version}"
    return is_forth and address(version, BACKEND, backend) in entry_action.arguments


def exact(*values: int) -> tuple[Exact, ...]:
    return tuple(Exact(value=value) for value in values)


def frames(places: Places) -> list[bytes]:
    """As hammer.bpf.c has them: openings, data and ends of every connection, and answers of every backend."""
    return [
        each
        for version in places.versions
        for client in range(places.clients)
        for service in range(places.services)
        for connection in range(places.connections)
        for each in _of_connection(places, version, client, service, connection)
    ]


def _of_connection(places: Places, version: int, client: int, service: int, connection: int) -> Iterator[bytes]:
    port = places.client_port(client, service, connection)
    here, there = (CLIENT, client, port), (SERVICE, service, SERVICE_PORT + service)
    for flags in FLAGS:
        yield _frame(version, here, there, flags, client, 0, service, port)
    for backend in range(places.backends):
        sender = (BACKEND, backend, BACKEND_PORT + backend)
        yield _frame(version, sender, here, "SA", client, place(BACKEND, backend), service, port)


End = tuple[int, int, int]
"""Kind, number, TCP port."""


def _frame(
    version: int, src: End, dst: End, flags: str, client: int, backend: int, service: int, client_port: int
) -> bytes:
    ends = {"src": text(version, *src[:2]), "dst": text(version, *dst[:2])}
    network = IP(**ends, flags="DF") if version == 4 else IPv6(**ends)
    built = (
        Ether(src="0a:00:00:00:00:01", dst="0a:00:00:00:00:02") / network / TCP(sport=src[2], dport=dst[2], flags=flags)
    )
    return _FRAME.pack(bytes(built), place(CLIENT, client), backend, service, client_port)


def _port(book: Book) -> TableEntry:
    return book.entry("port", book.call("set_workload", network=NETWORK, nexthop=100 + CLIENT_HOP), port=PORT, vlan=0)


def _routes(places: Places, version: int, book: Book) -> Iterator[TableEntry]:
    length = 32 if version == 4 else 128
    for kind, count in ((CLIENT, places.clients), (BACKEND, places.backends)):
        for number in range(count):
            via = book.call("via", nexthop=100 + (number if kind == BACKEND else CLIENT_HOP))
            dst = f"{text(version, kind, number)}/{length}"
            yield book.entry(f"route_ipv{version}", via, network=NETWORK, dst=dst)


def _members(places: Places, version: int, book: Book) -> Iterator[Member]:
    for backend in range(places.backends):
        call = book.call(
            f"to_backend_ipv{version}", address=text(version, BACKEND, backend), port=BACKEND_PORT + backend
        )
        yield Member(selector=f"backends_ipv{version}", id=1 + backend, action=call)


def _services(places: Places, version: int, book: Book) -> Iterator[TableEntry]:
    for service in range(places.services):
        yield service_entry(version, service, book)
        yield book.entry(f"backend_ipv{version}", GroupRef(group_id=1 + service), service_id=1 + service)
