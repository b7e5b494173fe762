"""Connections between workloads as a trial makes them: opened, answered, carried on, each packet with its promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from compiler.policy.policyset import Address, PolicySet
from runtime.verification import wire
from runtime.verification.fabric import Journey
from runtime.verification.proof.acts import Send
from runtime.verification.proof.expectation import expectation
from runtime.verification.proof.trial import Trial
from runtime.verification.speaking import Ends, Speaker, ends_of, speakers, spoken

PAYLOAD = b"turnout verify"
FIRST_PORT, PORTS = 20_000, 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A connection that has reached a workload: what its client calls, and what the server gets."""

    client: Speaker
    called: Ends
    server: Speaker
    got: Ends
    opening: bytes


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
        return Talk(client=client, called=ends, server=server, got=got, opening=opening)

    def ask(self, talk: Talk, flags: str = "PA", *, is_promised: bool = True) -> Journey | None:
        """The client sends; what the server gets is what it got before."""
        return self._say(talk, talk.client, talk.called, flags, talk.got if is_promised else None)

    def answer(self, talk: Talk, flags: str = "PA", *, is_promised: bool = True) -> Journey | None:
        """The server sends; it comes from the address that was called."""
        return self._say(talk, talk.server, talk.got.turned, flags, talk.called.turned if is_promised else None)

    def _say(self, talk: Talk, speaker: Speaker, ends: Ends, flags: str, promised: Ends | None) -> Journey | None:
        frame = spoken(speaker, ends, flags, _payload(ends, flags))
        since, port = talk.opening if promised is not None else b"", speaker.port.id
        return self.trial.do(Send(device=speaker.device, port=port, frame=frame, expected=promised, since=since))

    def converse(self, talk: Talk) -> None:
        """As it goes when all is well: answered, and both sides have sent data."""
        self.answer(talk, "SA")
        self.ask(talk, "A")
        self.answer(talk)
        self.ask(talk)

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
