"""Devices of a policy set side by side, new, and what is done to them; every hop compared, every packet judged.

Levels differ: `Difference`. A packet changes its network or has a checksum spoilt, or is not treated as policies
promise: `Violation`. Used by `turnout verify` (`proving`) and by the pytest plugin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from compiler.ir.interpreter import trace
from compiler.ir.nodes import Pipeline
from compiler.policy.policyset import PolicySet
from runtime.verification.anatomy import inner_frame
from runtime.verification.comparison import Comparison
from runtime.verification.fabric import End, Fabric, Journey
from runtime.verification.findings import Violation
from runtime.verification.levels import Level
from runtime.verification.proof import crossing
from runtime.verification.proof.acts import Act, Later, Pause, Send, SweepAll
from runtime.verification.proof.expectation import Expectation
from runtime.verification.speaking import Ends, Speaker, addresses_of, ends_of, speaker_at

Levels = Mapping[str, Sequence[Level]]
"""By device name; a device that is not named runs on the interpreter alone."""


@dataclass(slots=True)
class Counts:
    """`packets` are those that came in at a device, hops included; `flows` connections that were learned; `states` the
    learned entries and counters that were compared."""

    packets: int = 0
    flows: int = 0
    states: int = 0
    delivered: int = 0


@dataclass(slots=True)
class Trial:
    pipeline: Pipeline
    policies: PolicySet
    levels: Levels
    counts: dict[str, Counts] = field(default_factory=dict[str, Counts])
    done: list[Act] = field(default_factory=list[Act])
    fabric: Fabric = field(init=False)
    _sent: int = 0
    _delivered: set[bytes] = field(default_factory=lambda: {b""})
    """Frames: what is promised to a connection is promised only behind the one that has opened it."""

    def __post_init__(self) -> None:
        comparisons = {
            device.name: Comparison(self.levels.get(device.name, ()), pipeline=self.pipeline)
            for device in self.policies.devices
        }
        self.fabric = Fabric(comparisons, self.policies)
        self.counts |= {name: Counts() for name in comparisons if name not in self.counts}

    @property
    def packets(self) -> int:
        """Sent by workloads so far, or into the underlay."""
        return self._sent

    def do(self, act: Act) -> Journey | None:
        """The way of a packet; None of one that a level cannot take. Raises `Finding`."""
        self.done.append(act)
        match act:
            case Send():
                return self._send(act)
            case Pause(ms=ms):
                for comparison in self.fabric.comparisons.values():
                    comparison.wait(ms)
            case SweepAll():
                for comparison in self.fabric.comparisons.values():
                    comparison.sweep()
            case _:
                assert_never(act)
        return None

    def compare_state(self) -> None:
        """Learned entries and counters of every device. Raises `Difference`."""
        for name, comparison in self.fabric.comparisons.items():
            comparison.compare_state()
            self.counts[name].states += _states(comparison)

    def receiver(self, journey: Journey) -> Speaker | None:
        """The workload that a packet was delivered to."""
        if journey.end is not End.DELIVERED:
            return None
        return speaker_at(self.policies, journey.last.device, journey.last.outcome.egress_port or 0)

    def _send(self, act: Send) -> Journey | None:
        journey = self.fabric.send(act.device, act.port, act.frame)
        if journey is None:
            return None
        self._sent += 1
        self._count(journey)
        crossing.check(self.policies, journey)
        if act.expected is not None and act.since in self._delivered:
            self._judge(act, act.expected, journey)
        if journey.end is End.DELIVERED:
            self._delivered.add(act.frame)
        return journey

    def _count(self, journey: Journey) -> None:
        for hop in journey.hops:
            counts = self.counts[hop.device]
            counts.packets += 1
            counts.flows += any(isinstance(step, trace.Learned) for step in hop.outcome.trace)
        self.counts[journey.last.device].delivered += journey.end is End.DELIVERED

    def _judge(self, act: Send, expected: Expectation | Ends | Later, journey: Journey) -> None:
        arrived = journey.end is End.DELIVERED or _is_outside(journey)
        got = ends_of(journey.frame) if arrived else None
        match expected:
            case Ends():
                is_kept = got == expected
            case Later(ends=ends):
                is_kept = arrived and addresses_of(journey.frame) == (ends.src, ends.dst)
            case Expectation(is_direct=True) if journey.end is End.DELIVERED:
                is_kept = got == ends_of(act.frame) and self._is_at(expected, journey)
            case _:
                is_kept = _is_kept(expected, journey, got)
        if is_kept and act.is_alone and len(journey.hops) > 1:
            raise Violation(f"should leave at {act.device}, but goes by {journey.last.device}")
        if not is_kept:
            wanted = f"delivered as {expected}" if isinstance(expected, Ends | Later) else str(expected)
            raise Violation(f"should be {wanted}, but is {_end_text(journey, got)}")

    def _is_at(self, expected: Expectation, journey: Journey) -> bool:
        """Whether a workload of the expected places has the packet."""
        receiver, got = self.receiver(journey), ends_of(journey.frame)
        if receiver is None or got is None:
            return False
        return (receiver.workload.address(got.dst.version), got.dst_port) in expected.places


def _is_outside(journey: Journey) -> bool:
    """Whether a packet has left for a client outside: into the underlay without a tunnel."""
    return journey.end is End.LEFT and inner_frame(journey.frame) is journey.frame


def _is_kept(expected: Expectation, journey: Journey, got: Ends | None) -> bool:
    match journey.end:
        case End.UNTOUCHED:
            return expected.is_untouched
        case End.DROPPED:
            return journey.last.outcome.drop_reason in expected.reasons
        case End.DELIVERED:
            return got is not None and (got.dst, got.dst_port) in expected.places
        case End.LEFT:
            return bool(expected.places)  # to a device that is not among these
        case End.ANSWERED:
            return expected.is_refused


def _end_text(journey: Journey, got: Ends | None) -> str:
    reason = journey.last.outcome.drop_reason
    return journey.end.value + (f" ({reason})" if reason else "") + (f" as {got}" if got else "")


def _states(comparison: Comparison) -> int:
    reference = comparison.reference
    learned = sum(len(reference.learned(t.name)) for t in comparison.pipeline.tables if t.store is not None)
    return learned + len(reference.entries()) + len(comparison.pipeline.counters)
