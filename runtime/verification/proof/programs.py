"""Programs for tests: loaded once a session for each device, and the bench of a policy set on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load
from runtime.build import build_objects
from runtime.verification.levels import Level, small
from runtime.verification.proof.bench import Bench
from runtime.verification.proof.machine import Machine, machine
from runtime.verification.proof.trial import Trial

MOST_DEVICES = 4
"""Each takes its programs some 60 MiB; policies with more devices are tested with one chosen by the marker."""


class Programs:
    """By name of a device; the same ones serve the device of that name in every policy set."""

    def __init__(self, slots: int) -> None:
        self.pipeline: Pipeline = small(pipeline(), slots)
        self._held = ExitStack()
        self._machines: dict[str, Machine] = {}

    def of(self, device: str) -> Sequence[Level]:
        if device not in self._machines:
            made = machine(self.pipeline, build_objects(self.pipeline))
            self._machines[device] = self._held.enter_context(made)
        return self._machines[device].levels

    def close(self) -> None:
        self._held.close()


def new_bench(
    paths: Sequence[Path], programs: Callable[[str], Sequence[Level]], *, only: str | None = None, slots: int
) -> Bench:
    """Raises ValueError with the diagnostics when the policies are refused."""
    loaded = load(paths)
    if loaded.is_refused:
        raise ValueError(f"the policies are refused:\n{loaded.render()}")
    names = [device.name for device in loaded.policies.devices]
    if only is not None and only not in names:
        raise ValueError(f"no device '{only}' in these policies; they have: {', '.join(names)}")
    chosen = [only] if only is not None else names[:MOST_DEVICES]
    levels = {name: programs(name) for name in chosen}
    return Bench(Trial(small(pipeline(), slots), loaded.policies, levels))
