"""`turnout apply` for one device: look, plan, load the pipeline if there is none, write the difference.

Looking changes nothing, so a dry run is the first half of the real one. Interrupted between batches, the device keeps
what was written; the order of the plan makes that harmless, and the next run finishes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from itertools import islice

from finsy.proto import p4i, p4r

from compiler.diagnostic import Diagnostic
from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries
from compiler.ir.nodes import Pipeline
from compiler.pipeline.portable import portable
from compiler.policy.policyset import Device, PolicySet, Profile
from compiler.printers.p4info import p4info
from compiler.printers.v1model_p4info import v1model_p4info
from runtime.client.contents import Contents
from runtime.client.errors import OtherPipelineError
from runtime.client.fixup import (
    CONNECTION_TABLES,
    NOTHING,
    FixUp,
    RemovedBackends,
    concerns_connections,
    fix_up,
    split,
)
from runtime.client.learnedentries import LearnedReader
from runtime.client.plan import Plan, Step, difference
from runtime.client.session import Session

MOST_IN_ONE_STEP = 50_000
"""Half of what a device takes in a Write (docs/device.md)."""
BATCH = 1000
"""Updates in a Write. A batch with one refused update answers with an error for each (35 bytes of metadata each)."""
FIRST_BATCH = 500
"""The device has nothing to do until the first one is there."""

Answer = Callable[[], list[p4r.Error | None]]
"""Waits for what became of each update."""


class PipelineState(StrEnum):
    """What the device runs, compared with what the entries are for. What is not SAME will be loaded over."""

    NONE = "none"
    SAME = "same"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What applying would do to one device. `diagnostics` are of its entries; with an error among them, do not."""

    device: Device
    pipeline: PipelineState
    running: str
    """Name and version of the pipeline that runs, or an empty string."""
    plan: Plan
    diagnostics: tuple[Diagnostic, ...]
    desired: Entries
    removed: RemovedBackends
    fix_up: FixUp = NOTHING
    """What the plan makes of known connections. Nothing where it concerns none, or the device does not learn itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An update that the device refused."""

    step: Step
    text: str


def look(
    session: Session,
    device: Device,
    policies: PolicySet,
    pipeline: Pipeline,
    *,
    replaces: bool,
    removed: RemovedBackends = RemovedBackends.DRAIN,
) -> Outlook:
    """Compare policies and device. `removed`: what becomes of connections to backends that are removed, or were before.

    With `replaces` the pipeline is loaded whatever runs, also the same one, which may have been compiled differently.
    Raises OtherPipelineError when another runs, without `replaces`.
    """
    running = session.pipeline()
    if device.profile is Profile.V1MODEL:
        pipeline = portable(pipeline)
    wanted = v1model_p4info(pipeline) if device.profile is Profile.V1MODEL else p4info(pipeline)
    state = _state(running, wanted)
    named = "" if running is None else f"{running.p4info.pkg_info.name} {running.p4info.pkg_info.version}".strip()
    if state is PipelineState.OTHER and not replaces:
        raise OtherPipelineError(
            f"device '{device.name}' runs another pipeline ({named or 'without a name'}); --replace-pipeline loads "
            f"{pipeline.name} {pipeline.version} over it, which ends its connections and removes its entries"
        )
    if replaces and state is PipelineState.SAME:
        state = PipelineState.OTHER
    present = Contents(pipeline).read(session) if state is PipelineState.SAME else Entries()
    desired = compile_entries(policies, device, present, pipeline)
    outlook = Outlook(
        device=device,
        pipeline=state,
        running=named,
        plan=difference(present, desired.entries),
        diagnostics=desired.diagnostics,
        desired=desired.entries,
        removed=removed,
    )
    return replace(outlook, fix_up=_fix_up(session, outlook, pipeline)) if _may_end(outlook) else outlook


def _may_end(outlook: Outlook) -> bool:
    """Whether known connections are to be looked at, which takes a second for some ten thousand of them."""
    learns = outlook.pipeline is PipelineState.SAME and outlook.device.profile is not Profile.V1MODEL
    asked = outlook.removed is RemovedBackends.RESET or any(map(concerns_connections, outlook.plan.steps))
    return learns and asked


def _fix_up(session: Session, outlook: Outlook, pipeline: Pipeline) -> FixUp:
    reader = LearnedReader(session, pipeline)
    connections = (entry for table in CONNECTION_TABLES for entry in reader.entries(table))
    return fix_up(connections, outlook.desired, outlook.removed)


