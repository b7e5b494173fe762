"""Packets for the controller: what the ring gives the device is what the interpreter says, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from compiler.ir.entries import ActionCall, Exact, TableEntry
from compiler.ir.interpreter import Tally, VerdictKind
from compiler.ir.nodes import Pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.comparison import Comparison
from runtime.verification.levels import LONGEST_FRAME
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.vector import PacketIn
from runtime.verification.wire_level import WireLevel
from tests.pipelines.controllers import controllers

pytestmark = [pytest.mark.root, pytest.mark.slow]
PUNTED, SENT, UNKNOWN = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
SRC = "02:00:00:00:00:aa"
Kernel = TestRunLevel | WireLevel
LEVELS: dict[str, Callable[[], Kernel]] = {
    "tc": lambda: TestRunLevel(controllers(), Hook.TC),
    "xdp": lambda: TestRunLevel(controllers(), Hook.XDP),
    "wire": lambda: WireLevel(controllers()),
    "wire, checksums left": lambda: WireLevel(controllers(), leaves_checksums=True),
}


def entry(address: str, action: ActionCall) -> TableEntry:
    value = int(address.replace(":", ""), 16)
    return TableEntry(table="destination", matches=(Exact(value=value),), action=action)


ENTRIES = (
    entry(PUNTED, ActionCall(action="to_controller", arguments=(37, 0x020000000055))),
    entry(SENT, ActionCall(action="to_port", arguments=(17,))),
)


def frames(dst: str) -> Iterator[bytes]:
    """One of each kind, small, large, tagged, with something behind its end."""
    ether = Ether(dst=dst, src=SRC)
    inner = Ether(dst=dst, src=SRC) / IP(src="10.0.0.1", dst="10.0.0.2")
    packets: list[Packet] = [
        ether / ARP(pdst="10.0.0.1"),
        ether / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / Raw(b"odd"),
        ether / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2, chksum=0) / Raw(b"none"),
        ether / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2) / Raw(bytes(range(256))),
        ether / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1, dport=2, chksum=0x1234) / Raw(b"wrong"),
        ether / IP(src="10.0.0.1", dst="10.0.0.2", options=[]) / ICMP() / Raw(bytes(1400)),
        ether / IPv6(src="fd00::1", dst="fd00::2") / TCP(sport=1, dport=2) / Raw(bytes(1600)),
        ether / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1, dport=2) / Raw(bytes(LONGEST_FRAME - 100)),
        ether / Dot1Q(vlan=100, prio=5) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2) / Raw(b"tagged"),
        ether
        / IP(src="10.0.0.1", dst="10.0.0.2")
        / UDP(sport=1, dport=4789)
        / Raw(b"\x08\0\0\0\0\0\x01\0" + bytes(inner)),
    ]
    yield from map(bytes, packets)
    yield bytes(ether / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=2)) + bytes(18)


@pytest.fixture(scope="module", params=list(LEVELS.values()), ids=list(LEVELS))
def level(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    with pinned_to_cpu(), request.param() as made:
        yield made


def test_the_controller_gets_what_the_interpreter_says(level: Kernel) -> None:
    compared = Comparison([level])
    compared.insert(*ENTRIES)
    punted = 0
    for dst in (PUNTED, SENT, UNKNOWN):
        for frame in frames(dst):
            outcome = compared.process(16, frame)
            if outcome is not None and outcome.verdict is VerdictKind.PUNT:
                assert outcome.packet_in == (16, 37, 0)
                assert outcome.packet[6:12] == bytes.fromhex("020000000055")
                punted += 1
    assert punted >= 10
    compared.compare_state()


@pytest.mark.parametrize("version", [4, 6])
def test_a_packet_that_awaits_cutting_comes_in_segments(version: int) -> None:
    network = IP(src="10.0.0.1", dst="10.0.0.2", id=65535) if version == 4 else IPv6(src="fd00::1", dst="fd00::2")
    frame = bytes(Ether(dst=PUNTED, src=SRC) / network / TCP(sport=1, dport=2, flags="PA", seq=7) / Raw(bytes(2500)))
    with WireLevel(controllers()) as level:
        compared = Comparison([level])
        compared.insert(*ENTRIES)
        assert compared.do(PacketIn(port=16, frame=frame, gso_size=1000)) is not None


def test_a_full_ring_drops_and_counts() -> None:
    pipeline: Pipeline = controllers()
    frame = next(frames(PUNTED))
    with pinned_to_cpu(), TestRunLevel(pipeline, Hook.TC) as level:
        level.insert(*ENTRIES)
        level.add_port(16)
        held = (2 << 20) // (256 + 24 + 8 + 8)  # a record's head, what is said, the ring's own head
        left = [level.run(PacketIn(port=16, frame=frame)).kind for _ in range(held + 100)]
        taken = left.count(VerdictKind.PUNT)
        assert left == [VerdictKind.PUNT] * taken + [VerdictKind.DROP] * (held + 100 - taken)
        assert held - 10 < taken <= held
        lost = held + 100 - taken
        assert level.indexed_counters("dropped", range(2, 3)) == (Tally(lost, lost * len(frame)),)
