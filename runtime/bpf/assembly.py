"""BPF instructions written in Python, for probes that must not need a compiler. Not for anything longer than a line."""

from __future__ import annotations

import ctypes as ct
import struct

from runtime.bpf.constants import ProgramType
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.library import U32, U64, libbpf
from runtime.bpf.program import Program
from runtime.bpf.verifier import LOG_BRANCHES, telling_line

SLEEPABLE = 1 << 4
_LOG_SIZE = 1 << 16
_INSTRUCTION = struct.Struct("<BBhi")


class _LoadOptions(ct.Structure):
    _fields_ = (
        ("sz", ct.c_size_t),
        ("attempts", ct.c_int),
        ("expected_attach_type", U32),
        ("prog_btf_fd", U32),
        ("prog_flags", U32),
        ("prog_ifindex", U32),
        ("kern_version", U32),
        ("attach_btf_id", U32),
        ("attach_prog_fd", U32),
        ("attach_btf_obj_fd", U32),
        ("fd_array", U64),
        ("func_info", U64),
        ("func_info_cnt", U32),
        ("func_info_rec_size", U32),
        ("line_info", U64),
        ("line_info_cnt", U32),
        ("line_info_rec_size", U32),
        ("log_level", U32),
        ("log_size", U32),
        ("log_buf", U64),
    )


def set_register(register: int, value: int) -> bytes:
    """`r = value` (32 bits, sign extended)."""
    return _INSTRUCTION.pack(0xB7, register, 0, value)


def copy_register(register: int, source: int) -> bytes:
    """`register = source` (64 bits)."""
    return _INSTRUCTION.pack(0xBF, register | source << 4, 0, 0)


def store_u64(pointer: int, source: int) -> bytes:
    """`*(u64 *)pointer = source`."""
    return _INSTRUCTION.pack(0x7B, pointer | source << 4, 0, 0)


def call(helper: int) -> bytes:
    """Call a helper by its number in the uapi."""
    return _INSTRUCTION.pack(0x85, 0, 0, helper)


def call_function(offset: int) -> bytes:
    """Call a function of the program, so many instructions behind the next one."""
    return _INSTRUCTION.pack(0x85, 1 << 4, 0, offset)


def load_map(register: int, map_fd: int) -> bytes:
    """`register = map`, which takes two instructions."""
    return _INSTRUCTION.pack(0x18, register | 1 << 4, 0, map_fd) + _INSTRUCTION.pack(0, 0, 0, 0)


def leave() -> bytes:
    """Return r0."""
    return _INSTRUCTION.pack(0x95, 0, 0, 0)


def load_instructions(kind: ProgramType, instructions: bytes, name: str) -> Program:
    """Load a program. Raises `KernelRefusal` with the verifier's telling line in its words."""
    log = ct.create_string_buffer(_LOG_SIZE)
    options = _LoadOptions(log_level=LOG_BRANCHES, log_size=_LOG_SIZE, log_buf=ct.addressof(log))
    options.sz = ct.sizeof(options)
    options.prog_flags = SLEEPABLE if kind is ProgramType.SYSCALL else 0
    fd = libbpf().bpf_prog_load(
        kind, name.encode(), b"GPL", instructions, len(instructions) // _INSTRUCTION.size, ct.byref(options)
    )
    if fd < 0:
        line = telling_line(log.value.decode(errors="replace"))
        raise KernelRefusal(-fd, f"load {name}" + (f" ({line})" if line else ""))
    return Program.from_fd(fd, name=name)
