"""Two interpreters side by side agree; one that lies is told from where it parts, and can be played again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.ir.entries import EntryKey
from compiler.ir.interpreter import LearnedEntry, Outcome, Tally, VerdictKind
from compiler.pipeline.assembly import pipeline
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison, run
from runtime.verification.findings import Difference, Violation
from runtime.verification.interpreter_level import InterpreterLevel
from runtime.verification.levels import Contradiction, Lookup, small
from runtime.verification.shop import CLIENT_PORT, WEB_1_PORT, device_entries
from runtime.verification.shop_frames import vectors
from runtime.verification.vector import Accepted, PacketIn, Step, Vector, Wait

SOURCE = small(pipeline(), 16)
FRAMES = {name: frame for name, _, frame in vectors()}
SYN = PacketIn(port=CLIENT_PORT, frame=FRAMES["syn 0 v4"])
FORWARDED = Accepted(verdict=VerdictKind.FORWARD)


class LyingLevel(InterpreterLevel):
    """Does as the interpreter, but tells another thing of the kind in `lie`."""

    name = "liar"

    def __init__(self, lie: str) -> None:
        super().__init__(SOURCE)
        self.lie = lie

    def takes(self, _: Step, /) -> bool:
        return self.lie != "refuses"

    def process(self, packet: PacketIn) -> Outcome:
        outcome = super().process(packet)
        if self.lie == "contradiction":
            raise Contradiction("nothing came out of port17")
        if self.lie == "port":
            return replace(outcome, egress_port=511)
        if self.lie == "drop":
            return Outcome(verdict=VerdictKind.DROP, packet=b"", drop_reason="no_backend")
        return outcome

    def lookups(self) -> tuple[Lookup, ...]:
        made = super().lookups()
        if self.lie != "drop":
            return made
        at = next(at for at, lookup in enumerate(made) if lookup.table == "backend_ipv4")
        return (*made[:at], replace(made[at], action=None))

    def learned(self, table: str) -> tuple[LearnedEntry, ...]:
        return () if self.lie == "learned" else super().learned(table)

    def direct_counter(self, key: EntryKey) -> Tally:
        return Tally(7, 700) if self.lie == "direct" and key.table == "port" else super().direct_counter(key)

    def indexed_counters(self, counter: str, indices: range) -> tuple[Tally, ...]:
        tallies = super().indexed_counters(counter, indices)
        return tuple(Tally(0, 0) for _ in tallies) if self.lie == "counters" else tallies

    def flaws(self) -> tuple[str, ...]:
        return ("slot 3 is half written",) if self.lie == "flaws" else ()


def shop(*steps: PacketIn | Wait, slots: int = 16) -> Vector:
    book = Book(InterpreterLevel(SOURCE).names)
    return Vector(name="shop", slots=slots, entries=device_entries("A", book=book), steps=steps)


def found(lie: str) -> Difference:
    with pytest.raises(Difference) as difference:
        run(shop(SYN), [InterpreterLevel(SOURCE), LyingLevel(lie)])
    return difference.value


def test_levels_that_agree() -> None:
    steps = [PacketIn(port=port, frame=frame) for _, port, frame in vectors()]
    comparison = run(shop(*steps, Wait(ms=7)), [InterpreterLevel(SOURCE), InterpreterLevel(SOURCE)])
    assert comparison.vector("shop") == shop(*steps, Wait(ms=7))


SENT = "020000000001020000000010080045000028000140004006265c0a00000a0a60000a0fa00050000003e8000000005002200067970000"
LEFT = "020000000011020000000001080045000028000140003f0627bb0a00000a0a00000b0fa01f90000003e8000000005002200048b60000"
CLIENT_TO_VIP = "src=10.0.0.10, dst=10.96.0.10, src_port=4000, dst_port=80"
WEB_TO_CLIENT = "src=10.0.0.11, dst=10.0.0.10, src_port=8080, dst_port=4000"
DROPPED = f"""\
liar differs: drop (no_backend) instead of forward
Ether / IP / TCP 10.0.0.10:4000 > 10.96.0.10:http S, by port 16
{SENT}
both: port set_workload, flow_ipv4 miss, proxy_ipv4 miss, outbound_ipv4 miss, service_ipv4 to_service_ipv4
the last that both did:
  table service_ipv4 (network=1, address=10.96.0.10, protocol=6, port=80): hit, \
