"""Sequences of single frames that differ in little: each byte of a question, each first byte of an IP header.

A condition of many parts is met with each part of it wrong alone.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from compiler.ir.interpreter import Outcome, VerdictKind
from runtime.verification.playing import Play
from runtime.verification.scenes import GATEWAY_HOST, NOWHERE_HOST, Scene, Workload, address
from runtime.verification.sequence import BACKEND, CLIENT, QUERY, SYN, WEB, Sequence
from runtime.verification.traffic import Ask, Send, Target, reply_to, sent

_REMOTE = Workload(network=1, host=12, port=None, vlan=0, mtu=1450)
_FAR = Scene(networks=(1,), workloads=(CLIENT, BACKEND, _REMOTE), services=(WEB,))
_TO_REMOTE = Target(kind="workload", number=2)
_VXLAN_PORT = 4789
_ICMP_BYTES = 8


def _questions(play: Play) -> None:
    """ARP and neighbour solicitations with one bit of a byte turned. An answer is as wrong as its question."""
    for version in (4, 6):
        port, frame = sent(play.scene, Ask(source=0, version=version, host=GATEWAY_HOST))
        answered = play.arrive(port, frame)
        assert answered is not None
        assert answered.verdict is VerdictKind.REPLY
        for at in range(12, len(frame)):
            play.comparison.process(port, frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :])
        for host in (10, GATEWAY_HOST, NOWHERE_HOST):
            for fault in ("", "operation", "type", "length", "probe", "own", "short"):
                play.do(Ask(source=0, version=version, host=host, fault=fault))


def _first_bytes(play: Play) -> None:
    """Every IP version and header length, of what opens a connection and of what is routed."""
    for version in (4, 6):
        for step in (replace(SYN, version=version), replace(QUERY, version=version, target=_TO_BACKEND)):
            port, frame = sent(play.scene, step)
            for first in range(256):
                play.arrive(port, frame[:14] + bytes([first]) + frame[15:])


def _protocols(play: Play) -> None:
    """Every protocol number in front of the same bytes, whole and as a fragment."""
    for version, at in ((4, 23), (6, 20)):
        port, frame = sent(play.scene, replace(SYN, version=version, target=_TO_BACKEND))
        for protocol in range(256):
            changed = frame[:at] + bytes([protocol]) + frame[at + 1 :]
            play.arrive(port, changed)
            if version == 4:
                play.arrive(port, changed[:20] + b"\x20\x00" + changed[22:])


def _cut_pings(play: Play) -> None:
    """An echo request that ends within its header is left to the kernel; one that is all there is routed."""
    for version, header_bytes in ((4, 34), (6, 54)):
        port, frame = sent(
            play.scene, Send(source=0, target=_TO_BACKEND, version=version, transport="icmp", src_port=1)
        )
        for length in range(header_bytes, header_bytes + _ICMP_BYTES):
            left = play.arrive(port, frame[:length])
            assert left is None or left.verdict is VerdictKind.TO_KERNEL
        whole = play.arrive(port, frame)
        assert whole is not None
        assert whole.verdict is VerdictKind.FORWARD


def _traffic_classes(play: Play) -> None:
    """The tunnel's header has the packet's traffic class (RFC 6040, section 4.1); an answer from afar comes back."""
    for version in (4, 6):
        for traffic_class in (0, 1, 0x20, 0xB8, 0xFF):
            port, frame = sent(play.scene, replace(QUERY, version=version, target=_TO_REMOTE))
            tunnelled = play.arrive(port, _with_class(frame, version, traffic_class))
            assert tunnelled is not None
            assert tunnelled.packet[15] == traffic_class
            back = reply_to(play.passed[-1], "", 9)
            assert back is not None
            play.arrive(*back)


def _with_class(frame: bytes, version: int, traffic_class: int) -> bytes:
    if version == 4:
        return frame[:15] + bytes([traffic_class]) + frame[16:]
    return frame[:14] + (6 << 12 | traffic_class << 4).to_bytes(2, "big") + frame[16:]


def _errors(play: Play) -> None:
    """ICMP errors of every kind that is sent: too old and too large, of both transports, near and far."""
    for version in (4, 6):
        for target in (_TO_BACKEND, _TO_REMOTE):
            for transport in ("A", "udp", "icmp"):
                step = Send(source=0, target=target, version=version, transport=transport, src_port=1024)
                for ttl in (0, 1, 2):
                    play.do(replace(step, ttl=ttl, size=9))
                for flags in ("DF", "", "MF", "evil"):
                    play.do(replace(step, size=1600, flags=flags))
    assert {o.verdict for o in map(play.do, _expired()) if o is not None} == {VerdictKind.REPLY}


def _expired() -> list[Send]:
    return [replace(SYN, version=version, ttl=1) for version in (4, 6)]


def _own_tunnel(play: Play) -> None:
    """A workload's own VXLAN is plain UDP: what is inside is no business of the device."""
    _, inside = sent(play.scene, SYN)
    for version in (4, 6):
        step = replace(QUERY, version=version, target=_TO_BACKEND, dst_port=_VXLAN_PORT, size=8 + len(inside))
        port, frame = sent(play.scene, step)
        outcome = play.arrive(port, frame[: -len(inside) - 8] + bytes.fromhex("0800000000000100") + inside)
        assert outcome is not None
        assert outcome.egress_port == BACKEND.port


def _zero_checksums(play: Play) -> None:
    """A TCP checksum of 0 is one like any other, and changes with the addresses."""
    for version in (4, 6):
        for step in (replace(SYN, version=version), replace(SYN, version=version, target=_TO_BACKEND)):
            outcome = _without_checksum(play, step)
            assert outcome is not None
            assert outcome.verdict is VerdictKind.FORWARD


def _without_checksum(play: Play, step: Send) -> Outcome | None:
    return play.do(replace(step, size=9, oddities=(("no checksum", 0),)))


def _own_address(play: Play) -> None:
    """A client that calls itself through a service gets the gateway's address as the other end."""
    for version in (4, 6):
        outcome = play.do(replace(SYN, source=1, version=version))
        assert outcome is not None
        width, at = (4, 26) if version == 4 else (16, 22)
        gateway = outcome.packet[at : at + width]
        assert gateway == _packed(address(version, GATEWAY_HOST))


def _packed(text: str) -> bytes:
    return ip_address(text).packed


_TO_BACKEND = Target(kind="workload", number=1)
FRAME_SEQUENCES = (
    Sequence(name="questions with a bit turned", play=_questions),
    Sequence(name="every first byte", play=_first_bytes),
    Sequence(name="every protocol", play=_protocols),
    Sequence(name="pings that end early", play=_cut_pings),
    Sequence(name="traffic class", play=_traffic_classes, scene=_FAR),
    Sequence(name="every error", play=_errors, scene=_FAR),
    Sequence(name="a workload's own tunnel", play=_own_tunnel),
    Sequence(name="TCP checksum of zero", play=_zero_checksums),
    Sequence(name="to oneself through a service", play=_own_address),
)
