"""Sequences of ICMP errors about packets of known connections: of each kind, of each end, of others, a little wrong."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from itertools import product

from runtime.verification import anatomy
from runtime.verification.playing import Play
from runtime.verification.sequence import QUERY, STRANGER, SYN, Sequence
from runtime.verification.strategies import Reply
from runtime.verification.telling import complaint

_KINDS = {
    4: ((0, 0), (3, 0), (3, 4), (4, 0), (5, 0), (8, 0), (11, 0), (11, 1), (12, 0), (13, 0)),
    6: ((0, 0), (1, 0), (1, 4), (2, 0), (3, 0), (4, 0), (5, 0), (127, 0), (128, 0)),
}
_ROUTERS = {4: ip_address("10.0.0.77"), 6: ip_address("fd00::77")}
_QUOTED = (0, 7, 8, 12, 40)


def _every_error(play: Play) -> None:
    """Whoever got a request or an answer complains, and so does a router; it quotes too little, enough, or more."""
    for version, opening in product((4, 6), (SYN, QUERY)):
        for step in (replace(opening, version=version), Reply(back=0, flags="SA", size=40)):
            assert play.do(step) is not None
        for passed in play.passed[-2:]:
            port, frame = passed.port, passed.frame
            for kind, router in product(_KINDS[version], (None, _ROUTERS[version])):
                play.arrive(port, complaint(frame, router, kind=kind))
            for keep in _QUOTED:
                play.arrive(port, complaint(frame, keep=keep))
            play.arrive(STRANGER.port or 0, complaint(frame))
    play.comparison.compare_state()


def _odd_errors(play: Play) -> None:
    """About what looks like the connection's packet and is not, each byte of its headers changed."""
    for version, opening in product((4, 6), (SYN, QUERY)):
        assert play.do(replace(opening, version=version)) is not None
        port, frame = play.passed[-1].port, play.passed[-1].frame
        error = complaint(frame)
        start = 14 + (20 if version == 4 else 40) + 8
        for at in range(start, len(error)):
            play.arrive(port, anatomy.replaced(error, at, bytes([error[at] ^ 1])))
        without = anatomy.replaced(error, len(error) - 2, b"\0\0")
        play.arrive(port, without)
    play.comparison.compare_state()


TELLING_SEQUENCES = (
    Sequence(name="errors about connections", play=_every_error),
    Sequence(name="errors about what is none", play=_odd_errors),
)
