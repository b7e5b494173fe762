"""Proves a policy set: device by device through the course, then chance, until the effort is spent.

One set of kernel programs serves all devices in turn: the one under test is on the interpreter and on the levels, the
others, at the far ends of its tunnels, on the interpreter alone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from compiler.ir.nodes import Pipeline
from compiler.policy.policyset import Device, PolicySet
from runtime.verification.findings import Finding
from runtime.verification.levels import Level
from runtime.verification.proof.acts import Act
from runtime.verification.proof.chance import Chance
from runtime.verification.proof.course import Course, Coverage
from runtime.verification.proof.shrinking import shrink
from runtime.verification.proof.story import CounterExample, tell
from runtime.verification.proof.talks import Talks
from runtime.verification.proof.trial import Trial

PACKETS = 5_000
STATE_EVERY = 500
"""Learned entries and counters are compared after so many things tried, and at the end."""
Tick = Callable[[int], None]
"""Told how many packets were sent, now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """For each device: so many packets at least, or so many seconds; the course is gone through as far as that lets.

    `seconds` None leaves it to `packets`.
    """

    packets: int = PACKETS
    seconds: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Of one device. `is_whole`: the course was gone through to its end. `found` is what speaks against it."""

    device: str
    levels: tuple[str, ...]
    packets: int
    flows: int
    states: int
    coverage: Coverage
    is_whole: bool
    found: CounterExample | None = None

    @property
    def holds(self) -> bool:
        return self.found is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """`levels` serve one device after the other; without any the interpreter is held to the policies alone."""

    pipeline: Pipeline
    policies: PolicySet
    levels: Sequence[Level]

    def prove(self, device: Device, effort: Effort, tick: Tick = lambda _: None) -> Proof:
        """Through the course and chance. What is found ends it, shrunk and told."""
        trial = self._trial(device.name)
        course = Course(Talks(trial), device)
        spender = _Spender(effort)
        try:
            is_whole = self._run(trial, course, spender, tick)
        except Finding as finding:
            return self._proof(device, trial, course, False, self._counter_example(device.name, trial.done, finding))
        return self._proof(device, trial, course, is_whole, None)

    def _run(self, trial: Trial, course: Course, spender: _Spender, tick: Tick) -> bool:
        is_whole = self._spend(trial, course.whole(), spender, tick)
        chance = Chance(course.talks, course.sources(), course.doors(), random.Random(spender.effort.seed))
        if is_whole:
            self._spend(trial, chance.forever(), spender, tick)
        trial.compare_state()
        return is_whole

    def _spend(self, trial: Trial, tried: Iterator[None], spender: _Spender, tick: Tick) -> bool:
        """Whether it came to its end before the effort was spent."""
        for number, _ in enumerate(tried, 1):
            if number % STATE_EVERY == 0:
                trial.compare_state()
            tick(trial.packets)
            if spender.is_spent(trial.packets):
                return False
        return True

    def _trial(self, device: str) -> Trial:
        return Trial(self.pipeline, self.policies, {device: self.levels})

    def _counter_example(self, device: str, done: Sequence[Act], finding: Finding) -> CounterExample:
        def again(acts: Sequence[Act]) -> Finding | None:
            trial = self._trial(device)
            try:
                for act in acts:
                    trial.do(act)
                trial.compare_state()
            except Finding as found:
                return found if type(found) is type(finding) else None
            return None

        few, found = shrink(done, again)
        told = tell(lambda: self._trial(device), few) if found is not None else None
        return told or CounterExample(
            device=device, text=f"not seen again when all was done once more:\n{finding}", pcap=b"", acts=tuple(done)
        )

    def _proof(
        self, device: Device, trial: Trial, course: Course, is_whole: bool, found: CounterExample | None
    ) -> Proof:
        counts = trial.counts[device.name]
        return Proof(
            device=device.name,
            levels=("interpreter", *(level.name for level in self.levels)),
            packets=counts.packets,
            flows=counts.flows,
            states=counts.states,
            coverage=course.coverage,
            is_whole=is_whole,
            found=found,
        )


class _Spender:
    """Packets and time of one device."""

    def __init__(self, effort: Effort) -> None:
        self.effort, self._began = effort, time.monotonic()

    def is_spent(self, packets: int) -> bool:
        if self.effort.seconds is not None:
            return time.monotonic() - self._began >= self.effort.seconds
        return packets >= self.effort.packets