to_service_ipv4(service_id=1, hairpin=10.0.0.1, affinity_ms=0)  [shop.yaml:101:1]
interpreter, from there:
  table backend_ipv4 (service_id=1): hit member 1 of group 1, to_backend_ipv4(address=10.0.0.11, port=8080)
  control redirect_in_ipv4
  table inbound_ipv4 (network=1, workload=10.0.0.11, peer=10.0.0.10, port=8080): miss, miss()
  control police_ipv4
  table isolated_source_ipv4 (network=1, nexthop=10): miss, miss()
  table isolated_destination_ipv4 (network=1, address=10.0.0.11): miss, miss()
  seek flow_reverse_ipv4 (network=1, leg=2, protocol=6, {WEB_TO_CLIENT}): free, 1 tried
  table route_ipv4 (network=1, dst=10.0.0.11): hit, via(nexthop=11)
  learn flow_ipv4 (network=1, leg=2, protocol=6, {CLIENT_TO_VIP}): translate_ipv4(src=10.0.0.10, dst=10.0.0.11, \
src_port=4000, dst_port=8080, nexthop=11, service_id=1) as tcp_new in slot 9
  learn flow_reverse_ipv4 (network=1, leg=2, protocol=6, {WEB_TO_CLIENT}): translate_reply_ipv4(src=10.96.0.10, \
dst=10.0.0.10, src_port=80, dst_port=4000, nexthop=10, service_id=1) as tcp_new in slot 10
  count service_requests[1]
  control forward
  table neighbor (nexthop=11): hit, deliver(network=1, port=17, mtu=1500, dst_mac=02:00:00:00:00:11, \
src_mac=02:00:00:00:00:01, vlan=0)
  control check_ipv4
  control send_ipv4
  set ipv4.dst: 10.96.0.10 -> 10.0.0.11
  set ipv4.ttl: 64 -> 63
  set tcp.dst_port: 80 -> 8080
  set ethernet.dst: 02:00:00:00:00:01 -> 02:00:00:00:00:11
  set ethernet.src: 02:00:00:00:00:10 -> 02:00:00:00:00:01
  forward to port 17
  {LEFT}
liar, from there:
  table backend_ipv4: miss (where the interpreter asks for service_id=1)
  drop: no_backend
what was done:
  port 16: {SENT}"""


def test_a_packet_on_another_way_is_told_from_where_the_ways_part() -> None:
    difference = found("drop")
    assert str(difference) == DROPPED
    assert difference.vector == replace(shop(SYN), name="found")


def test_a_packet_on_the_same_way_is_told_from_the_last_table_on() -> None:
    told = str(found("port"))
    assert told.startswith("liar differs: port 511 instead of 17\n")
    assert told.endswith(
        f"""
liar, from there:
  forward to port 511: Ether / IP / TCP 10.0.0.10:4000 > 10.0.0.11:http_alt S
  {LEFT}
