"""The life of learned connections: clash, port reuse, ageing, full sets and victims."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.ir.entries import EntryKey
from compiler.ir.interpreter import NotFound, Outcome, VerdictKind, trace_to_text
from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline
from runtime.verification.frames import frame, tcp, udp
from runtime.verification.shop import CLIENT_PORT, MACS, VIP, WEB_1_PORT, Node

CLIENT, WEB = "10.0.0.10", "10.0.0.11"


def with_slots(size: int, ways: int) -> Pipeline:
    """The pipeline with stores of so many slots."""
    base = pipeline()
    return replace(base, stores=tuple(replace(store, size=size, ways=ways) for store in base.stores))


def syn(node: Node, sport: int, *, dport: int = 81, flags: str = "S") -> Outcome:
    return node.interpreter.process(CLIENT_PORT, bytes(frame(CLIENT, VIP[4], tcp(sport, dport, flags))))


def reply(node: Node, dport: int, flags: str = "SA") -> Outcome:
    packet = frame(WEB, CLIENT, tcp(8081, dport, flags), mac=MACS["web-1"])
    return node.interpreter.process(WEB_1_PORT, bytes(packet))


def profiles(node: Node) -> tuple[list[str], list[str]]:
    return tuple([e.profile for e in node.model.learned(f"{t}_ipv4")] for t in ("flow", "flow_reverse"))  # type: ignore[return-value]


CONNECTION = ("S", "<SA", "A")
"""Flags of packets in the order of their coming; "<" marks those of the server."""


@pytest.mark.parametrize(
    ("packets", "opener", "answerer"),
    [
        (("S",), "tcp_new", "tcp_new"),
        (("S", "S"), "tcp_new", "tcp_new"),
        (("S", "<SA"), "tcp_new", "tcp_heard"),
        (("S", "A", "A"), "tcp_heard", "tcp_new"),
        (CONNECTION, "tcp_established", "tcp_established"),
        (("A", "A", "<A"), "tcp_established", "tcp_established"),
        ((*CONNECTION, "S"), "tcp_established", "tcp_established"),
        ((*CONNECTION, "FA"), "tcp_closing", "tcp_established"),
        ((*CONNECTION, "FA", "<A", "<A", "A"), "tcp_closing", "tcp_established"),
        ((*CONNECTION, "FA", "<FA"), "tcp_closed", "tcp_closed"),
        ((*CONNECTION, "<FA", "FA", "<A"), "tcp_closed", "tcp_closed"),
        ((*CONNECTION, "<FA", "FA", "S"), "tcp_new", "tcp_new"),
        ((*CONNECTION, "<FA", "FA", "S", "<SA", "A"), "tcp_established", "tcp_established"),
        ((*CONNECTION, "FA", "<FA", "<R"), "tcp_closed", "tcp_closed"),
        ((*CONNECTION, "FA", "S"), "tcp_new", "tcp_new"),
        ((*CONNECTION, "<RA"), "tcp_reset", "tcp_reset"),
        ((*CONNECTION, "R", "<A", "A"), "tcp_reset", "tcp_reset"),
        ((*CONNECTION, "FA", "<R"), "tcp_reset", "tcp_reset"),
        ((*CONNECTION, "R", "FA", "<FA"), "tcp_reset", "tcp_reset"),
        ((*CONNECTION, "R", "S"), "tcp_new", "tcp_new"),
        (("S", "<RA"), "tcp_closed", "tcp_closed"),
        (("S", "<SA", "R"), "tcp_closed", "tcp_closed"),
        (("S", "<SA", "FA"), "tcp_closing", "tcp_heard"),
    ],
)
def test_both_halves_of_a_connection_live_and_end_together(
    packets: tuple[str, ...], opener: str, answerer: str
) -> None:
    node = Node()
    for flags in packets:
        if flags.startswith("<"):
            reply(node, 1000, flags.removeprefix("<"))
        else:
            syn(node, 1000, flags=flags)
    assert profiles(node) == ([opener], [answerer])


def test_a_reused_port_opens_the_connection_anew() -> None:
    node = Node()
    for flags in ("S", "A", "FA"):
        syn(node, 1000, flags=flags)
    outcome = syn(node, 1000)
    assert outcome.verdict is VerdictKind.FORWARD
    assert "flow_ipv4 entry: open, tcp_closing -> tcp_new\n" in trace_to_text(outcome.trace)


def test_a_trace_tells_of_both_halves() -> None:
    node = Node()
    syn(node, 1000)
    reply(node, 1000, "SA")
    text = trace_to_text(syn(node, 1000, flags="A").trace)
    assert "flow_ipv4 entry: data, tcp_new -> tcp_established\n" in text
    assert "flow_reverse_ipv4 entry: data, tcp_heard -> tcp_established\n" in text


def test_a_known_flow_needs_no_other_tables() -> None:
    node = Node()
    syn(node, 1000)
    text = trace_to_text(syn(node, 1000, flags="A").trace)
    assert [line.split()[1] for line in text.splitlines() if line.startswith("table")] == [
        "port",
        "flow_ipv4",
        "neighbor",
    ]


def test_a_stale_next_hop_does_not_lead_into_another_network() -> None:
    node = Node()
    syn(node, 1000)
    (entry,) = [
        e
        for e in node.model.entries("neighbor")
        if e.matches[0] == node.book.entry("neighbor", e.action, nexthop=11).matches[0]
    ]
    call = node.book.call(
        "deliver", network=2, port=19, mtu=1500, dst_mac=MACS["client"], src_mac=MACS["web-1"], vlan=0
    )
    node.model.modify(replace(entry, action=call))
    outcome = syn(node, 1000, flags="A")
    assert (outcome.verdict, outcome.drop_reason) == (VerdictKind.DROP, "other_network")


def test_expired_entries_are_swept_in_pairs() -> None:
    node = Node()
    syn(node, 1000)
    start = node.clock.now_ms
    node.clock.now_ms = start + 59_999
    assert node.model.sweep(node.clock.now_ms) == ()
    reply(node, 1000)
    node.clock.now_ms = start + 60_000
    assert node.model.sweep(node.clock.now_ms) == ()
    assert syn(node, 1000).verdict is VerdictKind.FORWARD, "an expired entry matches until it is swept"
    swept = node.model.sweep(node.clock.now_ms + 60_000)
    assert sorted(entry.table for entry in swept) == ["flow_ipv4", "flow_reverse_ipv4"]
    assert node.model.learned("flow_ipv4") == ()


def test_udp_streams_live_longer_than_questions() -> None:
    node = Node()
    packet = bytes(frame(CLIENT, VIP[4], udp(5, 53)))
    node.interpreter.process(CLIENT_PORT, packet)
    assert [entry.profile for entry in node.model.learned("flow_ipv4")] == ["udp_new"]
    node.interpreter.process(CLIENT_PORT, packet)
    assert [entry.profile for entry in node.model.learned("flow_ipv4")] == ["udp_stream"]


def test_deleting_one_half_ends_the_connection() -> None:
    node = Node()
    syn(node, 1000)
    (reverse,) = node.model.learned("flow_reverse_ipv4")
    node.model.delete(reverse.key)
    assert node.model.learned("flow_ipv4") == ()
    with pytest.raises(NotFound, match="table flow_reverse_ipv4 has no such entry"):
        node.model.delete(reverse.key)
    with pytest.raises(NotFound):
        node.model.delete(EntryKey(table="flow_ipv4", matches=reverse.matches))


def test_the_oldest_half_open_connection_is_the_victim_with_its_pair() -> None:
    node = Node(source=with_slots(4, 4))
    syn(node, 1000)
    node.clock.now_ms += 10
    syn(node, 1001)
    node.clock.now_ms += 10
    text = trace_to_text(syn(node, 1002).trace)
    assert text.count("its slot is needed") == 1
    assert text.count("its pair left") == 1
    ports = sorted(entry.matches[5].value for entry in node.model.learned("flow_ipv4"))
    assert ports == [1001, 1002]


def test_established_connections_are_no_victims_of_a_syn() -> None:
    node = Node(source=with_slots(4, 4))
    for port in (1000, 1001):
        syn(node, port)
        for _ in range(2):
            syn(node, port, flags="A")
            reply(node, port, "A")
    outcome = syn(node, 1002)
    assert (outcome.verdict, outcome.drop_reason) == (VerdictKind.DROP, "flow_table_full")
    assert len(node.model.learned("flow_ipv4")) == 2
    node.clock.now_ms += 7_440_000
    assert syn(node, 1002).verdict is VerdictKind.FORWARD, "expired ones are"


def test_a_connection_is_learned_whole_or_not_at_all() -> None:
    """Three slots of four are established: the first half finds a place, the second does not, and the first leaves."""
    node = Node(source=with_slots(4, 4))
    for port in (1000, 1001):
        syn(node, port)
    for port in (1000, 1001):
        syn(node, port, flags="A")
    reply(node, 1000, "A")
    reply(node, 1001, "A")
    store = node.model.store_of("flow_ipv4")
    last = store.slots()[-1]
    partner = store.slots()[last.pair or 0]
    partner.pair = None
    store._slots.pop(last.index)  # pyright: ignore[reportPrivateUsage]
    outcome = syn(node, 1002)
    assert outcome.drop_reason == "flow_table_full"
    assert "its pair cannot be learned" in trace_to_text(outcome.trace)
    assert len(store.slots()) == 3
