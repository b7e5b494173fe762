"""Sequences of packets in fragments: both ways, out of order, used again, in a crowd; of IPv4 packets with options."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from compiler.ir.interpreter import VerdictKind
from runtime.verification import anatomy
from runtime.verification.fragmenting import in_fragments, whole
from runtime.verification.invariants import wrongness
from runtime.verification.malformed.catalogue import BY_NAME
from runtime.verification.playing import Play
from runtime.verification.sequence import CLIENT, QUERY, SYN, Sequence
from runtime.verification.strategies import Again, Reply, Sweep, Wait
from runtime.verification.traffic import Send, inner_packet, reply_to, sent

_LONG = 1100
_SPELT = 0x0707
"""What the first two bytes of an option can be: record route, of seven bytes."""
_CUTS = ((8,), (24,), (64, 512), (1096,), (32, 40, 48, 1000))
"""Of UDP the first fragment has the header and nothing else at least, of TCP a part of it."""


def _frame(play: Play, step: Send) -> bytes:
    """As it comes in, not to be sent whole."""
    return sent(play.scene, replace(step, flags="", size=_LONG))[1]


def _both_ways(play: Play) -> None:
    """Requests and answers in parts get whole to the other end, with checksums that are right."""
    for number, (version, opening, cuts) in enumerate(product((4, 6), (SYN, QUERY), _CUTS), 1):
        step = replace(opening, version=version, transport="A" if opening is SYN else "udp")
        pieces = in_fragments(_frame(play, step), cuts, identification=number)
        outcomes = [play.arrive(CLIENT.port or 0, piece) for piece in pieces]
        play.comparison.compare_state()
        if opening is SYN and cuts[0] < 20:
            assert VerdictKind.FORWARD not in {outcome.verdict for outcome in outcomes if outcome is not None}
            continue
        got = [outcome.packet for outcome in outcomes if outcome is not None]
        together = whole([inner_packet(play.passed[-1].port, frame) for frame in got])
        assert together is not None
        assert not any(wrongness(together))
        answer = reply_to(play.passed[-len(got)], "A", _LONG)
        if answer is None:
            continue
        port, frame = answer
        back = [play.arrive(port, piece) for piece in in_fragments(frame, cuts, identification=number)]
        assert {outcome.egress_port for outcome in back if outcome is not None} == {CLIENT.port}
        play.comparison.compare_state()


def _out_of_order(play: Play) -> None:
    """What comes before its first is not translated; the identification may be in use again, by another connection."""
    for version, opening in product((4, 6), (SYN, QUERY)):
        step = replace(opening, version=version, transport="A" if opening is SYN else "udp")
        first, second, third = in_fragments(_frame(play, step), (64, 512))
        other = replace(step, src_port=step.src_port + 1)
        again = in_fragments(_frame(play, other), (64, 512))
        for piece in (second, third, first, third, second, again[0], second, again[1], first, again[2]):
            play.arrive(CLIENT.port or 0, piece)
            play.comparison.compare_state()


def _ages(play: Play) -> None:
    """Half a minute behind the last fragment, to the millisecond."""
    for version in (4, 6):
        pieces = in_fragments(_frame(play, replace(QUERY, version=version)), (64, 512))
        play.arrive(CLIENT.port or 0, pieces[0])
        for waited in (29_999, 1):
            play.do(Wait(ms=waited))
            outcome = play.arrive(CLIENT.port or 0, pieces[1])
            assert outcome is not None
            assert outcome.verdict is VerdictKind.FORWARD
        play.do(Wait(ms=30_000))
        play.do(Sweep())
        play.comparison.compare_state()
        outcome = play.arrive(CLIENT.port or 0, pieces[2])
        assert outcome is not None
        assert outcome.verdict is VerdictKind.TO_KERNEL


def _crowd(play: Play) -> None:
    """More packets in parts than slots: they push each other and openings out, and no established connection."""
    play.do(SYN)
    play.do(Reply(back=0, flags="SA", size=0))
    play.do(Again(back=0, flags="A"))
    for number in range(60):
        for version in (4, 6):
            step = replace(QUERY, version=version, src_port=2000 + number % 7)
            pieces = in_fragments(_frame(play, step), (64,), identification=number)
            play.arrive(CLIENT.port or 0, pieces[0])
        play.do(Wait(ms=3))
        if number % 10 == 0:
            play.comparison.compare_state()
    established = play.do(Again(back=0, flags="PA"))
    assert established is not None
    assert established.verdict is VerdictKind.FORWARD


def _odd(play: Play) -> None:
    """Each byte of a later fragment's network header changed: mostly it follows nothing."""
    for version in (4, 6):
        first, second = in_fragments(_frame(play, replace(QUERY, version=version)), (64,))
        play.arrive(CLIENT.port or 0, first)
        for at in range(12, 34 if version == 4 else 62):
            for bit in (1, 0x20, 0x80):
                play.arrive(CLIENT.port or 0, anatomy.replaced(second, at, bytes([second[at] ^ bit])))
                play.arrive(CLIENT.port or 0, anatomy.replaced(first, at, bytes([first[at] ^ bit])))
        play.comparison.compare_state()


