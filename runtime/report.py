"""What a compiled pipeline will cost a device: entries, map memory, instructions, the verifier's work.

Entries come from the compiler. Memory and programs are measured by loading the object, which needs root; without it
they are left out and the report says so.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from compiler.ir.entries import Entries
from compiler.ir.nodes import Pipeline
from compiler.printers.features import features
from runtime.bpf.chains import Hook
from runtime.bpf.errors import BpfError
from runtime.bpf.object import LoadSettings, load
from runtime.costs import MapCost, ProgramCost, map_costs, program_cost

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUse:
    table: str
    entries: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Of one device. `kernel` is empty when nothing was measured, `not_measured` says why then."""

    device: str
    tables: tuple[TableUse, ...]
    members: int
    groups: int
    switched_off: tuple[str, ...]
    kernel: str = ""
    not_measured: str = ""
    maps: tuple[MapCost, ...] = ()
    programs: tuple[ProgramCost, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """For JSON and YAML."""
        return asdict(self)


def report(pipeline: Pipeline, device: str, entries: Entries, objects: Mapping[Hook, bytes]) -> Report:
    """The report of one device; `objects` are the ELFs of the bundle, none for a device without eBPF."""
    counts = Counter(entry.table for entry in entries.table_entries)
    flags = features(pipeline, entries)
    plain = Report(
        device=device,
        tables=tuple(TableUse(table=t.name, entries=counts[t.name], size=t.size) for t in pipeline.tables),
        members=len(entries.members),
        groups=len(entries.groups),
        switched_off=tuple(name for name, is_used in flags.items() if not is_used),
        not_measured="" if objects else "the device runs no eBPF",
    )
    if not objects:
        return plain
    if os.geteuid() != 0:
        return replace(plain, not_measured="only root can load programs, so memory and programs were not measured")
    try:
        return _measured(plain, pipeline, objects, flags)
    except BpfError as error:
        return replace(plain, not_measured=f"the kernel here does not load it: {error}")


def _measured(plain: Report, pipeline: Pipeline, objects: Mapping[Hook, bytes], flags: Mapping[str, int]) -> Report:
    programs: list[ProgramCost] = []
    maps: tuple[MapCost, ...] = ()
    everything = dict.fromkeys(flags, 1)
    for hook, elf in objects.items():
        for label, constants in (("all tables in use", everything), ("as these policies", flags)):
            with load(elf, LoadSettings(name=pipeline.name, constants=constants, skip=hook.not_taken(elf))) as loaded:
                is_first = hook is Hook.TC and constants is everything
                # The programs of the stores are the same in every object and whatever is in use.
                passed = (program for name, program in loaded.programs.items() if name in hook.programs)
                shown = loaded.programs.values() if is_first else passed
                programs += (program_cost(program, label) for program in shown)
                maps = map_costs(loaded) if is_first else maps
    return replace(plain, kernel=platform.release(), maps=maps, programs=tuple(programs))


def report_text(found: Report) -> str:
    """The report for people."""
    lines = [f"device {found.device}", "", "table                     entries       size"]
    lines += [f"  {use.table:<22} {use.entries:>9} {use.size:>10}" for use in found.tables]
    lines += ["", f"selector members {found.members}, groups {found.groups}"]
    lines += [f"switched off at load: {', '.join(found.switched_off) or 'nothing'}"]
    if found.not_measured:
        return "\n".join([*lines, "", found.not_measured, ""])
    total = sum(cost.bytes for cost in found.maps)
    lines += ["", f"map memory {total / MIB:.1f} MiB on kernel {found.kernel}"]
    largest = sorted(found.maps, key=lambda cost: -cost.bytes)
    lines += [f"  {cost.map:<30} {cost.max_entries:>9} x {cost.bytes / MIB:>8.2f} MiB" for cost in largest]
    lines += ["", f"{'program':<31}{'flags':<18} {'instructions':>12} {'verified/limit':>15} {'time':>10} {'stack':>7}"]
    lines += [
        f"  {p.program:<29}{p.flags:<18} {p.instructions:>12} {p.processed:>7}/{p.limit:<7} "
        f"{p.verification_us / 1000:>7.1f} ms {max(p.stack_depths, default=0):>5} B"
        for p in found.programs
    ]
    return "\n".join([*lines, ""])
