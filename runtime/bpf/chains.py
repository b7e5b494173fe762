"""The programs that packets pass, by hook: a first one, and the whole way, to which it goes on by a tail call.

Without a JIT, and on arm64 before 6.0, no program may have both a tail call and functions of its own. The whole way,
which has no tail call and does all that the first one does, is then the only one. Called by whoever loads pipelines.
"""

from __future__ import annotations

from enum import Enum
from functools import cache

from runtime.bpf.elf import Source, inspect
from runtime.bpf.features import TAIL_CALLS, probe
from runtime.bpf.object import Object
from runtime.bpf.program import Program


class Hook(Enum):
    """Where a program is attached, with the name of the first one in a pipeline's ELF."""

    TC = "turnout_tc"
    XDP = "turnout_xdp"

    @property
    def whole(self) -> str:
        """The program that packets go on to which the first one leaves undecided; not in every ELF."""
        return f"whole_{self.name.lower()}"

    @property
    def programs(self) -> frozenset[str]:
        """All that packets pass."""
        return frozenset({self.value, self.whole})

    def first(self, loaded: Object) -> Program:
        """What packets begin with. Raises `UnknownName` for an ELF that has neither program."""
        is_alone = self.value not in loaded.programs and self.whole in loaded.programs
        return loaded.program(self.whole if is_alone else self.value)

    def not_taken(self, elf: Source) -> frozenset[str]:
        """What is not to be loaded of an ELF: the first program, where there is another and the kernel takes no chain.

        Raises `KernelRefusal` for bytes that are no BPF ELF.
        """
        if takes_chains():
            return frozenset()
        names = {program.name for program in inspect(elf).programs}
        return frozenset({self.value}) if self.programs <= names else frozenset()


@cache
def takes_chains() -> bool:
    """Whether this kernel takes the first program."""
    return probe(TAIL_CALLS).present
