"""What the programs cost on this kernel, for each set of constants that a device loads them with."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

from compiler.entries.desired import compile_entries
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load as load_policies
from compiler.printers.features import features
from runtime.bpf.chains import Hook
from runtime.bpf.maps import possible_cpus
from runtime.bpf.object import LoadSettings, Object, load
from runtime.costs import MapCost, ProgramCost, map_costs, program_cost
from tests.budgets.table import Budget, Costs

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WHOLE = "whole"
Flags = Mapping[str, int]


def profiles() -> dict[str, Flags]:
    """By name, the whole program first; examples with the same constants are one profile under all their names."""
    found: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for path in sorted(EXAMPLES.glob("*.yaml")):
        policies = load_policies([path]).policies
        for device in policies.devices:
            flags = tuple(features(pipeline(), compile_entries(policies, device).entries).items())
            names = found.setdefault(flags, [])
            names += [path.stem] if path.stem not in names else []
    variants = {"+".join(names): dict(flags) for flags, names in found.items() if not all(dict(flags).values())}
    every_flag = next(iter(found))
    return {WHOLE: {name: 1 for name, _ in every_flag}, **variants}


def measure(objects: Mapping[Hook, bytes], compiler: str) -> Budget:
    """Load every program with every profile's constants. `compiler` is what made the objects."""
    programs: dict[str, Costs] = {}
    maps: dict[str, Costs] = {}
    for profile, flags in profiles().items():
        for hook, elf in objects.items():
            with load(elf, LoadSettings(name=pipeline().name, constants=flags)) as loaded:
                shown = _shown(profile, hook, loaded)
                programs |= {f"{profile} {cost.program}": _program_row(cost) for cost in shown}
                maps |= {cost.map: _map_row(cost) for cost in map_costs(loaded)}
    version = ".".join(platform.release().split(".")[:2])
    return Budget(compiler=compiler, kernel=f"{version} {platform.machine()}", programs=programs, maps=maps)


def _shown(profile: str, hook: Hook, loaded: Object) -> Iterator[ProgramCost]:
    """The programs of the stores are the same in every object, whatever is in use."""
    for name, program in loaded.programs.items():
        if name in hook.programs or (profile == WHOLE and hook is Hook.TC):
            yield program_cost(program, profile)


def _program_row(cost: ProgramCost) -> Costs:
    return {
        "instructions": cost.instructions,
        "stack": max(cost.stack_depths),
        "verified": cost.processed,
        "states": cost.states,
        "peak": cost.peak_states,
        "xlated": cost.xlated_bytes,
        "jited": cost.jited_bytes,
        "maps": cost.maps,
    }


def _map_row(cost: MapCost) -> Costs:
    return {
        "entries": cost.max_entries,
        "key": cost.key_size,
        "value": cost.value_size,
        "bytes": cost.bytes - cost.bytes_per_cpu * possible_cpus(),
        "each CPU": cost.bytes_per_cpu,
    }
