"""The fixed program on each port: a tail call into slot 0 of a PROG_ARRAY, and "next" when the slot is empty.

So a pipeline is swapped on all ports by one map update, and no compiler is needed for it: the program is six
instructions, written here. What the program behind it leaves undecided goes on, by another tail call, in slot 0 of a
second PROG_ARRAY (ebpf/whole.j2). Packets may meet the first program of one pipeline and the whole program of another
for a moment: the first one has changed nothing then, so the second decides all of it.
"""

from __future__ import annotations

import ctypes as ct
import struct
from contextlib import ExitStack
from pathlib import Path

from runtime.bpf.chains import Hook
from runtime.bpf.constants import TCX_NEXT, MapType, ProgramType
from runtime.bpf.errors import BpfError
from runtime.bpf.library import check, libbpf
from runtime.bpf.maps import Map, MapShape
from runtime.bpf.object import Object
from runtime.bpf.program import Program

DISPATCH_SHAPE = MapShape(name="dispatch_tc", type=MapType.PROG_ARRAY, key_size=4, value_size=4, max_entries=1)
WHOLE_SHAPE = MapShape(name="dispatch_whole", type=MapType.PROG_ARRAY, key_size=4, value_size=4, max_entries=1)
SLOT = struct.pack("=I", 0)
_INSTRUCTION = struct.Struct("<BBhi")
_LD_IMM64, _MOV64_IMM, _CALL, _EXIT = 0x18, 0xB7, 0x85, 0x95
_PSEUDO_MAP_FD = 1
_TAIL_CALL = 12
_R0, _R2, _R3 = 0, 2, 3


class Dispatch:
    """Both arrays of a device, by their pins, which keep what packets pass alive. Raises `KernelRefusal`."""

    def __init__(self, pins: Path) -> None:
        """Go on with what is pinned there, or begin. The first one comes last: without it nothing has begun."""
        self.is_new = not (pins / DISPATCH_SHAPE.name).exists()
        with ExitStack() as undo:
            self.whole = _pinned(pins / WHOLE_SHAPE.name, WHOLE_SHAPE)
            undo.callback(self.whole.close)
            self.first = _pinned(pins / DISPATCH_SHAPE.name, DISPATCH_SHAPE)
            undo.pop_all()

    @property
    def maps(self) -> dict[str, Map]:
        """What a pipeline's ELF is to have in place of its own."""
        return {WHOLE_SHAPE.name: self.whole}

    def activate(self, loaded: Object) -> None:
        """Packets that begin from now on pass its programs. Raises `KernelRefusal`, and then they do not.

        The second update is of the same kind as the first, so what the kernel can refuse it refuses at once.
        """
        first, whole = Hook.TC.first(loaded), loaded.programs.get(Hook.TC.whole)
        if whole is not None:
            self.whole.update_fd(SLOT, whole.fd)
        self.first.update_fd(SLOT, first.fd)
        if whole is None:
            self.whole.delete(SLOT)

    def close(self) -> None:
        self.whole.close()
        self.first.close()


def _pinned(path: Path, shape: MapShape) -> Map:
    if path.exists():
        return Map.pinned(path)
    made = Map.create(shape)
    try:
        made.pin(path)
    except BpfError:
        made.close()
        raise
    return made


def load_dispatcher(prog_array: Map) -> Program:
    """The program for tc hooks. Raises `KernelRefusal`."""
    code = instructions(prog_array.fd)
    buffer = ct.create_string_buffer(code, len(code))
    count = len(code) // _INSTRUCTION.size
    fd = libbpf().bpf_prog_load(ProgramType.SCHED_CLS, b"turnout_dispatch", b"GPL", buffer, count, None)
    return Program.from_fd(check(fd, "load the dispatcher"), name="turnout_dispatch")


def instructions(map_fd: int) -> bytes:
    """`bpf_tail_call(ctx, map, 0); return TCX_NEXT;` with the context still in r1."""
    return b"".join(
        (
            _INSTRUCTION.pack(_LD_IMM64, _R2 | _PSEUDO_MAP_FD << 4, 0, map_fd),
            _INSTRUCTION.pack(0, 0, 0, 0),
            _INSTRUCTION.pack(_MOV64_IMM, _R3, 0, 0),
            _INSTRUCTION.pack(_CALL, 0, 0, _TAIL_CALL),
            _INSTRUCTION.pack(_MOV64_IMM, _R0, 0, TCX_NEXT),
            _INSTRUCTION.pack(_EXIT, 0, 0, 0),
        )
    )
