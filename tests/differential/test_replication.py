"""Copies of packets: those that the kernel sends, or has the device send, are what the interpreter says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from compiler.ir.controller import CPU_PORT
from compiler.ir.entries import CloneSession, MulticastGroup, Replica
from compiler.ir.interpreter import Copy, VerdictKind
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu
from runtime.verification.comparison import Comparison
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.wire_level import WireLevel
from tests.pipelines.replicating import mirrored, replicating, sent

pytestmark = [pytest.mark.root, pytest.mark.slow]
GROUP_DST, FLOOD_DST, PORT_DST, NO_GROUP_DST, EMPTY_DST, OTHER_DST = (f"02:00:00:00:00:{n:02x}" for n in range(1, 7))
PLAIN_SRC, CLONED_SRC, CUT_SRC, NO_SESSION_SRC = (f"02:00:00:00:01:{n:02x}" for n in range(1, 5))
IN, OUT, OTHER, THIRD, FOURTH = 16, 17, 18, 19, 20
CUT_BYTES = 70
REPLICATED = (
    MulticastGroup(id=7, replicas=(_of := Replica(port=OUT), Replica(port=OTHER, instance=3), Replica(port=IN))),
    MulticastGroup(
        id=0xFFFF,
        replicas=(Replica(port=IN), _of, Replica(port=CPU_PORT), Replica(port=OUT, instance=1), Replica(port=OTHER)),
    ),
    MulticastGroup(id=8),
    CloneSession(id=7, replicas=(Replica(port=CPU_PORT, instance=9), Replica(port=THIRD))),
    CloneSession(id=9, replicas=(Replica(port=THIRD), Replica(port=CPU_PORT), _of), packet_length_bytes=CUT_BYTES),
)
ENTRIES = (
    sent(GROUP_DST, "to_group", 7),
    sent(FLOOD_DST, "flood", 0xFFFF),
    sent(PORT_DST, "to_port", FOURTH),
    sent(NO_GROUP_DST, "to_group", 9),
    sent(EMPTY_DST, "flood", 8),
    mirrored(CLONED_SRC, 7),
    mirrored(CUT_SRC, 9),
    mirrored(NO_SESSION_SRC, 8),
)
Kernel = TestRunLevel | WireLevel
LEVELS: dict[str, Callable[[], Kernel]] = {
    "tc": lambda: TestRunLevel(replicating(), Hook.TC),
    "wire": lambda: WireLevel(replicating()),
    "wire, checksums left": lambda: WireLevel(replicating(), leaves_checksums=True),
}


def frames(dst: str, src: str) -> Iterator[bytes]:
    ether = Ether(dst=dst, src=src)
    ip = IP(src="10.0.0.1", dst="10.0.0.2")
    packets: list[Packet] = [
        ether / ARP(pdst="10.0.0.1"),
        ether / ip / UDP(sport=1, dport=2) / Raw(b"odd"),
        ether / ip / TCP(sport=1, dport=2) / Raw(bytes(range(256)) * 6),
        ether / Dot1Q(vlan=100, prio=5) / ip / UDP(sport=1, dport=2) / Raw(bytes(100)),
        ether / ip / UDP(sport=1, dport=2) / Raw(bytes(2000)),
        ether / ip / UDP(sport=1, dport=2) / Raw(bytes(CUT_BYTES - 42)),
    ]
    yield from map(bytes, packets)


@pytest.fixture(scope="module", params=list(LEVELS.values()), ids=list(LEVELS))
def level(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    with pinned_to_cpu(), request.param() as made:
        yield made


@pytest.fixture
def compared(level: Kernel) -> Comparison:
    made = Comparison([level])
    made.insert(*ENTRIES)
    for given in REPLICATED:
        made.reference.replicate(given)
        level.replicate(given)
    return made


def test_copies_are_what_the_interpreter_says(compared: Comparison) -> None:
    copied = 0
    for dst in (GROUP_DST, FLOOD_DST, PORT_DST, NO_GROUP_DST, EMPTY_DST, OTHER_DST):
        for src in (PLAIN_SRC, CLONED_SRC, CUT_SRC, NO_SESSION_SRC):
            for frame in frames(dst, src):
                outcome = compared.process(IN, frame)
                assert outcome is not None
                copied += len(outcome.copies)
    assert copied == 6 * (4 * (3 + 4) + 6 * (2 + 3))
    compared.compare_state()


def test_a_clone_is_the_packet_as_it_came_and_a_replica_as_it_leaves(compared: Comparison) -> None:
    frame = bytes(Ether(dst=GROUP_DST, src=CLONED_SRC) / IP(ttl=9) / UDP())
    left = bytes(Ether(dst=GROUP_DST, src=CLONED_SRC) / IP(ttl=8) / UDP())
    outcome = compared.process(IN, frame)
    assert outcome is not None
    assert outcome.verdict is VerdictKind.MULTICAST
    assert outcome.copies == (
        Copy(port=CPU_PORT, instance=9, packet=frame, packet_in=(IN, 1)),
        Copy(port=THIRD, instance=0, packet=frame),
        Copy(port=OUT, instance=0, packet=left),
        Copy(port=OTHER, instance=3, packet=left),
        Copy(port=IN, instance=0, packet=left),
    )


def test_a_group_that_changes_and_one_that_goes(compared: Comparison, level: Kernel) -> None:
    frame = next(frames(GROUP_DST, PLAIN_SRC))
    for replicas in ((Replica(port=OTHER),), (Replica(port=OUT), Replica(port=OTHER)), ()):
        group = MulticastGroup(id=7, replicas=replicas)
        compared.reference.replicate(group)
        level.replicate(group)
        outcome = compared.process(IN, frame)
        assert outcome is not None
        assert [copy.port for copy in outcome.copies] == [replica.port for replica in replicas]
        assert outcome.drop_reason == (None if replicas else "unknown_group")
    compared.compare_state()


def test_as_many_replicas_as_there_may_be() -> None:
    """All of them to one port, which tells the copies apart by nothing: their number."""
    with pinned_to_cpu(), TestRunLevel(replicating(), Hook.TC) as tc:
        made = Comparison([tc])
        made.insert(*ENTRIES)
        group = MulticastGroup(id=7, replicas=tuple(Replica(port=OUT, instance=n) for n in range(128)))
        session = CloneSession(id=7, replicas=tuple(Replica(port=1 + n) for n in range(128)))
        for given in (group, session):
            made.reference.replicate(given)
            tc.replicate(given)
        outcome = made.process(IN, next(frames(GROUP_DST, CLONED_SRC)))
        assert outcome is not None
        assert len(outcome.copies) == 256
