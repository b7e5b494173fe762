"""What a device does first: be again what the journal says it was, with what the target still has of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from runtime.device.configs import Configs
from runtime.device.failpoints import Point, reached
from runtime.device.findings import Found
from runtime.device.idling import monotonic_ms, resume
from runtime.device.journal.journal import Recorder
from runtime.device.journal.replay import Replay, Replayed
from runtime.device.loaded import Loaded
from runtime.device.refusals import RefusedError
from runtime.device.target import Instance, PipelineRefusedError, Target, TargetError

LOG = logging.getLogger("turnout.device")


def recover(configs: Configs, target: Target, replay: Replay, journal: Recorder) -> None:
    """Before anybody can connect. Raises `TargetError`: it cannot be what it was; nothing that ran has been removed."""
    outcome = replay.finish()
    try:
        configs.committed = _placed(replay.committed, target, journal)
        configs.saved = _placed(replay.saved, target, journal)
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


def _placed(replayed: Replayed | None, target: Target, journal: Recorder) -> Loaded | None:
    """The contents of the journal in the target's own place for them."""
    if replayed is None:
        return None
    try:
        instance, found = _adopted(replayed, target, anew=False)
    except (PipelineRefusedError, RefusedError) as problem:
        LOG.warning("what is pinned cannot be gone on with, all entries are written anew: %s", problem)
        instance, found = _adopted(replayed, target, anew=True)
    placed = replayed.loaded.moved_to(instance)
    reached(Point.ADOPTED)
    if instance.place != replayed.place:
        journal.note_move(replayed.place, instance.place)
    resume(placed, monotonic_ms())
    LOG.info("pipeline %s has %s of the journal", placed.pipeline.name, _counted(placed))
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


def _counted(placed: Loaded) -> str:
    tables, selectors = placed.contents.tables.values(), placed.contents.selectors.values()
    counts = {
        "entries": sum(len(table.rows) for table in tables),
        "members": sum(len(selector.members) for selector in selectors),
        "groups": sum(len(selector.groups) for selector in selectors),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items())
