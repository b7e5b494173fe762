"""What a device does first: be again what the journal says it was, with what the target still has of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from finsy.proto import p4r

from runtime.device.configs import Configs
from runtime.device.failpoints import Point, reached
from runtime.device.findings import Found, Placed, Start
from runtime.device.idling import monotonic_ms, resume
from runtime.device.journal.records import Outcome
from runtime.device.journal.replay import Replayed
from runtime.device.loaded import Loaded
from runtime.device.progress import Progress, StoppedError
from runtime.device.refusals import RefusedError
from runtime.device.schema import Schema
from runtime.device.statefolder import Kept
from runtime.device.target import Instance, PipelineRefusedError, Target, TargetError, UnderWay

LOG = logging.getLogger("turnout.device")


@dataclass(slots=True)
class Done:
    """What became of what was under way when an earlier process ended, for the journal."""

    outcome: Outcome | None

    def note(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            self.outcome = outcome


def recover(configs: Configs, target: Target, kept: Kept, start: Start, progress: Progress) -> None:
    """Before any client is served, perhaps in a thread; `start` is told what was found. Then `Configs.hear`.

    Raises `TargetError`: it cannot be what it was; `StoppedError`. Nothing that ran has been removed then.
    """
    replay, journal = kept.replay, kept.journal
    done = Done(replay.finish_config())
    placing = _Placing(target=target, kept=kept, start=start, progress=progress, done=done)
    try:
        configs.committed = placing.placed(replay.committed)
        configs.saved = placing.placed(replay.saved)
        progress.begin("takes over")
        for effect in replay.effects:
            effect(configs.current.instance)
        if configs.saved is not None:
            configs.saved.instance.commit()
        if configs.committed is not None:
            configs.committed.instance.activate()
            reached(Point.STARTED)
        if done.outcome is not None:
            journal.conclude(done.outcome)
    except (PipelineRefusedError, RefusedError) as problem:
        raise TargetError(
            f"what the journal has cannot be had again: {problem}; --clean begins with nothing"
        ) from problem
    held = (configs.committed, configs.saved)
    target.keep_only({loaded.instance.place for loaded in held if loaded is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placing:
    """The contents of the journal into the target's own places for them."""

    target: Target
    kept: Kept
    start: Start
    progress: Progress
    done: Done

    def placed(self, replayed: Replayed | None) -> Loaded | None:
        if replayed is None:
            return None
        try:
            instance, found = self._adopted(replayed, anew=False)
        except (PipelineRefusedError, RefusedError) as problem:
            remark = f"what is pinned cannot be gone on with, all entries are written anew: {problem}"
            LOG.warning("%s", remark)
            self.start.remarks.append(remark)
            instance, found = self._adopted(replayed, anew=True)
        placed = replayed.loaded.moved_to(instance)
        reached(Point.ADOPTED)
        if instance.place != replayed.place:
            self.kept.journal.note_move(replayed.place, instance.place)
        resume(placed, monotonic_ms())
        self._tell(placed, found)
        return placed

    def _tell(self, placed: Loaded, found: Sequence[Found]) -> None:
        name, counts = placed.pipeline.name, _counts(placed)
        counted = ", ".join(f"{count} {what}" for what, count in counts.items())
        LOG.info("pipeline %s has %s of the journal", name, counted)
        told = Placed(pipeline=name, goes_on=placed.instance.goes_on, counts=counts, found=found)
        self.start.placed.append(told)
        for one in found:
            LOG.warning("found otherwise, and mended: %s", one.text)

    def _adopted(self, replayed: Replayed, *, anew: bool) -> tuple[Instance, Sequence[Found]]:
        """`anew`: all entries go into new maps.

        Raises `PipelineRefusedError`, `RefusedError`, `StoppedError`; the instance is given back then.
        """
        name, progress = replayed.loaded.pipeline.name, self.progress
        progress.begin(f"loads pipeline {name}")
        instance = self.target.take_over(replayed.place, replayed.bundle, replayed.before, anew=anew)
        reached(Point.TAKEN_OVER)
        try:
            return instance, self._filled(instance, replayed)
        except (RefusedError, StoppedError):
            instance.remove()
            raise

    def _filled(self, instance: Instance, replayed: Replayed) -> Sequence[Found]:
        """A write that was under way is done before maps are filled; where they go on, behind all before it."""
        name, contents, progress = replayed.loaded.pipeline.name, replayed.loaded.contents, self.progress
        replay, done = self.kept.replay, self.done
        batch = replay.under_way if replayed is replay.current else None
        under_way = None
        if batch is not None and not instance.goes_on:
            done.note(replay.finish_write())
        elif batch is not None:
            placed = replayed.loaded.moved_to(instance)
            under_way = UnderWay(
                finish=lambda: done.note(replay.finish_write(placed)), tables=tables_of_selectors(batch, placed.schema)
            )
        what = f"compares pipeline {name} with its journal" if instance.goes_on else f"fills pipeline {name}"
        progress.begin(what, sum(len(table.rows) for table in contents.tables.values()), "entries")
        return instance.adopt(contents, under_way, progress.advance)


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
