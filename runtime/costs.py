"""What a loaded object costs: instructions, the verifier's work, stack, machine code; memory of its maps.

Measured on what `runtime.bpf.object` has loaded. Called by `runtime.report`, and by the test that holds the budgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.bpf.maps import Map, round_up
from runtime.bpf.object import Object
from runtime.bpf.program import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramCost:
    """`instructions` is what the kernel is given, `processed` what its verifier walked, of at most `limit`.

    `states` and `peak_states` are what the verifier kept, in all and at once. `stack_depths`: bytes of each function,
    the program itself first.
    """

    program: str
    flags: str
    instructions: int
    processed: int
    limit: int
    states: int
    peak_states: int
    verification_us: int
    xlated_bytes: int
    jited_bytes: int
    maps: int
    stack_depths: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapCost:
    """`bytes` is what the kernel accounts to the map here, entries that are allocated beforehand included.

    Of them `bytes_per_cpu` come once for each CPU that the machine could have.
    """

    map: str
    max_entries: int
    key_size: int
    value_size: int
    bytes: int
    bytes_per_cpu: int


def program_cost(program: Program, flags: str) -> ProgramCost:
    """`flags` says in words which constants the program was loaded with."""
    stats = program.stats
    return ProgramCost(
        program=program.name,
        flags=flags,
        instructions=stats.instructions,
        processed=stats.processed_insns,
        limit=stats.insns_limit,
        states=stats.total_states,
        peak_states=stats.peak_states,
        verification_us=stats.verification_us,
        xlated_bytes=stats.xlated_bytes,
        jited_bytes=stats.jited_bytes,
        maps=stats.maps,
        stack_depths=stats.stack_depths,
    )


def map_costs(loaded: Object) -> tuple[MapCost, ...]:
    """Of all maps of an object, its sections of globals among them."""
    return tuple(_map_cost(name, held) for name, held in loaded.maps.items())


def _map_cost(name: str, held: Map) -> MapCost:
    details = held.details
    each = round_up(details.value_size, 8) * details.max_entries if details.is_per_cpu else 0
    return MapCost(
        map=name,
        max_entries=details.max_entries,
        key_size=details.key_size,
        value_size=details.value_size,
        bytes=_memory(held.fd),
        bytes_per_cpu=each,
    )


def _memory(fd: int) -> int:
    """Bytes that the kernel accounts to a map."""
    for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "memlock":
            return int(value)
    return 0
