"""Pipelines of two programs, of which the first goes on to the other by a tail call, on any kernel.

Without a JIT, and on arm64 before 6.0, no program may have both a tail call and functions of its own. The second one,
which has no tail call and does all that the first one does, is then the only one. Called by whoever loads pipelines.
"""

from __future__ import annotations

from functools import cache

from runtime.bpf.elf import Source, inspect
from runtime.bpf.features import TAIL_CALLS, probe
from runtime.bpf.object import Object
from runtime.bpf.program import Program


@cache
def takes_chains() -> bool:
    """Whether this kernel takes the first program."""
    return probe(TAIL_CALLS).present


def not_taken(elf: Source, first: str, second: str) -> frozenset[str]:
    """What is not to be loaded of an ELF: the first program, where there is a second one and the kernel wants no chain.

    Raises `KernelRefusal` for bytes that are no BPF ELF.
    """
    if takes_chains():
        return frozenset()
    names = {program.name for program in inspect(elf).programs}
    return frozenset({first}) if {first, second} <= names else frozenset()


def passed_first(loaded: Object, first: str, second: str) -> Program:
    """What packets begin with. Raises `UnknownName` for an ELF that has neither."""
    return loaded.program(second if first not in loaded.programs and second in loaded.programs else first)
