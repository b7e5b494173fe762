"""What a test of policies holds in its hands: devices to send packets to, and what became of each packet.

Behind it is a trial, so whatever a test sends is compared between interpreter and programs, expected or not. A packet
that does not do what was expected raises AssertionError with the story so far and the tables on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from compiler.ir.interpreter import trace
from compiler.policy.policyset import Address, PolicySet, Workload
from runtime.verification import wire
from runtime.verification.fabric import End, Journey
from runtime.verification.findings import Finding
from runtime.verification.proof.acts import Act, Pause, Send, SweepAll
from runtime.verification.proof.crossing import network_at
from runtime.verification.proof.story import tell
from runtime.verification.proof.talks import FIRST_PORT
from runtime.verification.proof.trial import Levels, Trial
from runtime.verification.proof.words import frame_words, outcome_words, port_words
from runtime.verification.speaking import Ends, Speaker, ends_of, speakers, spoken


class Bench:
    """The devices of a policy set. `levels` are those of each device beside the interpreter."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._next_port = FIRST_PORT

    @property
    def policies(self) -> PolicySet:
        return self._trial.policies

    @property
    def levels(self) -> Levels:
        return self._trial.levels

    def send(
        self,
        *,
        from_: str,
        to: str,
        protocol: str = "TCP",
        flags: str = "S",
        from_port: int | None = None,
        payload: bytes = b"",
    ) -> Outcome:
        """A packet of a workload (`namespace/name`) to `address:port`, `[v6]:port`, or `namespace/name:port`.

        `flags` are those of TCP: S, A, F, R, P. Without `from_port` it is a new connection.
        """
        speaker = self._speaker(from_)
        dst, dst_port = self._place(to, speaker)
        src = speaker.workload.address(dst.version)
        if src is None:
            raise ValueError(f"{from_} has no IPv{dst.version} address, to send to {to}")
        if from_port is None:
            self._next_port += 1
        src_port = self._next_port if from_port is None else from_port
        ends = Ends(protocol=wire.PROTOCOLS[protocol], src=src, src_port=src_port, dst=dst, dst_port=dst_port)
        return self.speak(speaker, ends, flags, payload)

    def speak(self, speaker: Speaker, ends: Ends, flags: str, payload: bytes) -> Outcome:
        frame = spoken(speaker, ends, flags, payload)
        act = Send(device=speaker.device, port=speaker.port.id, frame=frame)
        return Outcome(bench=self, ends=ends, act=act, journey=self._do(act))

    def wait(self, *, ms: int = 0, seconds: float = 0) -> None:
        """Let time pass, for all devices."""
        self._do(Pause(ms=ms + round(seconds * 1000)))

    def sweep(self) -> None:
        """Take out the learned entries that have expired."""
        self._do(SweepAll())

    def compare_state(self) -> None:
        """Learned entries and counters; also done when the test is over."""
        try:
            self._trial.compare_state()
        except Finding as finding:
            raise AssertionError(self._told(finding)) from None

    def receiver(self, journey: Journey) -> Speaker | None:
        return self._trial.receiver(journey)

    def story(self) -> str:
        """Everything that was done so far, a line each."""
        return "\n".join(f"{number}. {self._act_words(act)}" for number, act in enumerate(self._trial.done, 1))

    def _do(self, act: Act) -> Journey | None:
        try:
            return self._trial.do(act)
        except Finding as finding:
            raise AssertionError(self._told(finding)) from None

    def _told(self, finding: Finding) -> str:
        """Told on new devices, so this bench is of no use afterwards."""
        trial = self._trial
        acts = tuple(trial.done)
        told = tell(lambda: Trial(trial.pipeline, trial.policies, trial.levels), acts)
        return f"\n{told.text}" if told is not None else str(finding)

    def _act_words(self, act: Act) -> str:
        match act:
            case Pause(ms=ms):
                return f"{ms} ms pass"
            case SweepAll():
                return "what has expired is swept"
            case Send():
                network = network_at(self.policies, act.device, act.port, act.frame)
                said = frame_words(self.policies, network, act.frame)
                return f"{port_words(self.policies, act.device, act.port)} sends {said}"

    def _speaker(self, key: str) -> Speaker:
        everyone = {speaker.workload.key: speaker for speaker in speakers(self.policies)}
        if key not in everyone:
            raise ValueError(f"no workload '{key}' behind a port; there are: {', '.join(sorted(everyone))}")
        return everyone[key]

    def _place(self, to: str, speaker: Speaker) -> tuple[Address, int]:
        host, _, port = to.rpartition(":")
        if not port.isdigit():
            raise ValueError(f"'{to}' is no address:port, [address]:port or namespace/name:port")
        if "/" in host:
            return self._address_of(host, speaker), int(port)
        return ip_address(host.strip("[]")), int(port)

    def _address_of(self, key: str, speaker: Speaker) -> Address:
        """Of a service or a workload, in a family that the sender has."""
        holders = (*self.policies.services, *self.policies.workloads)
        addresses = [a for holder in holders if holder.key == key for a in holder.addresses]
        families = {address.version for address in speaker.workload.addresses}
        found = next((address for address in addresses if address.version in families), None)
        if found is None:
            raise ValueError(f"no service or workload '{key}' has an address of a family of {speaker.workload.key}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a packet. `journey` is None when a level cannot take it."""

    bench: Bench
    ends: Ends
    act: Send
    journey: Journey | None

    @property
    def delivered_to(self) -> str | None:
        """The key of the workload that got it."""
        receiver = self._receiver
        return receiver.key if receiver is not None else None

    @property
    def received(self) -> Ends | None:
        """Addresses and ports as the receiver sees them."""
        return ends_of(self.journey.frame) if self.journey is not None and self._receiver is not None else None

    @property
    def dropped(self) -> str | None:
        """Why it was dropped."""
        return self.journey.last.outcome.drop_reason if self.journey is not None else None

    @property
    def is_left_alone(self) -> bool:
        """Whether the device has left it to the kernel, untouched."""
        return self.journey is not None and self.journey.end is End.UNTOUCHED

    @property
    def _receiver(self) -> Workload | None:
        speaker = self.bench.receiver(self.journey) if self.journey is not None else None
        return speaker.workload if speaker is not None else None

    def expect(
        self,
        *,
        delivered_to: str | tuple[str, ...] | None = None,
        from_: str | None = None,
        to: str | None = None,
        dropped: str | None = None,
        left_alone: bool = False,
    ) -> Outcome:
        """Hold it to what was said; returns itself. Raises AssertionError.

        `delivered_to`: one workload, or any of several. `from_` and `to`: `address:port` as its receiver sees them.
        """
        if delivered_to is not None:
            wanted = (delivered_to,) if isinstance(delivered_to, str) else delivered_to
            self._hold(self.delivered_to in wanted, f"delivered to {' or '.join(wanted)}")
        got = self.received
        if from_ is not None:
            self._hold(got is not None and _place_text(got.src, got.src_port) == from_, f"delivered as from {from_}")
        if to is not None:
            self._hold(got is not None and _place_text(got.dst, got.dst_port) == to, f"delivered as to {to}")
        if dropped is not None:
            self._hold(self.dropped == dropped, f"dropped as {dropped}")
        if left_alone:
            self._hold(self.is_left_alone, "left alone")
        return self

    def reply(self, flags: str = "SA", payload: bytes = b"") -> Outcome:
        """What the receiver answers. Raises AssertionError when nobody has got it."""
        got = self.received
        speaker = self.bench.receiver(self.journey) if self.journey is not None else None
        if got is None or speaker is None:
            raise AssertionError(self._failed("delivered, to be answered"))
        return self.bench.speak(speaker, got.turned, flags, payload)

    def again(self, flags: str = "A", payload: bytes = b"") -> Outcome:
        """One more packet of the same connection, from the same sender."""
        sender = next(s for s in speakers(self.bench.policies) if self._is_of(s))
        return self.bench.speak(sender, self.ends, flags, payload)

    def _is_of(self, speaker: Speaker) -> bool:
        return (speaker.device, speaker.port.id) == (self.act.device, self.act.port)

    def _hold(self, holds: bool, wanted: str) -> None:
        if not holds:
            raise AssertionError(self._failed(wanted))

    def _failed(self, wanted: str) -> str:
        lines = [f"expected: {wanted}", *self._ways(), "what was done:", self.bench.story()]
        return "\n".join(lines)

    def _ways(self) -> list[str]:
        """Each hop, with the tables on it."""
        if self.journey is None:
            return ["but: no level takes such a packet"]
        policies, first = self.bench.policies, self.journey.hops[0]
        network = network_at(policies, first.device, first.port, first.frame)
        lines: list[str] = []
        for hop in self.journey.hops:
            lines.append(f"but: {hop.device}: {outcome_words(policies, network, hop.device, hop.outcome)}")
            lines += [f"  {step}" for step in hop.outcome.trace if isinstance(step, trace.Hit | trace.Missed)]
        return lines


def _place_text(address: Address, port: int) -> str:
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"
