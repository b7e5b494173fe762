"""Sequences of SCTP's associations: their lives, lengths that a CRC32c covers, checksums that are missing or wrong."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from compiler.ir.interpreter import VerdictKind
from runtime.verification.invariants import wrongness
from runtime.verification.playing import Play
from runtime.verification.scenes import Service
from runtime.verification.sequence import SHOP, Sequence
from runtime.verification.strategies import Again, Reply, Step, Sweep, Wait
from runtime.verification.telling import TOO_BIG, UNREACHABLE, complaint
from runtime.verification.traffic import SCTP_PREFIX, Send, Target, inner_packet

DIAMETER = Service(network=1, host=10, protocol="sctp", port=80, backends=((11, 3868, 1),))
LONELY = Service(network=1, host=20, protocol="sctp", port=80, backends=())
SCENE = replace(SHOP, services=(*SHOP.services, DIAMETER, LONELY))
INIT = Send(
    source=0, target=Target(kind="service", number=2), version=4, transport=f"{SCTP_PREFIX}S", src_port=1024, size=20
)
_BY_FRAGMENTS = 0xFFFF
"""The kernel's GSO_BY_FRAGS, in the place of bytes in a segment."""
_SIZES = (0, 1, 2, 3, 4, 99, 255, 256, 1023, 1200)


_GREETING = (Reply(back=0, flags="SA", size=0), Again(back=0, flags="PA"))


def _profiles(play: Play) -> set[str]:
    learned = play.comparison.reference.model.learned
    return {
        entry.profile
        for version in (4, 6)
        for half in ("flow", "flow_reverse")
        for entry in learned(f"{half}_ipv{version}")
    }


def _lives(play: Play) -> None:
    """From INIT to port reuse; ends by SHUTDOWN from one side, from both, by ABORT; data in between and behind."""
    for version in (4, 6):
        for ends in (("FA",), ("FA", "A"), ("R",), ("FA", "RA"), ()):
            play.do(replace(INIT, version=version))
            play.do(Reply(back=0, flags="SA", size=20))
            play.do(Again(back=0, flags="PA"))
            play.comparison.compare_state()
            for flags in ("A", *ends):
                play.do(Reply(back=0, flags=flags, size=8))
                play.do(Again(back=0, flags=flags))
                play.comparison.compare_state()
            play.do(replace(INIT, version=version))
            play.comparison.compare_state()
        play.do(Wait(ms=3_000))
        play.do(Sweep())
        play.comparison.compare_state()
    play.do(Wait(ms=210_000))
    play.do(Sweep())
    assert not _profiles(play)


def _established(play: Play) -> None:
    """Only when both sides have said more than INIT; such an association may be idle for 210 seconds."""
    for said, profiles in (
        (INIT, {"sctp_new"}),
        (Reply(back=0, flags="SA", size=20), {"sctp_new", "sctp_heard"}),
        (Again(back=0, flags="PA"), {"sctp_established"}),
        (Wait(ms=209_999), {"sctp_established"}),
    ):
        play.do(said)
        play.do(Sweep())
        assert _profiles(play) == profiles, said
        play.comparison.compare_state()


_TIMEOUTS: tuple[tuple[tuple[Step, ...], int], ...] = (
    ((), 3_000),
    ((Reply(back=0, flags="SA", size=0),), 3_000),
    ((*_GREETING, Wait(ms=208_000), Again(back=0, flags="FA")), 3_000),
    ((*_GREETING, Again(back=0, flags="FA"), Reply(back=0, flags="FA", size=0)), 10_000),
    ((*_GREETING, Again(back=0, flags="R")), 10_000),
)
"""What is said behind INIT, and how long the pair stays after the last of it: in each profile in turn."""


