"""What a device does first: be again what the journal says it was, with what the target still has of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from runtime.device.configs import Configs
from runtime.device.failpoints import Point, reached
from runtime.device.findings import Found, Placed, Start
from runtime.device.idling import monotonic_ms, resume
from runtime.device.journal.journal import Recorder
from runtime.device.journal.replay import Replayed
from runtime.device.loaded import Loaded
from runtime.device.refusals import RefusedError
from runtime.device.statefolder import Beginning
from runtime.device.target import Instance, PipelineRefusedError, Target, TargetError

LOG = logging.getLogger("turnout.device")


def recover(configs: Configs, target: Target, beginning: Beginning) -> None:
    """Before anybody can connect; `beginning.start` is told what was found.

    Raises `TargetError`: it cannot be what it was; nothing that ran has been removed.
    """
    replay, journal, start = beginning.replay, beginning.journal, beginning.start
    outcome = replay.finish()
    try:
        configs.committed = _placed(replay.committed, target, journal, start)
        configs.saved = _placed(replay.saved, target, journal, start)
        for effect in replay.effects:
            effect(configs.current.instance)
        if configs.saved is not None:
            configs.saved.instance.commit()
        if configs.committed is not None:
            configs.committed.instance.activate()
            reached(Point.STARTED)
            configs.hear(configs.committed)
        if outcome is not None:
            journal.conclude(outcome)
    except (PipelineRefusedError, RefusedError) as problem:
        raise TargetError(
            f"what the journal has cannot be had again: {problem}; --clean begins with nothing"
        ) from problem
    held = (configs.committed, configs.saved)
    target.keep_only({loaded.instance.place for loaded in held if loaded is not None})


def _placed(replayed: Replayed | None, target: Target, journal: Recorder, start: Start) -> Loaded | None:
    """The contents of the journal in the target's own place for them."""
    if replayed is None:
        return None
    try:
        instance, found = _adopted(replayed, target, anew=False)
    except (PipelineRefusedError, RefusedError) as problem:
        remark = f"what is pinned cannot be gone on with, all entries are written anew: {problem}"
        LOG.warning("%s", remark)
        start.remarks.append(remark)
        instance, found = _adopted(replayed, target, anew=True)
    placed = replayed.loaded.moved_to(instance)
    reached(Point.ADOPTED)
    if instance.place != replayed.place:
        journal.note_move(replayed.place, instance.place)
    resume(placed, monotonic_ms())
    counts = _counts(placed)
    counted = ", ".join(f"{count} {what}" for what, count in counts.items())
    LOG.info("pipeline %s has %s of the journal", placed.pipeline.name, counted)
    start.placed.append(Placed(pipeline=placed.pipeline.name, goes_on=instance.goes_on, counts=counts, found=found))
    for one in found:
        LOG.warning("found otherwise, and mended: %s", one.text)
    return placed


def _adopted(replayed: Replayed, target: Target, *, anew: bool) -> tuple[Instance, Sequence[Found]]:
    """`anew`: all entries go into new maps. Raises `PipelineRefusedError`, `RefusedError`; it is given back then."""
    instance = target.take_over(replayed.place, replayed.bundle, replayed.before, anew=anew)
    reached(Point.TAKEN_OVER)
    try:
        return instance, instance.adopt(replayed.loaded.contents)
    except RefusedError:
        instance.remove()
        raise


def _counts(placed: Loaded) -> dict[str, int]:
    tables, selectors = placed.contents.tables.values(), placed.contents.selectors.values()
    return {
        "entries": sum(len(table.rows) for table in tables),
        "members": sum(len(selector.members) for selector in selectors),
        "groups": sum(len(selector.groups) for selector in selectors),
    }