what was done:
  port 16: {SENT}"""
    )


def test_what_does_not_fit_together_is_a_difference() -> None:
    told = str(found("contradiction"))
    assert told.startswith(
        "liar differs: nothing came out of port17\n"
        f"Ether / IP / TCP 10.0.0.10:4000 > 10.96.0.10:http S, by port 16\n{SENT}\n"
        "interpreter:\n  parse start\n"
    )
    assert told.endswith(f"  forward to port 17\n  {LEFT}\nwhat was done:\n  port 16: {SENT}")


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (
            "learned",
            "liar differs: learned entries of flow_ipv4\n"
            "only interpreter:\n"
            f"  table flow_ipv4 (network=1, leg=2, protocol=6, {CLIENT_TO_VIP}): translate_ipv4(src=10.0.0.10, "
            "dst=10.0.0.11, src_port=4000, dst_port=8080, nexthop=11, service_id=1) as tcp_new, "
            "seen at 4294907296 ms, 0 packets, 0 bytes\n",
        ),
        (
            "counters",
            "liar differs: counter service_requests\n"
            "only interpreter:\n"
            "  [1]: 1 packets, 54 bytes\n"
            "only liar:\n"
            "  [1]: 0 packets, 0 bytes\n",
        ),
        (
            "direct",
            "liar differs: 7 packets, 700 bytes instead of 0 packets, 0 bytes of "
            "table port (port=1, vlan=0): set_uplink()\n",
        ),
    ],
)
def test_state_that_differs(lie: str, told: str) -> None:
    assert str(found(lie)) == f"{told}what was done:\n  port 16: {SENT}"


def test_what_is_not_whole() -> None:
    with pytest.raises(Violation) as violation:
        run(shop(SYN), [LyingLevel("flaws")])
    assert str(violation.value) == f"liar is not whole: slot 3 is half written\nwhat was done:\n  port 16: {SENT}"


def test_of_a_long_run_the_last_steps_are_told() -> None:
    with pytest.raises(Violation) as violation:
        run(shop(*[Wait(ms=number) for number in range(1, 21)]), [LyingLevel("flaws")])
    shown = "".join(f"\n  +{number} ms" for number in range(9, 21))
    assert str(violation.value) == f"liar is not whole: slot 3 is half written\nwhat was done:\n  (8 steps){shown}"


def test_any_accepted_outcome_will_do() -> None:
    dropped = Accepted(verdict=VerdictKind.DROP, drop_reason="no_route")
    run(shop(replace(SYN, accepted=(dropped, FORWARDED))), [InterpreterLevel(SOURCE)])
    with pytest.raises(Difference):
        run(shop(replace(SYN, accepted=(dropped,))), [InterpreterLevel(SOURCE)])
    run(shop(replace(SYN, accepted=(FORWARDED,))), [LyingLevel("port")])
    with pytest.raises(Difference) as difference:
        run(shop(replace(SYN, accepted=(replace(FORWARDED, egress_port=WEB_1_PORT), dropped))), [LyingLevel("port")])
    first, *_, accepted, forward, drop = str(difference.value).splitlines()[:6]
    assert first == (
        "liar differs: forward to port 511: Ether / IP / TCP 10.0.0.10:4000 > 10.0.0.11:http_alt S, "
        "which is not accepted"
    )
    assert (accepted, forward, drop) == ("accepted:", "  forward to port 17", "  drop: no_route")


def test_a_vector_for_stores_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"^vector 'shop' needs stores of 64 slots$"):
        run(shop(SYN, slots=64), [InterpreterLevel(SOURCE)])


def test_what_a_level_cannot_take_is_left_out_for_all() -> None:
    comparison = Comparison([InterpreterLevel(SOURCE), LyingLevel("refuses")])
    comparison.fill(shop().entries)
    assert comparison.do(SYN) is None
    assert comparison.done == []


def test_counters_are_compared_as_far_as_they_have_counted() -> None:
    level = InterpreterLevel(SOURCE)
    comparison = Comparison([level])
    comparison.reference.model.count("service_requests", 5000, 60)
    with pytest.raises(Difference) as difference:
        comparison.compare_state()
    assert str(difference.value) == (
        "interpreter differs: counter service_requests\n"
        "only interpreter:\n"
        "  [5000]: 1 packets, 60 bytes\n"
        "only interpreter:\n"
        "  [5000]: 0 packets, 0 bytes\n"
        "what was done:"
    )
