"""What holds for every packet whatever the entries say, told from the bytes alone, with arithmetic of its own."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.interpreter import Outcome, VerdictKind
from runtime.verification import wire
from runtime.verification.findings import Violation
from runtime.verification.frames import INNER
from runtime.verification.scenes import UPLINK, Scene, vni_of
from runtime.verification.traffic import inner_packet

_MODULUS = 0xFFFF
_TCP, _UDP, _ICMPV6, _SCTP = 6, 17, 58, 132
_CHECKSUM_AT = {_TCP: 16, _UDP: 6, _ICMPV6: 2}


def check(scene: Scene, port: int, frame: bytes, outcome: Outcome) -> None:
    """A packet stays in its network, and its checksums as right, or as wrong, as they were. Raises `Violation`."""
    if outcome.verdict is VerdictKind.FORWARD:
        out = outcome.egress_port or 0
        networks = network_at(scene, port, frame), network_at(scene, out, outcome.packet)
        _hold(networks[0] is not None, f"a packet of no network was forwarded: {frame.hex()}")
        _hold(networks[0] == networks[1], f"a packet went from network {networks[0]} to {networks[1]}: {frame.hex()}")
        before, after = wrongness(inner_packet(port, frame)), wrongness(inner_packet(out, outcome.packet))
        _hold(before == after, f"checksums were wrong by {before}, are by {after}: {frame.hex()}")
    if outcome.verdict is VerdictKind.REPLY and port != UPLINK:
        _hold(_is_right_answer(frame, outcome.packet), f"a wrong answer to {frame.hex()}: {outcome.packet.hex()}")


def _hold(holds: bool, broken: str) -> None:
    if not holds:
        raise Violation(broken)


def _is_right_answer(question: bytes, answer: bytes) -> bool:
    """A reset is the segment itself, turned round; what else is answered is made anew, but for an advertisement."""
    parts = _split(*_network_part(answer))
    if parts is not None and parts.protocol == _TCP:
        return wrongness(answer) == wrongness(question)
    return wrongness(answer)[:1] in ((), (0,), _of_question(question))


def _network_part(frame: bytes) -> tuple[bytes, bytes]:
    """EtherType and what follows, behind a tag if there is one."""
    at = 18 if frame[12:14] == b"\x81\x00" else 14
    return frame[at - 2 : at], frame[at:]


def _of_question(frame: bytes) -> tuple[int, ...]:
    """By how much a solicitation is wrong: what is made of it, the advertisement, is wrong by as much."""
    at = 18 if frame[12:14] == b"\x81\x00" else 14
    is_solicitation = frame[at - 2 : at] == b"\x86\xdd" and frame[at + 6 : at + 7] == bytes([_ICMPV6])
    return wrongness(frame) if is_solicitation else ()


def network_at(scene: Scene, port: int, frame: bytes) -> int | None:
    """The network that a frame on a port is in, by its tag or its VNI."""
    if port == UPLINK:
        if inner_packet(port, frame) is frame:
            return None
        vni = int.from_bytes(frame[INNER - 4 : INNER - 1], "big")
        return next((network for network in scene.networks if vni_of(network) == vni), None)
    vlan = int.from_bytes(frame[14:16], "big") & 0xFFF if frame[12:14] == b"\x81\x00" else 0
    return next((w.network for w in scene.workloads if (w.port, w.vlan) == (port, vlan)), None)


@dataclass(frozen=True, slots=True)
class _Parts:
    """An IP packet in pieces: the header for IPv4, what of it the transport checksum covers, protocol, the rest."""

    header: bytes
    pseudo: bytes
    protocol: int
    rest: bytes


def wrongness(frame: bytes) -> tuple[int, ...]:
    """By how much header and transport checksum are wrong, modulo 0xffff; of the transport -1 when there is none.

    The transport's is left out when the IP length ends before it, as it then covers nothing.
    """
    parts = _split(*_network_part(frame))
    if parts is None:
        return ()
    header = (_sum(parts.header) % _MODULUS,) if parts.header else ()
    if parts.protocol == _SCTP and len(parts.rest) >= 12:
        return (*header, _crc_wrongness(parts.rest))
    place = _CHECKSUM_AT.get(parts.protocol)
    if place is None or len(parts.rest) < place + 2:
        return header
    if parts.protocol == _UDP and parts.rest[place : place + 2] == b"\0\0":
        return (*header, -1)
    return (*header, _sum(parts.pseudo + parts.rest) % _MODULUS)


def _crc_wrongness(packet: bytes) -> int:
    """Which bits of SCTP's checksum are wrong; -1 where it is 0, still to be written."""
    there = int.from_bytes(packet[8:12], "little")
    return there ^ wire.crc32c(packet[:8] + bytes(4) + packet[12:]) if there else -1


def _split(ether_type: bytes, packet: bytes) -> _Parts | None:
    """None for what is no whole packet with a plain header, of which no checksum is followed."""
    if ether_type == b"\x08\x00" and packet[:1] == b"\x45" and len(packet) >= 20:
        length, is_fragment = int.from_bytes(packet[2:4], "big"), packet[6] & 0x3F or packet[7]
        if not 20 <= length <= len(packet) or is_fragment or packet[9] == _ICMPV6:
            return None
        pseudo = packet[12:20] + bytes([0, packet[9]]) + (length - 20).to_bytes(2, "big")
        return _Parts(packet[:20], pseudo, packet[9], packet[20:length])
    if ether_type == b"\x86\xdd" and packet[:1] and packet[0] >> 4 == 6 and len(packet) >= 40:
        length = int.from_bytes(packet[4:6], "big")
        if len(packet) < 40 + length:
            return None
        pseudo = packet[8:40] + length.to_bytes(4, "big") + bytes([0, 0, 0, packet[6]])
        return _Parts(b"", pseudo, packet[6], packet[40 : 40 + length])
    return None


def _sum(data: bytes) -> int:
    padded = data + bytes(len(data) % 2)
    return sum(int.from_bytes(padded[at : at + 2], "big") for at in range(0, len(padded), 2))
