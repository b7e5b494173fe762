"""Connections that open on every CPU at once: each has a turn of its own, so shares stay exact."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from compiler.ir.entries import Group, GroupRef, Member, WeightedMember
from compiler.ir.names import Names
from compiler.pipeline.assembly import pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import SkbContext, pinned_to_cpu, run_skb
from runtime.verification.book import Book
from runtime.verification.frames import frame, tcp
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, GATEWAY, MACS, SHOP, VIP, device_entries
from runtime.verification.testrun_level import FIRST_IFINDEX, TestRunLevel

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
PORT, SERVICE, WEIGHTS, FLOWS = 90, 50, (1, 2, 5), 4_000
BOOK = Book(Names(pipeline()))
DST_PORT_AT = {4: 14 + 20 + 2, 6: 14 + 40 + 2}
BOTH = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture
def level() -> Iterator[TestRunLevel]:
    with TestRunLevel(pipeline(), Hook.TC, flags={"test_mode": 0}, traces=False) as made:
        entries = device_entries("A")
        made.insert(*entries.members, *entries.groups, *entries.table_entries)
        for version in (4, 6):
            _add_service(made, version)
        made.add_port(CLIENT_PORT)
        yield made


def _add_service(level: TestRunLevel, version: int) -> None:
    for at in range(len(WEIGHTS)):
        call = BOOK.call(f"to_backend_ipv{version}", address=ADDRESSES[version]["web-1"], port=9000 + at)
        level.insert(Member(selector=f"backends_ipv{version}", id=500 + at, action=call))
    members = tuple(WeightedMember(member_id=500 + at, weight=weight) for at, weight in enumerate(WEIGHTS))
    call = BOOK.call(f"to_service_in_turn_ipv{version}", service_id=SERVICE, hairpin=GATEWAY[version], affinity_ms=0)
    level.insert(
        Group(selector=f"backends_ipv{version}", id=SERVICE, members=members),
        BOOK.entry(f"backend_ipv{version}", GroupRef(group_id=SERVICE), service_id=SERVICE),
        BOOK.entry(f"service_ipv{version}", call, network=SHOP, address=VIP[version], protocol=6, port=PORT),
    )


@BOTH
def test_connections_on_every_cpu_get_exact_shares(level: TestRunLevel, version: int) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    begun, found = threading.Barrier(len(cpus)), [Counter[int]() for _ in cpus]

    def open_connections(number: int) -> None:
        source = f"10.0.9.{number + 1}" if version == 4 else f"fd00::9:{number + 1}"
        with pinned_to_cpu(cpus[number]):
            begun.wait()
            for sport in range(20_000, 20_000 + FLOWS):
                packet = bytes(frame(source, VIP[version], tcp(sport, PORT, "S"), mac=MACS["client"]))
                sent = run_skb(level.program.fd, packet, SkbContext(ingress_ifindex=FIRST_IFINDEX + CLIENT_PORT)).frame
                found[number][int.from_bytes(sent[DST_PORT_AT[version] :][:2], "big") - 9000] += 1

    threads = [threading.Thread(target=open_connections, args=(number,)) for number in range(len(cpus))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = FLOWS * len(cpus)
    assert sum(found, Counter[int]()) == {at: total * weight // 8 for at, weight in enumerate(WEIGHTS)}
