"""Measuring cases: set up side by side, flows learned and checked, then rounds in an order drawn for each."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from bench.packets.addresses import CLIENT_PORT, Version
from bench.packets.cases import Case, Kind
from bench.packets.entries import MOST_SERVICES, entries
from bench.packets.loading import LoadedPipeline
from bench.packets.reference import NAME, XDP_TX, loaded_reference
from bench.packets.wrapper import HarnessError, Wrapper
from runtime.bpf.chains import Hook

RESTORE_RUNS = 20_000
WARMING = 65_536
"""At most so many packets come before a figure of known flows, since other cases have been in the caches meanwhile."""
_SEED = 0


@dataclass(slots=True, kw_only=True)
class Samples:
    """Nanoseconds a packet of each round, harness taken off; and what the empty harness took in the same rounds."""

    name: str
    case: Case
    is_reference: bool = False
    costs: list[float] = field(default_factory=list[float])
    empty: list[float] = field(default_factory=list[float])
    restoring: float = 0.0
    """Nanoseconds in which the harness undoes the change of length. Taken off `costs` for tc, contained for XDP."""


class Measured:
    """One case, ready to run."""

    def __init__(self, case: Case, subject: LoadedPipeline | None, wrapper: Wrapper) -> None:
        self.samples = Samples(name=case.kind.name if subject else NAME, case=case, is_reference=subject is None)
        self._subject = subject
        self._wrapper = wrapper
        self._verdict = case.kind.verdict.of(case.hook) if subject else XDP_TX

    def restore_once(self) -> None:
        """Measure what the harness does for a packet whose length changed."""
        self.samples.restoring = self._wrapper.restoring(RESTORE_RUNS, self.samples.case.kind.change)

    def round(self, repeat: int) -> None:
        """One figure. Raises `HarnessError` when the packets did not go the way that the case is about."""
        case = self.samples.case
        empty = self._wrapper.nothing(repeat)
        if self._subject is None:
            self._warm()
            cost = self._wrapper.target(repeat, self._verdict)
        else:
            self._subject.come_in_on(case.kind.port)
            if case.kind.is_new:
                self._subject.forget_flows()
                self._wrapper.rewind()
                repeat = case.flows
            else:
                self._warm()
            before = self._subject.learned()
            cost = self._wrapper.target(repeat, self._verdict)
            _expect_learned(case, self._subject, before)
        taken_off = empty + (self.samples.restoring if case.hook is Hook.TC else 0.0)
        self.samples.costs.append(cost - taken_off)
        self.samples.empty.append(empty)

    def _warm(self) -> None:
        self._wrapper.pass_by(min(self.samples.case.flows, WARMING))


def _expect_learned(case: Case, subject: LoadedPipeline, before: tuple[int, int]) -> None:
    learned, full = (now - then for now, then in zip(subject.learned(), before, strict=True))
    wanted = 2 * case.flows if case.kind.is_new else 0
    # A few may find both sets taken, or be evicted for others; more would be another measurement.
    if full > case.flows // 1000 or abs(learned - wanted) > case.flows // 200:
        raise HarnessError(
            f"{case.kind.name}: {learned} entries were learned instead of {wanted}, {full} found no room"
        )


def measure(wanted: Sequence[Case], reference: Sequence[Case], *, rounds: int, repeat: int) -> list[Samples]:
    """Figures of all cases and of the hand-written program for the `reference` ones, from the same rounds."""
    with ExitStack() as held:
        ready = [*_set_up(held, wanted), *(_reference(held, case) for case in reference)]
        for one in ready:
            one.restore_once()
        order = random.Random(_SEED)
        for _ in range(rounds):
            for one in order.sample(ready, len(ready)):
                one.round(repeat)
        return [one.samples for one in ready]


def _set_up(held: ExitStack, wanted: Sequence[Case]) -> Iterable[Measured]:
    """One loaded pipeline for all cases that can share it: new flows empty the store, so they have one apart."""
    subjects: dict[tuple[Hook, int, Version, int, Kind | None], LoadedPipeline] = {}
    for case in wanted:
        key = (case.hook, case.slots, case.version, case.services, case.kind if case.kind.is_new else None)
        if key not in subjects:
            chosen = entries(min(case.services, MOST_SERVICES))
            subjects[key] = held.enter_context(LoadedPipeline(case.hook, case.slots, case.version, chosen))
        yield _pipeline_case(held, case, subjects[key])


def _pipeline_case(held: ExitStack, case: Case, subject: LoadedPipeline) -> Measured:
    kind, services = case.kind, min(case.services, MOST_SERVICES)
    frames = kind.frames(case.version, case.flows, services)
    wrapper = held.enter_context(Wrapper(case.hook, subject.program(is_fast=case.is_fast), frames))
    if not kind.is_new:
        _open(case, subject)
        subject.come_in_on(kind.port)
        wrapper.target(2 * len(frames), kind.verdict.of(case.hook))
    # Shuffled, so that the store is not read in the order in which it was filled.
    wrapper.write(frames[np.random.default_rng(_SEED).permutation(len(frames))])
    return Measured(case, subject, wrapper)


def _open(case: Case, subject: LoadedPipeline) -> None:
    """Let connections be learned, where other packets than the measured ones open them."""
    if case.kind.opening is None:
        return
    opening = case.kind.opening(case.version, case.flows, min(case.services, MOST_SERVICES))
    subject.come_in_on(CLIENT_PORT)
    with Wrapper(case.hook, subject.program(is_fast=case.is_fast), opening) as first:
        before = subject.learned()[0]
        first.pass_by(2 * len(opening))
        learned = subject.learned()[0] - before
        # Cases that differ in the program alone share a store: then another one has opened them.
        if learned not in (0, 2 * len(opening)):
            raise HarnessError(f"{case.kind.name}: {learned} entries were learned, not {2 * len(opening)}")


def _reference(held: ExitStack, case: Case) -> Measured:
    program = held.enter_context(loaded_reference(case.flows))
    frames = case.kind.frames(4, case.flows, 1)
    wrapper = held.enter_context(Wrapper(Hook.XDP, program, frames))
    wrapper.target(2 * len(frames), XDP_TX)
    wrapper.write(frames[np.random.default_rng(_SEED).permutation(len(frames))])
    return Measured(case, None, wrapper)
