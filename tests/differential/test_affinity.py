"""Clients that are remembered, forgotten, pushed out and moved: the printed C against the interpreter."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compiler.ir.entries import Group, GroupRef, Member, TableEntry, WeightedMember
from compiler.ir.names import Names
from compiler.pipeline.assembly import pipeline
from runtime.bpf.testrun import pinned_to_cpu
from runtime.build import Hook
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.frames import frame, tcp, udp
from runtime.verification.levels import small
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, GATEWAY, MACS, SHOP, VIP, device_entries
from runtime.verification.testrun_level import TestRunLevel
from tests.differential.searches import EXAMPLES, searched

pytestmark = [pytest.mark.root, pytest.mark.slow]

PORT, SERVICE, BACKENDS = 90, 50, 4
SLOTS = 16
PROTOCOLS = {6: 0, 17: 1}
ACTIONS = ("to_service", "to_service_by_source", "to_service_by_chance")
TIMES_MS = (0, 1000, 60_000, 61_000, 10_800_000)
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


VERSIONS, PROTOCOL = st.sampled_from((4, 6)), st.sampled_from(tuple(PROTOCOLS))
OPENINGS = st.builds(Open, VERSIONS, PROTOCOL, st.integers(1, 6), st.integers(20_000, 20_400))
CHANGES = st.builds(
    Change,
    VERSIONS,
    PROTOCOL,
    st.sampled_from(ACTIONS),
    st.sampled_from(TIMES_MS),
    st.frozensets(st.integers(0, BACKENDS - 1)),
)
PAUSES = st.sampled_from((1, 999, 1000, 30_000, 59_999, 60_000, 10_799_999, 10_800_000))
STEPS = st.lists(st.one_of(OPENINGS, OPENINGS, OPENINGS, OPENINGS, PAUSES, CHANGES, st.none()), max_size=60)


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
    return BOOK.entry(table, BOOK.call("may_stay"), service_id=_number(change), address=address, port=_port(change, at))


@pytest.fixture(scope="module")
def levels() -> Generator[tuple[TestRunLevel, ...]]:
    source = small(pipeline(), SLOTS)
    with pinned_to_cpu(), TestRunLevel(source, Hook.TC) as tc, TestRunLevel(source, Hook.XDP) as xdp:
        yield tc, xdp


OVER_THE_WRAP = [1, Open(4, 17, 1, 20_000), 59_999, None, Open(4, 17, 1, 20_000)]
"""The low 32 bits of the clock of a comparison begin anew a minute after its start."""


@searched(EXAMPLES)
@example(steps=OVER_THE_WRAP)
@given(steps=STEPS)
def test_programs_remember_as_the_interpreter_does(
    levels: tuple[TestRunLevel, ...], steps: list[Open | Change | int | None]
) -> None:
    """Openings, pauses, sweeps, changes of services; compared are packets, and all entries with places and ages."""
    comparison = Comparison(levels)
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