def _timeouts(play: Play) -> None:
    """Swept in the very millisecond in which a timeout is over, not before."""
    for version in (4, 6):
        for at, (steps, timeout_ms) in enumerate(_TIMEOUTS):
            play.do(replace(INIT, version=version, src_port=1024 + at))
            for step in steps:
                play.do(step)
            play.do(Wait(ms=timeout_ms - 1))
            play.do(Sweep())
            assert _profiles(play), at
            play.comparison.compare_state()
            play.do(Wait(ms=1))
            play.do(Sweep())
            assert not _profiles(play), at
            play.comparison.compare_state()


def _lengths(play: Play) -> None:
    """A CRC32c depends on how much follows; a trailer is not part of it."""
    for version in (4, 6):
        play.do(replace(INIT, version=version))
        for size in _SIZES:
            for oddities in ((), (("trailer", 7),)):
                step = replace(INIT, version=version, transport=f"{SCTP_PREFIX}A", size=size, oddities=oddities)
                outcome = play.do(step)
                if outcome is not None and outcome.verdict is VerdictKind.FORWARD and outcome.egress_port is not None:
                    assert not any(wrongness(inner_packet(outcome.egress_port, outcome.packet))), step
                play.do(Reply(back=0, flags="A", size=size))


def _checksums(play: Play) -> None:
    """Wrong ones stay as wrong; none stays none; lengths that do not fit what is there."""
    for version in (4, 6):
        play.do(replace(INIT, version=version))
        for oddity in (("wrong checksum", 1), ("no checksum", 0), ("wrong length", 9), ("wrong length", 0xFFF0)):
            play.do(replace(INIT, version=version, transport=f"{SCTP_PREFIX}A", oddities=(oddity,)))
            play.do(Reply(back=0, flags="A", size=3))
        for oddities in ((("wrong checksum", 3), ("no checksum", 0)), (("no checksum", 0), ("wrong checksum", 3))):
            play.do(replace(INIT, version=version, transport=f"{SCTP_PREFIX}A", oddities=oddities))


def _segments(play: Play) -> None:
    """What waits for its segmentation has the segments that its sender made: it is too big for nobody here."""
    for version in (4, 6):
        play.do(replace(INIT, version=version))
        for segment in (0, _BY_FRAGMENTS):
            step = replace(INIT, version=version, transport=f"{SCTP_PREFIX}A", size=1_350, segment=segment)
            outcome = play.do(step)
            assert outcome is None or (outcome.verdict is VerdictKind.FORWARD) == bool(segment), step


def _refused(play: Play) -> None:
    """Nobody is behind the service: the sender is told by ICMP, whose reader finds the packet's ports."""
    for version in (4, 6):
        lonely = replace(INIT, version=version, target=Target(kind="service", number=3))
        for flags in ("S", "A", "FA", "R"):
            outcome = play.do(replace(lonely, transport=f"{SCTP_PREFIX}{flags}"))
            assert outcome is None or (outcome.verdict is VerdictKind.REPLY) == (flags != "R")


def _errors(play: Play) -> None:
    """Whoever got a packet complains about it, and so does a router."""
    routers = {4: ip_address("10.0.0.77"), 6: ip_address("fd00::77")}
    for version in (4, 6):
        for step in (replace(INIT, version=version), Reply(back=0, flags="SA", size=40)):
            assert play.do(step) is not None
        for passed in play.passed[-2:]:
            for kind in (UNREACHABLE[version], TOO_BIG[version]):
                for teller in (None, routers[version]):
                    play.arrive(passed.port, complaint(passed.frame, teller, kind=kind))
    play.comparison.compare_state()


ASSOCIATION_SEQUENCES = tuple(
    Sequence(name=name, play=play, scene=SCENE)
    for name, play in (
        ("lives of associations", _lives),
        ("an association is established", _established),
        ("timeouts of associations", _timeouts),
        ("lengths of associations' packets", _lengths),
        ("checksums of associations", _checksums),
        ("segments of associations' packets", _segments),
        ("associations that nobody takes", _refused),
        ("errors about associations", _errors),
    )
)
