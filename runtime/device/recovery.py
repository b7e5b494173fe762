"""What a device does first: be again what the journal says it was, with what the target still has of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from finsy.proto import p4r

from runtime.device.configs import Configs
from runtime.device.failpoints import Point, reached
from runtime.device.findings import Found, Placed
from runtime.device.idling import monotonic_ms, resume
from runtime.device.journal.records import Outcome
from runtime.device.journal.replay import Replay, Replayed
from runtime.device.loaded import Loaded
from runtime.device.refusals import RefusedError
from runtime.device.schema import Schema
from runtime.device.statefolder import Beginning
from runtime.device.target import Instance, PipelineRefusedError, Target, TargetError, UnderWay

LOG = logging.getLogger("turnout.device")


@dataclass(slots=True)
class Done:
    """What became of what was under way when an earlier process ended, for the journal."""

    outcome: Outcome | None

    def note(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            self.outcome = outcome


def recover(configs: Configs, target: Target, beginning: Beginning) -> None:
    """Before anybody can connect; `beginning.start` is told what was found.

    Raises `TargetError`: it cannot be what it was; nothing that ran has been removed.
    """
    replay, journal = beginning.replay, beginning.journal
    done = Done(replay.finish_config())
    try:
        configs.committed = _placed(replay.committed, target, beginning, done)
        configs.saved = _placed(replay.saved, target, beginning, done)
        for effect in replay.effects:
            effect(configs.current.instance)
        if configs.saved is not None:
            configs.saved.instance.commit()
        if configs.committed is not None:
            configs.committed.instance.activate()
            reached(Point.STARTED)
            configs.hear(configs.committed)
        if done.outcome is not None:
            journal.conclude(done.outcome)
    except (PipelineRefusedError, RefusedError) as problem:
        raise TargetError(
            f"what the journal has cannot be had again: {problem}; --clean begins with nothing"
        ) from problem
    held = (configs.committed, configs.saved)
    target.keep_only({loaded.instance.place for loaded in held if loaded is not None})


def _placed(replayed: Replayed | None, target: Target, beginning: Beginning, done: Done) -> Loaded | None:
    """The contents of the journal in the target's own place for them."""
    if replayed is None:
        return None
    replay, journal, start = beginning.replay, beginning.journal, beginning.start
    try:
        instance, found = _adopted(replayed, target, replay, done, anew=False)
    except (PipelineRefusedError, RefusedError) as problem:
        remark = f"what is pinned cannot be gone on with, all entries are written anew: {problem}"
        LOG.warning("%s", remark)
        start.remarks.append(remark)
        instance, found = _adopted(replayed, target, replay, done, anew=True)
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


def _adopted(
    replayed: Replayed, target: Target, replay: Replay, done: Done, *, anew: bool
) -> tuple[Instance, Sequence[Found]]:
    """`anew`: all entries go into new maps. Raises `PipelineRefusedError`, `RefusedError`; it is given back then.

    A write that was under way is done before maps are filled; where they go on, behind all that was there before it.
    """
    instance = target.take_over(replayed.place, replayed.bundle, replayed.before, anew=anew)
    reached(Point.TAKEN_OVER)
    batch = replay.under_way if replayed is replay.current else None
    try:
        if batch is None or not instance.goes_on:
            done.note(replay.finish_write() if batch is not None else None)
            return instance, instance.adopt(replayed.loaded.contents)
        placed = replayed.loaded.moved_to(instance)
        finish = UnderWay(
            finish=lambda: done.note(replay.finish_write(placed)), tables=tables_of_selectors(batch, placed.schema)
        )
        return instance, instance.adopt(replayed.loaded.contents, finish)
    except RefusedError:
        instance.remove()
        raise


def tables_of_selectors(batch: p4r.WriteRequest, known: Schema) -> frozenset[str]:
    """The tables whose groups or members a batch may change: how these lie in a target is not told by the batch."""
    by_table = {codec.table.id: profile for profile, codec in known.selectors.items()}
    changed: set[int] = set()
    for update in batch.updates:
        match update.entity.WhichOneof("entity"):
            case "action_profile_member":
                changed.add(update.entity.action_profile_member.action_profile_id)
            case "action_profile_group":
                changed.add(update.entity.action_profile_group.action_profile_id)
            case "table_entry":
                changed.add(by_table.get(update.entity.table_entry.table_id, 0))
            case _:
                pass
    return frozenset(codec.name for profile, codec in known.selectors.items() if profile in changed)


def _counts(placed: Loaded) -> dict[str, int]:
    tables, selectors = placed.contents.tables.values(), placed.contents.selectors.values()
    return {
        "entries": sum(len(table.rows) for table in tables),
        "members": sum(len(selector.members) for selector in selectors),
        "groups": sum(len(selector.groups) for selector in selectors),
    }
