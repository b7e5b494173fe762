"""Connections between workloads as a trial makes them: opened, answered, carried on, each packet with its promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from compiler.policy.policyset import Address, PolicySet
from runtime.verification import wire
from runtime.verification.fabric import Journey
from runtime.verification.fragmenting import in_fragments
from runtime.verification.proof.acts import Later, Send
from runtime.verification.proof.expectation import expectation
from runtime.verification.proof.trial import Trial
from runtime.verification.speaking import Ends, Speaker, ends_of, speakers, spoken

PAYLOAD = b"turnout verify"
LONG, CUTS = PAYLOAD * 12, (64, 128)
FIRST_PORT, PORTS = 20_000, 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A connection that has reached a workload: what its client calls, and what the server gets."""

    client: Speaker
    called: Ends
    server: Speaker
    got: Ends
    opening: bytes
    is_direct: bool = False
    """The server has what was called, and answers clients outside by itself."""

    @property
    def place(self) -> tuple[Address, int]:
        """Who serves, by its own address."""
        own = self.server.workload.address(self.got.dst.version) if self.is_direct else None
        return own or self.got.dst, self.got.dst_port


@dataclass(slots=True)
class Talks:
    """Source ports are used one after the other, so each connection is new until they have gone round."""

    trial: Trial
    opened: int = 0
    _speakers: tuple[Speaker, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._speakers = speakers(self.trial.policies)

    @property
    def policies(self) -> PolicySet:
        return self.trial.policies

    @property
    def speakers(self) -> tuple[Speaker, ...]:
        return self._speakers

    def ends(self, client: Speaker, protocol: int, dst: Address, dst_port: int) -> Ends | None:
        """From a new source port; None when the client has no address of the family."""
        src = client.workload.address(dst.version)
        if src is None:
            return None
        self.opened += 1
        src_port = FIRST_PORT + self.opened % PORTS
        return Ends(protocol=protocol, src=src, src_port=src_port, dst=dst, dst_port=dst_port)

    def open(self, client: Speaker, protocol: int, dst: Address, dst_port: int) -> Talk | None:
        """The first packet; None when it reaches nobody, as it may be right."""
        ends = self.ends(client, protocol, dst, dst_port)
        if ends is None:
            return None
        promised = expectation(self.policies, client, ends) if self.opened < PORTS else None
        opening = spoken(client, ends, "S", _payload(ends, "S"))
        journey = self.trial.do(Send(device=client.device, port=client.port.id, frame=opening, expected=promised))
        server = self.trial.receiver(journey) if journey is not None else None
        got = ends_of(journey.frame) if journey is not None else None
        if server is None or got is None:
            return None
        is_direct = promised is not None and promised.is_direct
        return Talk(client=client, called=ends, server=server, got=got, opening=opening, is_direct=is_direct)

    def ask(self, talk: Talk, flags: str = "PA", *, is_promised: bool = True) -> Journey | None:
        """The client sends; what the server gets is what it got before."""
        return self._say(talk, talk.client, talk.called, flags, talk.got if is_promised else None)

    def answer(self, talk: Talk, flags: str = "PA", *, is_promised: bool = True) -> Journey | None:
        """The server sends; it comes from the address that was called."""
        promised = talk.called.turned if is_promised else None
        is_alone = is_promised and talk.is_direct and talk.client.is_outside
        return self._say(talk, talk.server, talk.got.turned, flags, promised, is_alone=is_alone)

    def _say(
        self, talk: Talk, speaker: Speaker, ends: Ends, flags: str, promised: Ends | None, *, is_alone: bool = False
    ) -> Journey | None:
        frame = spoken(speaker, ends, flags, _payload(ends, flags))
        since, port = talk.opening if promised is not None else b"", speaker.port.id
        act = Send(device=speaker.device, port=port, frame=frame, expected=promised, since=since, is_alone=is_alone)
        return self.trial.do(act)

    def converse(self, talk: Talk) -> None:
        """As it goes when all is well: answered, and both sides have sent data."""
        self.answer(talk, "SA")
        self.ask(talk, "A")
        self.answer(talk)
        self.ask(talk)

    def tear(self, talk: Talk) -> None:
        """Each side sends a packet in fragments, which arrive where its other packets do."""
        self._tear(talk, talk.client, talk.called, talk.got)
        self._tear(talk, talk.server, talk.got.turned, talk.called.turned)

    def _tear(self, talk: Talk, speaker: Speaker, ends: Ends, promised: Ends) -> None:
        frame = spoken(speaker, ends, "PA", LONG)
        pieces = in_fragments(frame, CUTS, identification=self.opened & 0xFFFF)
        for at, piece in enumerate(pieces):
            send = Send(
                device=speaker.device,
                port=speaker.port.id,
                frame=piece,
                expected=Later(promised) if at else promised,
                since=pieces[0] if at else talk.opening,
                about=f"fragment {at + 1} of {len(pieces)}",
            )
            self.trial.do(send)

    def close(self, talk: Talk) -> None:
        self.ask(talk, "FA")
        self.answer(talk, "FA")


def _payload(ends: Ends, flags: str) -> bytes:
    return b"" if "S" in flags and ends.protocol == wire.TCP else PAYLOAD


def echo(client: Speaker, dst: Address) -> Send | None:
    """A ping; expected as any packet to a workload, without ports."""
    src = client.workload.address(dst.version)
    if src is None:
        return None
    ends = Ends(protocol=wire.icmp_protocol(dst.version), src=src, src_port=0, dst=dst, dst_port=0)
    plain = spoken(client, Ends(protocol=wire.UDP, src=src, src_port=0, dst=dst, dst_port=0), "", b"")
    head = plain[: 18 if client.port.vlan else 14]
    packet = wire.ip(src, dst, ends.protocol, wire.echo_request(src, dst, PAYLOAD))
    return Send(device=client.device, port=client.port.id, frame=head + packet, about="ping")


def question(client: Speaker, target: Address) -> Send | None:
    """Who has an address? By ARP or neighbour discovery."""
    src = client.workload.address(target.version)
    if src is None:
        return None
    mac = int(client.workload.mac.replace(":", ""), 16)
    frame = wire.arp_request(mac, src, target) if target.version == 4 else wire.solicitation(mac, src, target)
    vlan = client.port.vlan
    tag = wire.number(wire.ETHERTYPE_VLAN, 2) + wire.number(vlan, 2) if vlan else b""
    about = f"asks who has {target}"
    return Send(device=client.device, port=client.port.id, frame=frame[:12] + tag + frame[12:], about=about)


def addresses_of_others(policies: PolicySet, speaker: Speaker) -> Iterator[Address]:
    """Addresses that workloads and services of other networks have, and none of the speaker's own."""
    own = {a for w in policies.workloads if w.network.name == speaker.network for a in w.addresses}
    own |= {a for s in policies.services if s.network.name == speaker.network for a in s.addresses}
    others: dict[IPv4Address | IPv6Address, None] = {}
    for holder in (*policies.workloads, *policies.services):
        if holder.network.name != speaker.network:
            others |= dict.fromkeys(holder.addresses)
    yield from (address for address in others if address not in own)
