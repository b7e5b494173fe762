"""Clients that are remembered: which connections go where the last one went, for how long, and what ends it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from compiler.ir.entries import Exact, Group, GroupRef, Member, TableEntry, WeightedMember
from compiler.ir.verifier import verify
from compiler.pipeline import policing
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.portable import portable
from runtime.verification.frames import frame, tcp, udp
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, GATEWAY, MACS, SHOP, VIP, Node

BOTH = pytest.mark.parametrize("version", [4, 6])
ACTIONS = ("to_service", "to_service_by_source", "to_service_by_chance")
PORT, SERVICE = 90, 50
BACKEND_PORT = 9000
"""Of the first backend; the others follow."""
BACKENDS = 8
DST_PORT_AT = {4: 14 + 20 + 2, 6: 14 + 40 + 2}
MINUTE_MS = 60_000


class Sticky:
    """A service of eight backends, each a port of web-1, that remembers clients for a minute."""

    def __init__(
        self, version: int, action: str = "to_service_by_chance", affinity_ms: int = MINUTE_MS, protocol: int = 6
    ) -> None:
        self.version, self.node, self.protocol = version, Node(), protocol
        self.sport = 20_000
        add, book = self.node.model.insert, self.node.book
        for at in range(BACKENDS):
            call = book.call(f"to_backend_ipv{version}", address=ADDRESSES[version]["web-1"], port=BACKEND_PORT + at)
            add(Member(selector=f"backends_ipv{version}", id=500 + at, action=call))
            add(self.staying(at))
        add(self.group(range(BACKENDS)))
        add(self.frontend(action, affinity_ms))
        add(book.entry(f"backend_ipv{version}", GroupRef(group_id=SERVICE), service_id=SERVICE))

    def frontend(self, action: str, affinity_ms: int) -> TableEntry:
        book, version = self.node.book, self.version
        call = book.call(
            f"{action}_ipv{version}", service_id=SERVICE, hairpin=GATEWAY[version], affinity_ms=affinity_ms
        )
        return book.entry(
            f"service_ipv{version}", call, network=SHOP, address=VIP[version], protocol=self.protocol, port=PORT
        )

    def staying(self, at: int) -> TableEntry:
        book, address = self.node.book, ADDRESSES[self.version]["web-1"]
        table = f"affinity_backend_ipv{self.version}"
        call, port = book.call("may_stay"), BACKEND_PORT + at
        return book.entry(table, call, service_id=SERVICE, address=address, port=port, crossing=0)

    def group(self, backends: range | list[int]) -> Group:
        members = tuple(WeightedMember(member_id=500 + at, weight=1) for at in backends)
        return Group(selector=f"backends_ipv{self.version}", id=SERVICE, members=members)

    def remove(self, at: int) -> None:
        """As one Write of a client: the backend is none any more."""
        self.node.model.modify(self.group([other for other in range(BACKENDS) if other != at]))
        self.node.model.delete(self.staying(at))

    def opens(self, after_ms: int = 1, client: str = "client", src: str = "") -> int:
        """The number of the backend that a new connection gets."""
        self.sport += 1
        self.node.clock.now_ms += after_ms
        segment = tcp(self.sport, PORT, "S") if self.protocol == 6 else udp(self.sport, PORT)
        source = src or ADDRESSES[self.version][client]
        packet = frame(source, VIP[self.version], segment, mac=MACS[client])
        outcome = self.node.interpreter.process(CLIENT_PORT, bytes(packet))
        at = DST_PORT_AT[self.version]
        return int.from_bytes(outcome.packet[at : at + 2], "big") - BACKEND_PORT

    def others(self) -> set[int]:
        """Backends of connections of forty other clients, one each."""
        prefix = "10.0.9." if self.version == 4 else "fd00::9:"
        return {self.opens(src=f"{prefix}{host}") for host in range(1, 41)}


@BOTH
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("protocol", [6, 17])
def test_connections_of_one_client_go_to_one_backend(version: int, action: str, protocol: int) -> None:
    service = Sticky(version, action, protocol=protocol)
    assert len({service.opens() for _ in range(40)}) == 1
    assert len(service.others()) > 3


@BOTH
def test_without_affinity_nobody_is_remembered(version: int) -> None:
    service = Sticky(version, affinity_ms=0)
    assert len({service.opens() for _ in range(40)}) > 3
    assert service.node.model.learned(f"affinity_ipv{version}") == ()


@BOTH
def test_a_client_is_remembered_since_its_last_new_connection(version: int) -> None:
    """Each of them begins the time anew, so that a client may stay for ever; when it is over, the choice is free."""
    service = Sticky(version)
    first = service.opens()
    assert {service.opens(after_ms=MINUTE_MS - 1) for _ in range(20)} == {first}
    assert len({service.opens(after_ms=MINUTE_MS) for _ in range(40)}) > 3


@BOTH
def test_packets_of_known_connections_prolong_nothing(version: int) -> None:
    service = Sticky(version)
    found: set[int] = set()
    for _ in range(20):
        found.add(service.opens(after_ms=MINUTE_MS // 2))
        service.sport -= 1
        service.opens(after_ms=MINUTE_MS // 2)  # the same tuple: of the known connection
    assert len(found) > 3


@BOTH
def test_the_time_is_what_the_service_says_now(version: int) -> None:
    service = Sticky(version)
    first = service.opens()
    service.node.model.modify(service.frontend("to_service_by_chance", 2 * MINUTE_MS))
    assert service.opens(after_ms=2 * MINUTE_MS - 1) == first
    service.node.model.modify(service.frontend("to_service_by_chance", 1000))
    assert len({service.opens(after_ms=1000) for _ in range(40)}) > 3


@BOTH
def test_a_client_stays_when_the_algorithm_changes(version: int) -> None:
    service = Sticky(version, "to_service")
    first = service.opens()
    for action in (*ACTIONS, *ACTIONS):
        service.node.model.modify(service.frontend(action, MINUTE_MS))
        assert service.opens() == first


@BOTH
def test_a_backend_that_is_none_any_more_is_forgotten(version: int) -> None:
    """The clients of the others stay where they are; those of this one are decided anew, and stay there."""
    service = Sticky(version)
    prefix = "10.0.9." if version == 4 else "fd00::9:"
    before = {host: service.opens(src=f"{prefix}{host}") for host in range(1, 41)}
    gone = before[1]
    service.remove(gone)
    after = {host: service.opens(src=f"{prefix}{host}") for host in range(1, 41)}
    assert {host: at for host, at in after.items() if before[host] != gone} == {
        host: at for host, at in before.items() if at != gone
    }
    assert gone not in after.values()
    assert {host: service.opens(src=f"{prefix}{host}") for host in range(1, 41)} == after


@BOTH
def test_without_backends_a_client_that_is_remembered_is_refused(version: int) -> None:
    service = Sticky(version)
    service.opens()
    for at in range(BACKENDS):
        service.node.model.delete(service.staying(at))
    service.node.model.modify(service.group([]))
    service.opens()
    assert service.node.model.indexed_counter("drops", 1)[0] == 1


def test_what_is_remembered_of_a_client() -> None:
    service = Sticky(4)
    at = service.opens(after_ms=5_000)
    (entry,) = service.node.model.learned("affinity_ipv4")
    assert entry.key.matches == (Exact(value=SHOP), Exact(value=SERVICE), Exact(value=mapped("client")))
    assert entry.action.arguments == (mapped("web-1"), BACKEND_PORT + at, service.node.clock.now_ms & 0xFFFF_FFFF, 0)


def mapped(name: str) -> int:
    """RFC 4291, section 2.5.5.2."""
    return int(ip_address(f"::ffff:{ADDRESSES[4][name]}"))


@pytest.mark.parametrize(
    ("affinity_ms", "profile"),
    [
        (1_000, "minute"),
        (60_000, "minute"),
        (61_000, "ten_minutes"),
        (600_000, "ten_minutes"),
        (10_800_000, "three_hours"),
        (10_801_000, "day"),
        (86_400_000, "day"),
    ],
)
def test_its_place_is_free_when_the_time_is_over(affinity_ms: int, profile: str) -> None:
    """Not long behind it: times have four classes. Until then it is there, and counts no more."""
    service = Sticky(4, affinity_ms=affinity_ms)
    service.opens()
    (entry,) = service.node.model.learned("affinity_ipv4")
    assert entry.profile == profile
    timeout = next(p.timeout_ms for s in pipeline().stores for p in s.profiles if p.name == profile)
    assert timeout >= affinity_ms
    service.node.model.sweep(service.node.clock.now_ms + timeout - 1)
    assert len(service.node.model.learned("affinity_ipv4")) == 1
    service.node.model.sweep(service.node.clock.now_ms + timeout)
    assert service.node.model.learned("affinity_ipv4") == ()


@BOTH
def test_the_clock_may_wrap(version: int) -> None:
    """32 bits of it are kept, 49 days."""
    service = Sticky(version)
    service.node.clock.now_ms = (1 << 32) - 10
    first = service.opens()
    assert {service.opens(after_ms=MINUTE_MS // 2) for _ in range(10)} == {first}


def test_what_p4_gets_remembers_nobody() -> None:
    for_p4 = portable(pipeline())
    assert verify(for_p4) == ()
    assert portable(for_p4) is for_p4
    left = {table.name for table in pipeline().tables} - {table.name for table in for_p4.tables}
    assert left == {
        f"{stem}_ipv{version}"
        for stem in (
            "affinity",
            "affinity_backend",
            "storage_host",
            "crossing",
            "direct_backend",
            "flow_quoted",
            "fragment",
            "fragment_reply",
            "served",
            *policing.STEMS,
        )
        for version in (4, 6)
    }
    restricted = {action.name for action in for_p4.actions if action.restriction == "affinity_ms == 0"}
    assert restricted == {f"{action}_ipv{version}" for action in ACTIONS for version in (4, 6)}
