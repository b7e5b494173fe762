"""The updates of a Write as one batch, with the atomicity that it asks for (specification, "Batch Atomicity").

Updates are done in their order, each as a whole or not at all; `Instance.commit` lets packets see them in one step,
whatever the atomicity, and whatever the entities are. What differs is what an error does to the others. Called by
`runtime.device.updates`: a batch pauses after each `SLICE` updates, and whoever runs it keeps other writers, and
readers, away until it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from finsy.proto import p4r

from runtime.device.failpoints import Point, reached
from runtime.device.refusals import RefusedError, aborted, invalid
from runtime.device.runs import Runs
from runtime.device.slices import PAUSE, Steps
from runtime.device.target import Instance

Atomicity = p4r.WriteRequest.Atomicity.ValueType
CONTINUE = p4r.WriteRequest.CONTINUE_ON_ERROR
ROLLBACK = p4r.WriteRequest.ROLLBACK_ON_ERROR
ATOMIC = p4r.WriteRequest.DATAPLANE_ATOMIC
Apply = Callable[[p4r.Update], None]
"""Does one update. Raises `RefusedError`; what it has done by then is in the instance's log."""
SLICE = 50
"""Updates between two pauses."""
RUN = 1000
"""Updates that are handed to the target together at most."""
FEW = 100
"""The same where the target does them one by one."""
COMMIT = 1000
"""Changes that a commit may have without a thread of its own."""
UNDONE_AT_ONCE = 10
Outcomes = list[RefusedError | None]
"""One for each update, in order; None for one that took effect."""


@dataclass(frozen=True, slots=True)
class Batch:
    """`raw` is the `p4.v1.WriteRequest` that has these updates and no others, if there is one."""

    updates: Sequence[p4r.Update]
    atomicity: Atomicity = CONTINUE
    raw: bytes | None = None


def apply_batch(batch: Batch, apply: Apply, instance: Instance, runs: Runs) -> Steps[Outcomes]:
    """Raises INVALID_ARGUMENT for an atomicity that there is not."""
    try:
        if batch.atomicity == CONTINUE:
            return (yield from _each(batch, apply, instance, runs))
        if batch.atomicity in (ROLLBACK, ATOMIC):
            return (yield from _all_or_none(batch, apply, instance, runs))
    except BaseException:
        runs.abandon()
        instance.undo.back_to(0)
        raise
    raise invalid(f"there is no atomicity {batch.atomicity}")


def _each(batch: Batch, apply: Apply, instance: Instance, runs: Runs) -> Steps[Outcomes]:
    updates = batch.updates
    outcomes: Outcomes = [None] * len(updates)
    for at in _alone(batch, runs):
        if at is None:
            yield PAUSE
        else:
            outcomes[at] = _try(updates[at], apply, instance)
    refusal = yield from _commit(instance, len(updates))
    if refusal is None:
        return outcomes
    # It is not known which one the target refuses: each gets a step of its own.
    for at, update in enumerate(updates):
        outcomes[at] = _try(update, apply, instance) or (yield from _commit(instance, 1))
        yield PAUSE
    return outcomes


def _all_or_none(batch: Batch, apply: Apply, instance: Instance, runs: Runs) -> Steps[Outcomes]:
    updates = batch.updates
    for at in _alone(batch, runs):
        if at is None:
            yield PAUSE
            continue
        refusal = _try(updates[at], apply, instance)
        if refusal is not None:
            yield from _undo(instance)
            reached(Point.UNDONE)
            undone = aborted(f"undone, since update {at + 1} of the batch failed")
            not_tried = aborted(f"not tried, since update {at + 1} of the batch failed")
            return [*[undone] * at, refusal, *[not_tried] * (len(updates) - at - 1)]
    refusal = yield from _commit(instance, len(updates))
    return [refusal] * len(updates)


def _alone(batch: Batch, runs: Runs) -> Iterator[int | None]:
    """The places of those updates that are to be done alone, each when all before it are done; the others are done.

    None at the end of each slice, where others may go on.
    """
    updates = batch.updates
    for at, recognised in enumerate(runs.recognised(batch.raw, len(updates))):
        if at and at % SLICE == 0:
            if at % RUN == 0 or (at % FEW == 0 and runs.are_slow):
                yield from runs.finish()
            yield None
        given = runs.recognise(updates[at]) if recognised is None else recognised
        if given and runs.take(at, given):
            continue
        if runs.are_open:
            yield from runs.finish()
            if given and runs.take(at, given):
                continue
        yield at
    yield from runs.finish()


def _try(update: p4r.Update, apply: Apply, instance: Instance) -> RefusedError | None:
    """An update is done as a whole or not at all."""
    mark = instance.undo.mark
    try:
        apply(update)
    except RefusedError as refusal:
        instance.undo.back_to(mark)
        return refusal
    return None


def _commit(instance: Instance, changes: int) -> Steps[RefusedError | None]:
    """In a thread when the target has so much to do, or is so far behind, that others would feel it."""
    try:
        if max(changes, instance.lag) > COMMIT:
            yield instance.commit
        else:
            instance.commit()
    except RefusedError as refusal:
        yield from _undo(instance)
        return refusal
    return None


def _undo(instance: Instance) -> Steps[None]:
    while instance.undo.mark:
        instance.undo.back_to(max(0, instance.undo.mark - UNDONE_AT_ONCE))
        yield PAUSE
