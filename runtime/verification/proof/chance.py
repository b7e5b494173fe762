"""What chance brings after the course: connections, packets of known ones, damage, time, sweeps, as a seed has it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from compiler.policy.policyset import Front
from runtime.verification import wire
from runtime.verification.malformed.bytewise import SHORTEST
from runtime.verification.malformed.catalogue import FAULTS
from runtime.verification.proof.acts import Pause, Send, SweepAll
from runtime.verification.proof.talks import Talk, Talks
from runtime.verification.speaking import Speaker, spoken

_FLAGS = ("A", "PA", "S", "SA", "FA", "R", "RA")
_PAUSES_MS = (1, 100, 9_999, 10_001, 30_000, 60_001, 120_001, 600_000)
_REMEMBERED = 64


@dataclass(slots=True)
class Chance:
    """For the workloads of one device and those that they talk with."""

    talks: Talks
    sources: tuple[Speaker, ...]
    doors: tuple[tuple[Speaker, Front], ...]
    """Clients outside, and where they call."""
    dice: random.Random
    known: list[Talk] = field(default_factory=list[Talk])

    def forever(self) -> Iterator[None]:
        """Ends only when there is nobody to speak."""
        chosen: tuple[tuple[Callable[[], None], int], ...] = (
            (self._call, 6),
            (self._enter, 2 if self.doors else 0),
            (self._visit, 2),
            (self._go_on, 8),
            (self._damage, 4),
            (self._flood, 1),
            (self._pause, 1),
            (self._sweep, 1),
        )
        actions, weights = zip(*chosen, strict=True)
        while self.sources:
            (action,) = self.dice.choices(actions, weights)
            action()
            yield

    def _remember(self, talk: Talk | None) -> None:
        if talk is not None:
            self.known = [*self.known[-_REMEMBERED:], talk]

    def _call(self) -> None:
        services = [service for service in self.talks.policies.services if service.addresses]
        if not services:
            return self._visit()
        service = self.dice.choice(services)
        port, address = self.dice.choice(service.ports), self.dice.choice(service.addresses)
        talk = self.talks.open(self.dice.choice(self.sources), port.protocol.number, address, port.port)
        if talk is not None and self.dice.random() < 0.5:
            self.talks.converse(talk)
        return self._remember(talk)

    def _enter(self) -> None:
        client, front = self.dice.choice(self.doors)
        talk = self.talks.open(client, front.port.protocol.number, front.address, front.number)
        if talk is not None and self.dice.random() < 0.5:
            self.talks.converse(talk)
        self._remember(talk)

    def _visit(self) -> None:
        other = self.dice.choice(self.talks.policies.workloads)
        protocol = self.dice.choice((wire.TCP, wire.UDP))
        client, address = self.dice.choice(self.sources), self.dice.choice(other.addresses)
        self._remember(self.talks.open(client, protocol, address, self.dice.choice((7, 80, 8080))))

    def _go_on(self) -> None:
        if self.known:
            say = self.dice.choice((self.talks.ask, self.talks.answer))
            say(self.dice.choice(self.known), self.dice.choice(_FLAGS), is_promised=False)

    def _damage(self) -> None:
        if not self.known:
            return
        talk, fault = self.dice.choice(self.known), self.dice.choice(FAULTS)
        case = self.dice.randrange(fault.cases)
        speaker, ends = self.dice.choice(((talk.client, talk.called), (talk.server, talk.got.turned)))
        frame = fault(spoken(speaker, ends, self.dice.choice(_FLAGS), b"damaged"), case)
        if len(frame) >= SHORTEST:
            about = f"{fault.name}, case {case}"
            self.talks.trial.do(Send(device=speaker.device, port=speaker.port.id, frame=frame, about=about))

    def _flood(self) -> None:
        """Openings that nobody answers."""
        for _ in range(self.dice.randrange(4, 24)):
            self._call()

    def _pause(self) -> None:
        self.talks.trial.do(Pause(ms=self.dice.choice(_PAUSES_MS)))

    def _sweep(self) -> None:
        self.talks.trial.do(SweepAll())
