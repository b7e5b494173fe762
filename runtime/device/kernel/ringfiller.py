"""Rings filled by a program of the pipeline's ELF, two to eight times as fast as slot by slot in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from compiler.ir.entries import WeightedMember
from compiler.ir.maglev import permutation, ring_size
from compiler.printers.ring_program import (
    LOOKS,
    MAX_SEATS,
    PROGRAM,
    SEATS,
    SPACE,
    TAKEN_BYTES,
    context_of,
    pack_seats,
    slots_left,
)
from runtime.bpf.maps import Map
from runtime.bpf.object import Object
from runtime.bpf.program import Program
from runtime.bpf.testrun import run_syscall
from runtime.device.kernel.ringslots import STRIDE
from runtime.device.refusals import internal


class RingFiller:
    """One for all selectors of a device: it fills one ring at a time."""

    def __init__(self, program: Program, seats: Map, space: Map) -> None:
        self._program = program
        with ExitStack() as undo:
            self._seats = undo.enter_context(seats.memory())
            self._space = undo.enter_context(space.memory())
            undo.pop_all()

    def close(self) -> None:
        self._seats.close()
        self._space.close()

    def fill(self, members: Sequence[WeightedMember], places: Mapping[int, int]) -> bytes | None:
        """The ring of all of a group's members: what `ringslots.strided` makes of their places. None: too many members.

        Raises `BpfError`, `RefusedError`.
        """
        if not members or len(members) > MAX_SEATS:
            return None
        size = ring_size(sum(member.weight for member in members))
        seats = pack_seats(
            (places[number], *permutation(number, size), min(weight, size))
            for number, weight in sorted((member.member_id, member.weight) for member in members)
        )
        self._seats[: len(seats)] = seats
        self._space[: size // 8 + 1] = bytes(size // 8 + 1)
        context = context_of(size, len(members))
        for _ in range(len(members) * size // LOOKS + 2):  # no member looks at a slot twice
            context = run_syscall(self._program.fd, context).context
            if not slots_left(context):
                return self._space[TAKEN_BYTES : TAKEN_BYTES + size * STRIDE]
        raise internal(f"the program {PROGRAM} left {slots_left(context)} of {size} slots of a ring free")


def ring_filler(loaded: Object) -> RingFiller | None:
    """None for an ELF that was compiled before there was such a program. Raises `UnknownName`, `OSError`."""
    program = loaded.programs.get(PROGRAM)
    return None if program is None else RingFiller(program, loaded.map(SEATS), loaded.map(SPACE))
