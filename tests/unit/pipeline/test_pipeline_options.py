"""IPv4 packets with options: translated like others, whatever length these have, and with options as they were."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from compiler.ir.interpreter import VerdictKind
from runtime.verification import anatomy, wire
from runtime.verification.fragmenting import in_fragments
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, TUNNEL_MTU, WEB_1_PORT
from runtime.verification.speaking import Ends, ends_of
from runtime.verification.telling import packet_of
from tests.unit.pipeline.test_pipeline_fragments import EACH, SERVER_PORT, Talk, delivered, is_right

WORDS = pytest.mark.parametrize("words", range(1, 11))
SIZE = 300


def with_options(frame: bytes, words: int) -> bytes:
    """Router alerts and no-operations (RFC 2113), with lengths and checksum that fit."""
    ip = anatomy.last(frame, "ipv4")
    assert ip is not None
    options = (b"\x94\x04\0\0" * words)[: 4 * words - 1] + b"\x01"
    frame = anatomy.replaced(frame, ip.start, bytes([0x45 + words]))
    return anatomy.spliced(frame, ip.end, ip.end, options)


def without_options(frame: bytes) -> bytes:
    ip = anatomy.last(frame, "ipv4")
    assert ip is not None
    return anatomy.spliced(anatomy.replaced(frame, ip.start, b"\x45"), ip.start + 20, ip.end, b"")


def ends(frame: bytes) -> Ends:
    found = ends_of(without_options(frame))
    assert found is not None
    return found


@WORDS
@EACH
def test_a_request_and_its_answer(protocol: int, words: int) -> None:
    talk = Talk(4, protocol)
    talk.to_web_1()
    sent = with_options(talk.frame(payload=bytes(SIZE)), words)
    (outcome,) = talk.arrive([sent])
    got = outcome.packet
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, WEB_1_PORT)
    assert got[34 : 34 + 4 * words] == sent[34 : 34 + 4 * words]
    assert wire.checksum(packet_of(got)[: 20 + 4 * words]) == 0
    assert is_right(without_options(got))
    assert (str(ends(got).dst), ends(got).dst_port) == (ADDRESSES[4]["web-1"], SERVER_PORT[protocol])
    answer = with_options(talk.frame(ends(got).turned, "web-1", bytes(SIZE)), words)
    (back,) = talk.arrive([answer], WEB_1_PORT)
    assert (back.egress_port, ends(back.packet)) == (CLIENT_PORT, talk.ends().turned)
    assert is_right(without_options(back.packet))
    (plain,) = talk.arrive([talk.frame(payload=bytes(SIZE))])
    assert plain.egress_port == WEB_1_PORT, "it is the same connection"


@WORDS
def test_fragments_with_options_follow_their_first(words: int) -> None:
    talk = Talk(4, wire.UDP)
    pieces = in_fragments(with_options(talk.frame(), words), (512, 1024))
    outcomes = talk.arrive(pieces)
    (port,) = {outcome.egress_port for outcome in outcomes}
    assert port is not None
    assert is_right(without_options(delivered(outcomes, port)))


@EACH
def test_what_nobody_serves_is_not_answered(protocol: int) -> None:
    talk = Talk(4, protocol)
    (outcome,) = talk.arrive([with_options(talk.frame(replace(talk.ends(), dst_port=82)), 3)])
    assert (outcome.verdict, outcome.drop_reason) == (VerdictKind.DROP, "no_backend")


def test_nobody_hears_of_a_packet_that_is_too_large() -> None:
    talk = Talk(4, wire.UDP)
    far = replace(talk.ends(), dst=ip_address(ADDRESSES[4]["web-2"]))
    (outcome,) = talk.arrive([with_options(talk.frame(far, payload=bytes(TUNNEL_MTU)), 1)])
    assert (outcome.verdict, outcome.drop_reason) == (VerdictKind.DROP, "error_not_sent")


def test_options_that_the_packet_ends_before() -> None:
    """It is left as it is."""
    talk = Talk(4, wire.UDP)
    whole = with_options(talk.frame(payload=b""), 10)
    for length in range(34, 34 + 40 + 8):
        (outcome,) = talk.arrive([whole[:length]])
        assert (outcome.verdict, outcome.packet) == (VerdictKind.TO_KERNEL, whole[:length]), length
