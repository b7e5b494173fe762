"""The levels that this machine has for a proof: the printed programs by test runs, and on real veths when asked for."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from compiler.ir.nodes import Pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.errors import BpfError
from runtime.verification.levels import Level
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.wire_level import WireLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """`missing` says why there is no level here, empty when there is."""

    levels: tuple[Level, ...] = ()
    missing: str = ""


@contextmanager
def machine(pipeline: Pipeline, objects: Mapping[Hook, bytes], *, uses_wire: bool = False) -> Generator[Machine]:
    """Levels that run these objects. Without root or BPF there is none, and it is said why."""
    if os.geteuid() != 0:
        yield Machine(missing="only root can load programs")
        return
    with ExitStack() as held:
        try:
            levels: list[Level] = [
                held.enter_context(TestRunLevel(pipeline, hook, elf=elf)) for hook, elf in objects.items()
            ]
            if uses_wire and objects:
                for leaves_checksums in (False, True):
                    made = WireLevel(pipeline, leaves_checksums=leaves_checksums, elf=objects[Hook.TC])
                    levels.append(held.enter_context(made))
        except BpfError as problem:
            yield Machine(missing=f"the kernel here does not load the programs: {problem}")
            return
        yield Machine(levels=tuple(levels))
