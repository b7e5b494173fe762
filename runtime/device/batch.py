"""The updates of a Write as one batch, with the atomicity that it asks for (specification, "Batch Atomicity").

Updates are done in their order, each as a whole or not at all; `Instance.commit` lets packets see them in one step,
whatever the atomicity. What differs is what an error does to the others, and that a DATAPLANE_ATOMIC batch is refused
when it holds what is no part of that step. Called by `runtime.device.updates` with no other writer in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from finsy.proto import p4r

from runtime.device.failpoints import Point, reached
from runtime.device.refusals import Code, RefusedError, invalid
from runtime.device.runs import Runs
from runtime.device.target import Instance

Atomicity = p4r.WriteRequest.Atomicity.ValueType
CONTINUE = p4r.WriteRequest.CONTINUE_ON_ERROR
ROLLBACK = p4r.WriteRequest.ROLLBACK_ON_ERROR
ATOMIC = p4r.WriteRequest.DATAPLANE_ATOMIC
Apply = Callable[[p4r.Update], None]
"""Does one update. Raises `RefusedError`; what it has done by then is in the instance's log."""
Outcomes = list[RefusedError | None]
"""One for each update, in order; None for one that took effect."""


def apply_batch(
    updates: Sequence[p4r.Update], atomicity: Atomicity, apply: Apply, instance: Instance, runs: Runs
) -> Outcomes:
    """Raises INVALID_ARGUMENT for an atomicity that there is not."""
    try:
        if atomicity == CONTINUE:
            return _each(updates, apply, instance, runs)
        if atomicity in (ROLLBACK, ATOMIC):
            return _all_or_none(updates, apply, instance, runs)
    except BaseException:
        runs.abandon()
        instance.undo.back_to(0)
        raise
    raise invalid(f"there is no atomicity {atomicity}")


def _each(updates: Sequence[p4r.Update], apply: Apply, instance: Instance, runs: Runs) -> Outcomes:
    outcomes: Outcomes = [None] * len(updates)
    for at in _alone(updates, runs):
        outcomes[at] = _try(updates[at], apply, instance)
    refusal = _commit(instance)
    if refusal is None:
        return outcomes
    # It is not known which one the target refuses: each gets a step of its own.
    return [_try(update, apply, instance) or _commit(instance) for update in updates]


def _all_or_none(updates: Sequence[p4r.Update], apply: Apply, instance: Instance, runs: Runs) -> Outcomes:
    for at in _alone(updates, runs):
        refusal = _try(updates[at], apply, instance)
        if refusal is not None:
            instance.undo.back_to(0)
            reached(Point.UNDONE)
            undone = aborted(f"undone, since update {at + 1} of the batch failed")
            not_tried = aborted(f"not tried, since update {at + 1} of the batch failed")
            return [*[undone] * at, refusal, *[not_tried] * (len(updates) - at - 1)]
    return [_commit(instance)] * len(updates)


def _alone(updates: Sequence[p4r.Update], runs: Runs) -> Iterator[int]:
    """The places of those updates that are to be done alone, each when all before it are done; the others are done."""
    for at, update in enumerate(updates):
        if runs.take(at, update):
            continue
        if runs.are_open:
            yield from runs.finish()
            if runs.take(at, update):
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


def _commit(instance: Instance) -> RefusedError | None:
    try:
        instance.commit()
    except RefusedError as refusal:
        instance.undo.back_to(0)
        return refusal
    return None


def aborted(text: str) -> RefusedError:
    return RefusedError(Code.ABORTED, text)
