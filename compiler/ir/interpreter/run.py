"""Packets through the pipeline: parse, run the main control, carry the verdict out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from compiler.ir.headers import ACCEPT, Match, State
from compiler.ir.interpreter import trace
from compiler.ir.interpreter.evaluation import Scope, evaluate
from compiler.ir.interpreter.execution import Journey, SentDigest
from compiler.ir.interpreter.matching import NS_PER_MS
from compiler.ir.interpreter.model import Model
from compiler.ir.interpreter.packet import Packet, TooShortError
from compiler.ir.interpreter.replication import Copy, copies_of
from compiler.ir.statements import Drop, Forward, Multicast, Punt, Reply, ToKernel, Verdict

INGRESS_PORT = "ingress_port"


class VerdictKind(Enum):
    """What becomes of a packet, named after the statement that says so."""

    TO_KERNEL = "to_kernel"
    FORWARD = "forward"
    REPLY = "reply"
    DROP = "drop"
    PUNT = "punt"
    MULTICAST = "multicast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result for one packet.

    `packet` is what leaves: of TO_KERNEL the received bytes, of DROP and MULTICAST none. `egress_port` is set for
    FORWARD, and for REPLY the ingress port; `drop_reason` for DROP, and for PUNT where nobody has room; `packet_in` for
    PUNT, with a value for each field of the pipeline's `packet_in`, in their order. `digests` are those that the packet
    has sent, `copies` what it has left behind: clones, then, of MULTICAST, all that leaves.
    """

    verdict: VerdictKind
    packet: bytes
    egress_port: int | None = None
    drop_reason: str | None = None
    packet_in: tuple[int, ...] | None = None
    digests: tuple[SentDigest, ...] = ()
    copies: tuple[Copy, ...] = ()
    trace: tuple[trace.TraceStep, ...] = ()


class Interpreter:
    """Runs packets one after the other over a model.

    `clock` gives milliseconds and is read once a packet; `random` gives a number of so many bits. `clock_ns` is the
    clock of meters in nanoseconds, which is the same one where it is not given.
    """

    def __init__(
        self,
        model: Model,
        *,
        clock: Callable[[], int],
        random: Callable[[int], int],
        clock_ns: Callable[[], int] | None = None,
    ) -> None:
        self._model = model
        self._clock = clock
        self._clock_ns = clock_ns
        self._random = random

    def process(self, port: int, packet: bytes, *, segment_bytes: int = 0) -> Outcome:
        """`packet` is the frame as the port received it, from the first byte of its Ethernet header on.

        `segment_bytes`: of payload in each segment, for a packet that is still to be cut into segments (GSO).
        """
        steps: list[trace.TraceStep] = []
        parts = Packet(self._model.names, packet, segment_bytes)
        scope = self._scope(parts, port)
        try:
            self._parse(parts, scope, steps)
        except TooShortError:
            return self._outcome(ToKernel(), parts, scope, steps)
        journey = Journey(self._model, parts, scope, steps.append)
        verdict = self._known(journey.run_control(self._model.pipeline.main) or ToKernel(), scope)
        if isinstance(verdict, Drop):
            reason = self._model.names.drop_reasons[verdict.reason]
            self._model.count(self._model.pipeline.drop_counter, reason.id, len(packet))
        if isinstance(verdict, Multicast):
            journey.copies += self._copies(verdict, parts.emit(), scope, journey)
        made = self._outcome(verdict, parts, scope, steps)
        return replace(made, digests=tuple(journey.digests), copies=tuple(journey.copies))

    def _known(self, verdict: Verdict, scope: Scope) -> Verdict:
        """A packet to a group without replicas is dropped."""
        if isinstance(verdict, Multicast) and not self._model.replication.replicas(evaluate(verdict.group, scope)):
            return Drop(reason=verdict.unknown, span=verdict.span)
        return verdict

    def _copies(self, verdict: Multicast, packet: bytes, scope: Scope, journey: Journey) -> Iterator[Copy]:
        replicas = self._model.replication.replicas(evaluate(verdict.group, scope))
        if verdict.not_back:
            replicas = tuple(one for one in replicas if one.port != scope.metadata[INGRESS_PORT])
        return copies_of(replicas, packet, journey.said(verdict.values))

    def _scope(self, packet: Packet, port: int) -> Scope:
        metadata = {f.name: 0 for f in self._model.pipeline.metadata}
        metadata[INGRESS_PORT] = port
        now_ms = self._clock()
        now_ns = now_ms * NS_PER_MS if self._clock_ns is None else self._clock_ns()
        return Scope(packet, metadata, now_ms, self._random, self._model.hash_seed, now_ns=now_ns)

    def _parse(self, packet: Packet, scope: Scope, steps: list[trace.TraceStep]) -> None:
        states, name = self._model.names.states, self._model.pipeline.parser[0].name
        while name != ACCEPT:
            state = states[name]
            try:
                name = _enter(state, packet, scope)
            except TooShortError:
                steps.append(trace.EndedEarly(state=state.name))
                raise
            steps.append(trace.Parsed(state=state.name, header=state.extract))

    def _outcome(self, verdict: Verdict, packet: Packet, scope: Scope, steps: list[trace.TraceStep]) -> Outcome:
        end, outcome = self._ended(verdict, packet, scope)
        steps.append(trace.Ended(verdict=end))
        return replace(outcome, trace=tuple(steps))

    def _ended(self, verdict: Verdict, packet: Packet, scope: Scope) -> tuple[str, Outcome]:
        """The verdict in words, and the outcome without its trace."""
        match verdict:
            case ToKernel():
                return "to the kernel", Outcome(verdict=VerdictKind.TO_KERNEL, packet=packet.received)
            case Forward(port=port):
                egress = evaluate(port, scope)
                outcome = Outcome(verdict=VerdictKind.FORWARD, packet=packet.emit(), egress_port=egress)
                return f"forward to port {egress}", outcome
            case Reply():
                ingress = scope.metadata[INGRESS_PORT]
                outcome = Outcome(verdict=VerdictKind.REPLY, packet=packet.emit(), egress_port=ingress)
                return f"reply to port {ingress}", outcome
            case Drop(reason=reason):
                return f"drop: {reason}", Outcome(verdict=VerdictKind.DROP, packet=b"", drop_reason=reason)
            case Multicast(group=group):
                outcome = Outcome(verdict=VerdictKind.MULTICAST, packet=b"")
                return f"to multicast group {evaluate(group, scope)}", outcome
            case Punt(values=values, full=full):
                given = {name: evaluate(value, scope) for name, value in values}
                names = self._model.names.packet_in
                told = ", ".join(f"{name}={given.get(name, 0)}" for name in names)
                fields = tuple(given.get(name, 0) for name in names)
                outcome = Outcome(verdict=VerdictKind.PUNT, packet=packet.emit(), drop_reason=full, packet_in=fields)
                return f"to the controller ({told})", outcome


def _enter(state: State, packet: Packet, scope: Scope) -> str:
    """Take the state's header; returns the next state."""
    if state.extract is not None:
        packet.extract(state.extract)
    values = tuple(evaluate(expr, scope) for expr in state.select)
    for case in state.cases:
        if all(_matches(wanted, value) for wanted, value in zip(case.matches, values, strict=True)):
            return case.next
    return state.default


def _matches(wanted: Match, value: int) -> bool:
    return value == wanted.value if wanted.mask is None else (value ^ wanted.value) & wanted.mask == 0
