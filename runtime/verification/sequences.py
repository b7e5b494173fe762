"""Sequences with a name: what generated ones meet too rarely, and what they once found, in the fewest steps.

Each is a scene and a function that plays it. Add one when a difference was found, after Hypothesis has shrunk it.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.interpreter import VerdictKind
from runtime.verification.association_sequences import ASSOCIATION_SEQUENCES
from runtime.verification.connection_sequences import CONNECTION_SEQUENCES
from runtime.verification.fragment_sequences import FRAGMENT_SEQUENCES
from runtime.verification.frame_sequences import FRAME_SEQUENCES
from runtime.verification.playing import Play
from runtime.verification.sequence import QUERY, SHOP, SYN, Sequence
from runtime.verification.strategies import Again, Burst, Edit, Reply, Sweep, Wait
from runtime.verification.telling_sequences import TELLING_SEQUENCES
from runtime.verification.traffic import sent

__all__ = ["SEQUENCES", "SHOP", "SYN", "Sequence"]
_UDP_CHECKSUM, _UDP_PAYLOAD = slice(40, 42), slice(42, 44)


def _ages(play: Play) -> None:
    """Swept in the very millisecond in which the timeout is over, not before; still used until then."""
    play.do(QUERY)
    play.do(Wait(ms=29_999))
    play.do(Sweep())
    assert len(play.comparison.reference.model.learned("flow_ipv4")) == 1
    play.comparison.compare_state()
    play.do(Wait(ms=1))
    play.do(Sweep())
    assert not play.comparison.reference.model.learned("flow_ipv4")


def _life(play: Play) -> None:
    """A TCP connection from its SYN to port reuse after the RST, with replies in between."""
    for version in (4, 6):
        play.do(replace(SYN, version=version))
        for flags in ("A", "PA", "FA", "A", "R"):
            play.do(Reply(back=0, flags="SA", size=0))
            play.do(Again(back=0, flags=flags))
            play.comparison.compare_state()
        play.do(Again(back=0, flags="S"))
        play.comparison.compare_state()


def _data_before_syn(play: Play) -> None:
    """An established connection sees a SYN again: it stays established."""
    play.do(SYN)
    for flags in ("A", "S", "SA"):
        play.do(Again(back=0, flags=flags))
        play.comparison.compare_state()


def _crowd(play: Play) -> None:
    """More connections than slots: the oldest of the lowest rank leave, established ones stay."""
    for first in (2000, 3000):
        for at in range(12):
            play.do(replace(SYN, src_port=first + at))
            play.do(Wait(ms=7))
            if at % 3 == 0:
                play.do(Again(back=0, flags="A"))
        play.comparison.compare_state()
    play.do(Burst(first=replace(SYN, src_port=4000), count=24))


def _full(play: Play) -> None:
    """Established both ways, connections keep their slots: nothing new is learned, nor half of it."""
    for at in range(40):
        play.do(replace(SYN, src_port=2000 + at))
        play.do(Reply(back=0, flags="SA", size=0))
        play.do(Reply(back=1, flags="A", size=0))
        play.do(Again(back=0, flags="A"))
    play.comparison.compare_state()
    outcomes = [play.do(replace(SYN, src_port=3000 + at)) for at in range(12)]
    assert "flow_table_full" in {outcome.drop_reason for outcome in outcomes if outcome is not None}


def _zero(play: Play) -> None:
    """A UDP checksum that becomes 0 is sent as 0xffff, for 0 would mean none."""
    port, frame = sent(play.scene, replace(QUERY, size=2))
    first = play.arrive(port, frame)
    assert first is not None
    missing = int.from_bytes(first.packet[_UDP_CHECKSUM], "big")
    payload = _in_ones_complement(int.from_bytes(frame[_UDP_PAYLOAD], "big") + missing)
    checksum = _in_ones_complement(int.from_bytes(frame[_UDP_CHECKSUM], "big") + 0xFFFF - missing)
    second = play.arrive(port, frame[:40] + checksum.to_bytes(2, "big") + payload.to_bytes(2, "big"))
    assert second is not None
    assert second.packet[_UDP_CHECKSUM] == b"\xff\xff"


def _in_ones_complement(value: int) -> int:
    return (value & 0xFFFF) + (value >> 16)


def _no_checksum(play: Play) -> None:
    """A UDP packet without a checksum gets none."""
    for version in (4, 6):
        outcome = play.do(replace(QUERY, version=version, size=9, oddities=(("no checksum", 0),)))
        assert outcome is not None
        assert outcome.verdict is VerdictKind.FORWARD


def _moved(play: Play) -> None:
    """The next hop of a known connection becomes one of another network: nothing gets there."""
    play.do(SYN)
    hops = [at for at, entry in enumerate(play.comparison.reference.entries()) if entry.table == "neighbor"]
    assert len(hops) == len(play.scene.workloads)
    play.do(Edit(kind="repoint", number=1, other=2))
    outcome = play.do(Again(back=0, flags="A"))
    assert outcome is not None
    assert outcome.drop_reason == "other_network"


def _just_fits(play: Play) -> None:
    """IP packets of the MTU of the way out, of one byte less, and of one byte more."""
    for version in (4, 6):
        for flags in ("DF", ""):
            for size in (1239, 1240, 1241) if version == 4 else (1219, 1220, 1221):
                play.do(replace(SYN, transport="A", version=version, flags=flags, size=size))


def _strangers(play: Play) -> None:
    """A workload of another network with the client's own address finds no service of this one."""
    for version in (4, 6):
        outcome = play.do(replace(SYN, source=2, version=version))
        assert outcome is not None
        assert outcome.verdict is VerdictKind.TO_KERNEL


def _ends_in_header(play: Play) -> None:
    """The IP length ends within the TCP header, which is in the frame all the same: it is taken as it stands."""
    for version in (4, 6):
        outcome = play.do(replace(SYN, version=version, size=1, oddities=(("wrong length", -9),)))
        assert outcome is not None
        assert outcome.verdict is VerdictKind.FORWARD


SEQUENCES = (
    Sequence(name="ages to the millisecond", play=_ages),
    Sequence(name="life of a connection", play=_life),
    Sequence(name="a late SYN", play=_data_before_syn),
    Sequence(name="crowd", play=_crowd),
    Sequence(name="full of established ones", play=_full),
    Sequence(name="checksum becomes zero", play=_zero),
    Sequence(name="no checksum", play=_no_checksum),
    Sequence(name="next hop of another network", play=_moved),
    Sequence(name="just fits", play=_just_fits),
    Sequence(name="strangers", play=_strangers),
    Sequence(name="IP length ends in the TCP header", play=_ends_in_header),
    *FRAME_SEQUENCES,
    *FRAGMENT_SEQUENCES,
    *TELLING_SEQUENCES,
    *ASSOCIATION_SEQUENCES,
    *CONNECTION_SEQUENCES,
)