def _state(running: p4r.ForwardingPipelineConfig | None, wanted: p4i.P4Info) -> PipelineState:
    if running is None:
        return PipelineState.NONE
    return PipelineState.SAME if _contract(running.p4info) == _contract(wanted) else PipelineState.OTHER


def run_as(config: p4r.ForwardingPipelineConfig, pipeline: Pipeline) -> Pipeline | None:
    """What of a pipeline a device runs, by its P4Info: all (eBPF, model), what v1model can do, or None of it."""
    for_p4 = portable(pipeline)
    offered = ((p4info(pipeline), pipeline), (v1model_p4info(for_p4), for_p4))
    return next((one for info, one in offered if _state(config, info) is PipelineState.SAME), None)


def _contract(info: p4i.P4Info) -> list[tuple[str, list[bytes]]]:
    """What a P4Info promises, whatever the order of its parts, documentation and package information."""
    promised: list[tuple[str, list[bytes]]] = []
    for part, value in info.ListFields():
        if part.name != "pkg_info" and part.is_repeated:
            promised.append((part.name, sorted(one.SerializeToString(deterministic=True) for one in value)))
    return promised


def _nothing_else() -> None:
    """Nobody has anything else to do."""


def perform(
    session: Session,
    outlook: Outlook,
    pipeline: Pipeline,
    bundle: Callable[[], bytes],
    done: Callable[[int], None],
    meanwhile: Callable[[], None] = _nothing_else,
) -> Iterator[Failure]:
    """Do it. Yields what was refused; `done` hears of finished updates. Raises ClientError when nothing goes on.

    The session must be primary. The pipeline is loaded first where there is none or another. `meanwhile` is called
    while the device works on a batch, and should take less time than that.
    """
    if outlook.pipeline is not PipelineState.SAME:
        config = bundle()
        session.set_pipeline(p4info(pipeline), config, cookie(config))
    writer = _Writer(session, pipeline, done, meanwhile)
    if not outlook.fix_up.deletions:
        yield from writer.write(outlook.plan.steps)
    else:
        before, concerning, behind = split(outlook.plan)
        yield from writer.write(before)
        yield from writer.write_in_one_step(concerning, outlook.fix_up.deletions)
        yield from writer.write(behind)
    if _may_end(outlook):
        # What packets have learned between the look and the write, by the entries of before.
        yield from writer.write(_fix_up(session, outlook, pipeline).deletions, counts=False)


class _Writer:
    def __init__(
        self, session: Session, pipeline: Pipeline, done: Callable[[int], None], meanwhile: Callable[[], None]
    ) -> None:
        self._session, self._contents, self._done = session, Contents(pipeline), done
        self._meanwhile = meanwhile

    def write(self, steps: Sequence[Step], *, counts: bool = True) -> Iterator[Failure]:
        """One batch is under way at a time; meanwhile the next one is put into messages."""
        before: Callable[[], Iterator[Failure]] = _nothing_written
        for batch in _batches(steps):
            updates = list(self._contents.updates(batch))
            yield from before()
            answer = self._session.begin_write(updates)
            before = partial(self._written, batch, answer, counts=counts)
            self._meanwhile()
        yield from before()

    def _written(self, batch: Sequence[Step], answer: Answer, *, counts: bool) -> Iterator[Failure]:
        yield from _failures(batch, answer())
        if counts:
            self._done(len(batch))

    def write_in_one_step(self, steps: Sequence[Step], deletions: Sequence[Step]) -> Iterator[Failure]:
        """No packet finds the new entries and an old connection, or the other way round, unless there are too many."""
        if len(steps) + len(deletions) > MOST_IN_ONE_STEP:
            yield from self.write(steps)
            yield from self.write(deletions, counts=False)
            return
        yield from self._write_at_once([*steps, *deletions])
        self._done(len(steps))

    def _write_at_once(self, steps: Sequence[Step]) -> Iterator[Failure]:
        yield from _failures(steps, self._session.write(list(self._contents.updates(steps)), in_one_step=True))


def _nothing_written() -> Iterator[Failure]:
    return iter(())


def _failures(steps: Sequence[Step], errors: Sequence[p4r.Error | None]) -> Iterator[Failure]:
    for step, error in zip(steps, errors, strict=True):
        if error is not None:
            yield Failure(step=step, text=error.message)


def cookie(config: bytes) -> int:
    """64 bits that tell one device config from another."""
    return int.from_bytes(hashlib.sha256(config).digest()[:8], "big")


def _batches(steps: Sequence[Step]) -> Iterator[list[Step]]:
    rest, size = iter(steps), FIRST_BATCH
    while batch := list(islice(rest, size)):
        yield batch
        size = BATCH
