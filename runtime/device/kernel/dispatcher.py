"""The fixed program on each port: a tail call into slot 0 of a PROG_ARRAY, and "next" when the slot is empty.

So a pipeline is swapped on all ports by one map update, and no compiler is needed for it: the program is six
instructions, written here.
"""

from __future__ import annotations

import ctypes as ct
import struct

from runtime.bpf.constants import TCX_NEXT, MapType, ProgramType
from runtime.bpf.library import check, libbpf
from runtime.bpf.maps import Map, MapShape
from runtime.bpf.program import Program

DISPATCH_SHAPE = MapShape(name="dispatch_tc", type=MapType.PROG_ARRAY, key_size=4, value_size=4, max_entries=1)
SLOT = struct.pack("=I", 0)
_INSTRUCTION = struct.Struct("<BBhi")
_LD_IMM64, _MOV64_IMM, _CALL, _EXIT = 0x18, 0xB7, 0x85, 0x95
_PSEUDO_MAP_FD = 1
_TAIL_CALL = 12
_R0, _R2, _R3 = 0, 2, 3


def make_prog_array() -> Map:
    """Raises `KernelRefusal`."""
    return Map.create(DISPATCH_SHAPE)


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
