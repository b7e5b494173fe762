"""A device without RPCs: a model, its configs and a journal, which can be killed and started again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from finsy.proto import p4r

from compiler.ir.entries import Group, Member
from compiler.ir.nodes import Control, Pipeline
from compiler.ir.statements import Apply
from compiler.printers.bundle import write_bundle
from compiler.printers.p4info import p4info
from runtime.device.compaction import Compaction
from runtime.device.configs import Configs
from runtime.device.contents import Contents
from runtime.device.modeltarget import ModelTarget
from runtime.device.progress import Progress
from runtime.device.records import Row, RowKey
from runtime.device.recovery import recover
from runtime.device.slices import at_once
from runtime.device.statefolder import StateFolder

SET = p4r.SetForwardingPipelineConfigRequest


def config_of(pipeline: Pipeline, cookie: int | None = None) -> p4r.ForwardingPipelineConfig:
    """Of a pipeline that has tables alone: one that applies them all, in some order."""
    applied = Control(name=pipeline.main, body=tuple(Apply(table=table.name) for table in pipeline.tables))
    pipeline = replace(pipeline, controls=(applied,))
    made = p4r.ForwardingPipelineConfig(p4info=p4info(pipeline), p4_device_config=write_bundle(pipeline))
    if cookie is not None:
        made.cookie.cookie = cookie
    return made


@dataclass(frozen=True, slots=True)
class Held:
    """All that was written, apart from what it was written into."""

    rows: dict[str, dict[RowKey, Row]]
    members: dict[str, dict[int, Member]]
    groups: dict[str, dict[int, Group]]
    sums: dict[str, tuple[int, int, int, int]]


def held(contents: Contents) -> Held:
    selectors = contents.selectors
    return Held(
        rows={name: dict(table.rows) for name, table in contents.tables.items()},
        members={name: dict(selector.members) for name, selector in selectors.items()},
        groups={name: dict(selector.groups) for name, selector in selectors.items()},
        sums={
            name: (one.set_count, one.total_weight, one.total_actions, one.next_hidden_id)
            for name, one in selectors.items()
        },
    )


class Device:
    """Of one process's time; `kill` it, and make another one of the same folder."""

    def __init__(self, path: Path, *, clean: bool = False) -> None:
        self.folder = StateFolder(path)
        try:
            self.beginning = self.folder.begin("model", clean=clean)
            self.target = ModelTarget(clock=lambda: 0, random_bits=lambda _: 0, hash_seed=self.beginning.hash_seed)
            self.kept = self.beginning.read(Progress())
            self.configs = Configs(self.target, self.kept.journal, lambda _: False)
            recover(self.configs, self.target, self.kept, self.beginning.start, Progress())
            if self.configs.committed is not None:
                self.configs.hear(self.configs.committed)
        except BaseException:
            self.folder.close()
            raise

    def set(self, action: str, config: p4r.ForwardingPipelineConfig | None = None) -> None:
        asyncio.run(self.configs.set(SET(action=SET.Action.Value(action), config=config)))

    def write(
        self,
        updates: Iterable[p4r.Update],
        atomicity: p4r.WriteRequest.Atomicity.ValueType = p4r.WriteRequest.CONTINUE_ON_ERROR,
    ) -> list[str | None]:
        outcomes = at_once(self.configs.write(p4r.WriteRequest(updates=updates, atomicity=atomicity)))
        return [None if outcome is None else str(outcome) for outcome in outcomes]

    def snapshot(self, *, killed_after: int | None = None) -> None:
        """Write one; or get killed in the midst of it, after so many of its records."""

        async def compact() -> None:
            compaction = Compaction(self.configs, self.kept.journal)
            compaction.begin()
            if killed_after is None:
                while compaction.is_running:
                    await asyncio.sleep(0)
            else:
                for _ in range(killed_after):
                    await asyncio.sleep(0)
                self.kill()
                await compaction.close()

        asyncio.run(compact())

    @property
    def held(self) -> Held:
        return held(self.configs.current.contents)

    def kill(self) -> None:
        """Nothing is said to anybody."""
        self.folder.close()
