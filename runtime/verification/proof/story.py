"""A counter-example told: what was done, in the policies' names, and where the sides part; also as a capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from compiler.ir.interpreter import Outcome, trace
from compiler.policy.policyset import PolicySet
from runtime.verification.fabric import Journey
from runtime.verification.findings import Difference, Finding, Sides
from runtime.verification.pcapng import CapturedFrame, Interface, capture
from runtime.verification.proof.acts import Act, Pause, Send, SweepAll
from runtime.verification.proof.crossing import network_at
from runtime.verification.proof.trial import Trial
from runtime.verification.proof.words import bytes_words, frame_words, outcome_words, port_words

INTERPRETER = "interpreter"
STEP_US = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterExample:
    """`text` ends without a newline; `pcap` is a pcapng file."""

    device: str
    text: str
    pcap: bytes = field(repr=False)
    acts: tuple[Act, ...] = field(default=(), repr=False)


def tell(new_trial: Callable[[], Trial], acts: Sequence[Act]) -> CounterExample | None:
    """Do the acts once more and tell what happens; None when nothing is found now."""
    return _Telling(new_trial()).tell(acts)


class _Telling:
    def __init__(self, trial: Trial) -> None:
        self._trial, self._policies = trial, trial.policies
        self._lines: list[str] = []
        self._capture = _Capture(trial.policies)
        self._device = next(iter(trial.fabric.comparisons))

    def tell(self, acts: Sequence[Act]) -> CounterExample | None:
        found = self._do_all(acts)
        if found is None:
            return None
        return CounterExample(
            device=self._device, text="\n".join(self._lines), pcap=self._capture.file(), acts=tuple(acts)
        )

    def _do_all(self, acts: Sequence[Act]) -> Finding | None:
        for number, act in enumerate(acts, 1):
            found = self._do(number, act)
            if found is not None:
                return found
        try:
            self._trial.compare_state()
        except Finding as found:
            self._lines += ["after that:", *(f"   {line}" for line in str(found).splitlines() if line)]
            return found
        return None

    def _do(self, number: int, act: Act) -> Finding | None:
        match act:
            case Pause(ms=ms):
                self._lines.append(f"{number}. {ms} ms pass")
                self._capture.wait(ms)
            case SweepAll():
                self._lines.append(f"{number}. what has expired is swept")
            case Send():
                self._device = act.device
                self._lines.append(f"{number}. {_sent_words(self._policies, act)}")
        try:
            journey = self._trial.do(act)
        except Difference as found:
            self._part(act, found)
            return found
        except Finding as found:
            self._lines.append(f"   {found}")
            if isinstance(act, Send):
                self._capture.add_in(act.device, act.port, act.frame, str(found))
            return found
        if isinstance(act, Send) and journey is not None:
            self._went(journey)
        return None

    def _went(self, journey: Journey) -> None:
        first = journey.hops[0]
        network = network_at(self._policies, first.device, first.port, first.frame)
        for hop in journey.hops:
            said = outcome_words(self._policies, network, hop.device, hop.outcome)
            self._lines.append(f"   {hop.device}: {said}")
            self._capture.add_in(hop.device, hop.port, hop.frame, "")
            self._capture.add_out(hop.device, "all sides", hop.outcome)

    def _part(self, act: Act, found: Difference) -> None:
        sides = found.sides
        if sides is None or not isinstance(act, Send):
            self._lines += (f"   {line}" for line in str(found).splitlines() if line)
            return
        self._device = self._device_of(sides)
        device, packet = self._device, sides.packet
        network = network_at(self._policies, act.device, act.port, act.frame)
        if device != act.device:
            self._lines.append(f"   which comes in by {port_words(self._policies, device, packet.port)}")
        for side, outcome in ((INTERPRETER, sides.wanted), (sides.level, sides.got)):
            self._lines.append(f"   {side}: {outcome_words(self._policies, network, device, outcome)}")
        self._lines += (f"   {line}" for line in _details(sides))
        self._capture.add_in(device, packet.port, packet.frame, f"{INTERPRETER} and {sides.level} part here")
        self._capture.add_out(device, INTERPRETER, sides.wanted)
        self._capture.add_out(device, sides.level, sides.got)

    def _device_of(self, sides: Sides) -> str:
        comparisons = self._trial.fabric.comparisons
        return next(name for name, c in comparisons.items() if c.done and c.done[-1] is sides.packet)


def _sent_words(policies: PolicySet, act: Send) -> str:
    network = network_at(policies, act.device, act.port, act.frame)
    said = frame_words(policies, network, act.frame)
    about = f" [{act.about}]" if act.about else ""
    return f"{port_words(policies, act.device, act.port)} sends {said}{about}"


def _details(sides: Sides) -> Iterator[str]:
    """The bytes that differ, and the interpreter's way through the tables."""
    words = bytes_words(sides.wanted.packet, sides.got.packet)
    if words and sides.got.packet and sides.wanted.packet:
        yield words
    way = [step for step in sides.wanted.trace if isinstance(step, trace.Hit | trace.Missed)]
    if way:
        yield "the interpreter's way:"
        yield from (f"  {step}" for step in way)


class _Capture:
    """Interfaces are made as frames need them: one for each port and side."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._interfaces: dict[str, Interface] = {}
        self._frames: list[CapturedFrame] = []
        self._time_us = 0

    def wait(self, ms: int) -> None:
        self._time_us += 1000 * ms

    def add_in(self, device: str, port: int, frame: bytes, comment: str) -> None:
        self._add(f"{device}:{port}", port_words(self._policies, device, port), frame, True, comment)

    def add_out(self, device: str, side: str, outcome: Outcome) -> None:
        """What a side sends, if it sends anything."""
        if outcome.egress_port is not None:
            name = f"{device}:{outcome.egress_port} {side}"
            to = port_words(self._policies, device, outcome.egress_port)
            self._add(name, f"{to}, as the {side} sends it", outcome.packet, False, f"out of {device}: {side}")

    def _add(self, name: str, description: str, frame: bytes, is_inbound: bool, comment: str) -> None:
        self._interfaces.setdefault(name, Interface(name=name, description=description))
        index, self._time_us = list(self._interfaces).index(name), self._time_us + STEP_US
        self._frames.append(
            CapturedFrame(interface=index, time_us=self._time_us, data=frame, is_inbound=is_inbound, comment=comment)
        )

    def file(self) -> bytes:
        return capture(tuple(self._interfaces.values()), self._frames)
