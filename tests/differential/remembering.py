"""Services that remember clients, put into a comparison and changed there: for tests of affinity, and for mutants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compiler.ir.entries import Group, GroupRef, Member, TableEntry, WeightedMember
from compiler.ir.names import Names
from compiler.pipeline.assembly import pipeline
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.frames import frame, tcp, udp
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, GATEWAY, MACS, SHOP, VIP, device_entries

PORT, SERVICE, BACKENDS = 90, 50, 4
PROTOCOLS = {6: 0, 17: 1}
ACTIONS = ("to_service", "to_service_by_source", "to_service_by_chance", "to_service_in_turn", "to_service_by_count")
BOOK = Book(Names(pipeline()))


@dataclass(frozen=True)
class Open:
    version: int
    protocol: int
    client: int
    sport: int

    def frame(self) -> bytes:
        transport = tcp(self.sport, PORT, "S") if self.protocol == 6 else udp(self.sport, PORT)
        source = f"10.0.9.{self.client}" if self.version == 4 else f"fd00::9:{self.client}"
        return bytes(frame(source, VIP[self.version], transport, mac=MACS["client"]))


@dataclass(frozen=True)
class Change:
    """A service becomes another one: these of its backends are left."""

    version: int
    protocol: int
    action: str
    affinity_ms: int
    backends: frozenset[int]


class Services:
    """Four, of each family and protocol one. Each has backends of its own: ports of web-1."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._held: dict[tuple[int, int], Change] = {}
        comparison.fill(device_entries("A"))
        for version in (4, 6):
            for protocol in PROTOCOLS:
                self._add(Change(version, protocol, ACTIONS[2], 60_000, frozenset(range(BACKENDS))))

    def become(self, change: Change) -> None:
        before = self._held[change.version, change.protocol]
        self._comparison.modify(_group(change))
        self._comparison.modify(_frontend(change))
        for at in before.backends - change.backends:
            self._comparison.delete(_staying(change, at))
        for at in change.backends - before.backends:
            self._comparison.insert(_staying(change, at))
        self._held[change.version, change.protocol] = change

    def _add(self, change: Change) -> None:
        self._held[change.version, change.protocol] = change
        number = _number(change)
        backend = BOOK.entry(f"backend_ipv{change.version}", GroupRef(group_id=number), service_id=number)
        staying = (_staying(change, at) for at in sorted(change.backends))
        self._comparison.insert(*_members(change), _group(change), backend, *staying, _frontend(change))


def _number(change: Change) -> int:
    return SERVICE + PROTOCOLS[change.protocol] + (2 if change.version == 6 else 0)


def _port(change: Change, at: int) -> int:
    return 9000 + 10 * PROTOCOLS[change.protocol] + at


def _members(change: Change) -> Iterator[Member]:
    for at in range(BACKENDS):
        address = ADDRESSES[change.version]["web-1"]
        call = BOOK.call(f"to_backend_ipv{change.version}", address=address, port=_port(change, at))
        yield Member(selector=f"backends_ipv{change.version}", id=10 * _number(change) + at, action=call)


def _group(change: Change) -> Group:
    number = _number(change)
    members = tuple(WeightedMember(member_id=10 * number + at, weight=1 + at) for at in sorted(change.backends))
    return Group(selector=f"backends_ipv{change.version}", id=number, members=members)


def _frontend(change: Change) -> TableEntry:
    version = change.version
    call = BOOK.call(
        f"{change.action}_ipv{version}",
        service_id=_number(change),
        hairpin=GATEWAY[version],
        affinity_ms=change.affinity_ms,
    )
    return BOOK.entry(
        f"service_ipv{version}", call, network=SHOP, address=VIP[version], protocol=change.protocol, port=PORT
    )


def _staying(change: Change, at: int) -> TableEntry:
    table, address = f"affinity_backend_ipv{change.version}", ADDRESSES[change.version]["web-1"]
    call, port = BOOK.call("may_stay"), _port(change, at)
    return BOOK.entry(table, call, service_id=_number(change), address=address, port=port, crossing=0)


def remembered(comparison: Comparison, steps: Iterable[Open | Change | int | None]) -> None:
    """Openings, changes of services, pauses of so many ms, and sweeps (None); compared are packets, and in the end all
    entries with places and ages."""
    services = Services(comparison)
    for step in steps:
        match step:
            case Open():
                comparison.process(CLIENT_PORT, step.frame())
            case Change():
                services.become(step)
            case int():
                comparison.wait(step)
            case None:
                comparison.sweep()
    comparison.compare_state()