def _with_options(play: Play) -> None:
    """IPv4 options of each kind and all lengths in front of what opens a connection, and of fragments."""
    fault = BY_NAME["ipv4 options"]
    for opening in (SYN, QUERY):
        play.do(opening)
        for case in range(0, fault.cases, 7):
            _, frame = sent(play.scene, replace(opening, src_port=2000 + case % 3, flags="", size=40))
            changed = fault(frame, case)
            play.arrive(CLIENT.port or 0, changed)
            if case % 5 == 0:
                for piece in in_fragments(changed, (24,), identification=case):
                    play.arrive(CLIENT.port or 0, piece)
        play.do(Reply(back=0, flags="SA", size=0))
        for what, size in ({"ttl": 1}, 40), ({}, 1300), ({"dst_port": 81}, 40):
            _, frame = sent(play.scene, replace(opening, flags="", size=size, **what))
            play.arrive(CLIENT.port or 0, fault(frame, 3))
        play.comparison.compare_state()


def _look_alike(play: Play) -> None:
    """Options that spell the ports of a known connection: who takes them for its TCP header finds that one."""
    play.do(replace(SYN, src_port=_SPELT))
    play.do(Reply(back=0, flags="SA", size=0))
    ports = _ports(sent(play.scene, replace(SYN, src_port=_SPELT))[1])
    for flags, src_port in (("A", _SPELT), ("A", 2001), ("PA", 2002), ("FA", _SPELT)):
        _, frame = sent(play.scene, replace(SYN, transport=flags, src_port=src_port, flags="", size=40))
        play.arrive(CLIENT.port or 0, anatomy.optioned(frame, ports + bytes(4)))
        play.comparison.compare_state()
    play.do(replace(SYN, src_port=_SPELT))
    answer = reply_to(play.passed[-1], "A", 40)
    assert answer is not None
    port, frame = answer
    part = anatomy.last(frame, "tcp")
    assert part is not None
    other = anatomy.replaced(frame, part.start, bytes(2))
    for changed in (frame, other):
        play.arrive(port, anatomy.optioned(changed, _ports(frame) + bytes(4)))
        play.comparison.compare_state()


def _ports(frame: bytes) -> bytes:
    part = anatomy.last(frame, "tcp")
    assert part is not None
    return frame[part.start : part.start + 4]


FRAGMENT_SEQUENCES = (
    Sequence(name="fragments both ways", play=_both_ways),
    Sequence(name="fragments out of order", play=_out_of_order),
    Sequence(name="fragments age to the millisecond", play=_ages),
    Sequence(name="crowd of fragments", play=_crowd),
    Sequence(name="odd fragments", play=_odd),
    Sequence(name="options of all kinds", play=_with_options),
    Sequence(name="options like ports", play=_look_alike),
)
