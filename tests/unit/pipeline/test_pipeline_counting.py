"""Least connections: each connection counts for its backend once, until it has ended, however it ends."""

from __future__ import annotations

from collections import Counter

import pytest

from compiler.ir.entries import EntryKey, Member
from compiler.pipeline.assembly import pipeline
from runtime.verification.frames import frame, tcp, udp
from runtime.verification.levels import small
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, MACS, VIP, WEB_1_PORT, Node
from tests.unit.pipeline.spreading import (
    BACKEND_PORT,
    BY_COUNT,
    BY_ITSELF,
    backend,
    change_to,
    group_of,
    openings,
    spreading,
)

BOTH = pytest.mark.parametrize("version", [4, 6])
SPORT = 40_000


def counts(node: Node, version: int) -> dict[int, int]:
    """Connections of each backend by number, those with none left out."""
    return {member - 500: count for member, count in node.model.slots_of(f"connections_ipv{version}").counts().items()}


def sends(node: Node, version: int, flags: str, sport: int = SPORT) -> int:
    return backend(node, version, ADDRESSES[version]["client"], sport, flags)


def answers(node: Node, version: int, flags: str, at: int, sport: int = SPORT) -> None:
    node.clock.now_ms += 1
    packet = frame(
        ADDRESSES[version]["web-1"],
        ADDRESSES[version]["client"],
        tcp(BACKEND_PORT + at, sport, flags),
        mac=MACS["web-1"],
    )
    node.interpreter.process(WEB_1_PORT, bytes(packet))


@BOTH
def test_of_two_backends_it_is_always_the_one_with_fewer(version: int) -> None:
    node = spreading(version, BY_COUNT, (1, 1))
    for opened in range(1, 101):
        openings(node, version, flows=range(20_000 + opened, 20_001 + opened))
        found = counts(node, version)
        assert sum(found.values()) == opened
        assert abs(found.get(0, 0) - found.get(1, 0)) <= 1


@BOTH
def test_of_many_none_is_far_from_the_others(version: int) -> None:
    """With two choices the busiest is a few above the mean, with one it would be many (Mitzenmacher, 2001)."""
    node = spreading(version, BY_COUNT, (1,) * 20)
    found = Counter(openings(node, version).values())
    assert counts(node, version) == found
    assert max(found.values()) - min(found.values()) <= 5


@BOTH
def test_a_backend_whose_connections_end_gets_the_next_ones(version: int) -> None:
    node = spreading(version, BY_COUNT, (1, 1))
    flows = openings(node, version, flows=range(20_000, 20_040))
    for sport, at in flows.items():
        if at == 0:
            sends(node, version, "FA", sport)
            answers(node, version, "FA", at, sport)
    assert counts(node, version) == {1: 20}
    assert set(openings(node, version, flows=range(21_000, 21_019)).values()) == {0}


CONNECTION = ("S", "<SA", "A")


@BOTH
@pytest.mark.parametrize(
    ("packets", "left"),
    [
        (("S",), 1),
        (("S", "S", "S"), 1),
        ((*CONNECTION, "S"), 1),
        ((*CONNECTION, "FA"), 1),
        ((*CONNECTION, "<FA", "A"), 1),
        ((*CONNECTION, "FA", "<FA"), 0),
        ((*CONNECTION, "FA", "<FA", "FA", "<A", "<FA"), 0),
        ((*CONNECTION, "R"), 0),
        ((*CONNECTION, "R", "<R", "R", "A"), 0),
        ((*CONNECTION, "FA", "<R", "<FA"), 0),
        (("S", "<RA"), 0),
        (("S", "<RA", "S"), 1),
        (("S", "<RA", "S", "S", "<SA", "A"), 1),
        ((*CONNECTION, "FA", "<FA", "S"), 1),
        ((*CONNECTION, "R", "S", "<SA", "A", "R", "<R"), 0),
    ],
)
def test_it_counts_once_whatever_its_packets_are(version: int, packets: tuple[str, ...], left: int) -> None:
    """SYNs and FINs that are sent again, resets, and a port that is used again for the same service."""
    node = spreading(version, BY_COUNT, (1, 1, 1))
    at = 0
    for flags in packets:
        if flags.startswith("<"):
            answers(node, version, flags[1:], at)
        else:
            at = sends(node, version, flags)
    assert counts(node, version) == ({at: left} if left else {})


@BOTH
def test_it_counts_until_it_expires_and_udp_alike(version: int) -> None:
    node = spreading(version, BY_COUNT, (1, 1))
    sends(node, version, "S")
    assert sum(counts(node, version).values()) == 1
    node.model.sweep(node.clock.now_ms + 59_000)
    assert sum(counts(node, version).values()) == 1
    node.model.sweep(node.clock.now_ms + 60_000)
    assert counts(node, version) == {}


@BOTH
def test_it_counts_until_it_is_pushed_out_or_taken_away(version: int) -> None:
    """By openings where the table is full, and by the device."""
    node = spreading(version, BY_COUNT, (1, 1, 1), source=small(pipeline(), 16))
    openings(node, version, flows=range(20_000, 20_100))
    there = node.model.learned(f"flow_ipv{version}")
    assert 0 < len(there) <= 8
    assert sum(counts(node, version).values()) == len(there)
    for entry in there:
        node.model.delete_learned(EntryKey(table=entry.table, matches=entry.matches))
    assert counts(node, version) == {}


@BOTH
def test_connections_from_before_the_algorithm_was_chosen_count(version: int) -> None:
    node = spreading(version, BY_ITSELF, (1, 5))
    before = Counter(openings(node, version, flows=range(20_000, 20_060)).values())
    assert before[1] > before[0]
    change_to(node, version, BY_COUNT)
    assert counts(node, version) == before
    node.model.modify(group_of(version, (1, 1)))
    behind = before[1] - before[0]
    assert set(openings(node, version, flows=range(21_000, 21_000 + behind)).values()) == {0}


@BOTH
def test_a_member_that_changes_keeps_its_count_and_one_that_comes_back_too(version: int) -> None:
    node = spreading(version, BY_COUNT, (1, 1))
    openings(node, version, flows=range(20_000, 20_010))
    call = node.book.call(f"to_backend_ipv{version}", address=ADDRESSES[version]["web-1"], port=BACKEND_PORT + 7)
    changed = Member(selector=f"backends_ipv{version}", id=500, action=call)
    node.model.modify(changed)
    assert counts(node, version) == {0: 5, 1: 5}
    node.model.modify(group_of(version, (0, 1)))
    node.model.delete(changed)
    openings(node, version, flows=range(21_000, 21_010))
    node.model.insert(changed)
    assert counts(node, version) == {0: 5, 1: 15}


def test_datagrams_count_as_well() -> None:
    """Of service port 53 of the shop, whose backend is one."""
    node = Node()
    packet = bytes(frame(ADDRESSES[4]["client"], VIP[4], udp(SPORT, 53), mac=MACS["client"]))
    for _ in range(2):
        node.interpreter.process(CLIENT_PORT, packet)
    assert sum(node.model.slots_of("connections_ipv4").counts().values()) == 1
