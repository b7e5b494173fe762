"""The binding of `libbpf.so.1`: declarations, errno, and libbpf's own words sent to logging.

One `Library` value exists per process (`libbpf()`); the other modules of this package call its functions through
`check`/`check_pointer`. Works from libbpf 1.0 on: option structures carry their size, so a newer libbpf reads the
older, shorter ones. Leaves the meaning of each call to the modules named after it.
"""

from __future__ import annotations

import ctypes as ct
import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from runtime.bpf.errors import KernelRefusal, LibraryMissing

LOG = logging.getLogger("turnout.libbpf")
LEVELS = (logging.INFO, logging.DEBUG, logging.DEBUG)  # what matters is in the exceptions as well

INT = ct.c_int
U32 = ct.c_uint32
U64 = ct.c_uint64
SIZE = ct.c_size_t
PTR = ct.c_void_p
TEXT = ct.c_char_p

# name: (result, arguments). Buffers are PTR: ctypes passes `bytes` by address, without a copy.
SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "libbpf_version_string": (TEXT, ()),
    "libbpf_set_print": (PTR, (PTR,)),
    "bpf_object__open_mem": (PTR, (PTR, SIZE, PTR)),
    "bpf_object__load": (INT, (PTR,)),
    "bpf_object__close": (None, (PTR,)),
    "bpf_object__next_map": (PTR, (PTR, PTR)),
    "bpf_object__next_program": (PTR, (PTR, PTR)),
    "bpf_object__find_map_by_name": (PTR, (PTR, TEXT)),
    "bpf_object__btf": (PTR, (PTR,)),
    "btf__raw_data": (PTR, (PTR, ct.POINTER(U32))),
    "bpf_map__name": (TEXT, (PTR,)),
    "bpf_map__fd": (INT, (PTR,)),
    "bpf_map__type": (INT, (PTR,)),
    "bpf_map__key_size": (U32, (PTR,)),
    "bpf_map__value_size": (U32, (PTR,)),
    "bpf_map__max_entries": (U32, (PTR,)),
    "bpf_map__map_flags": (U32, (PTR,)),
    "bpf_map__set_max_entries": (INT, (PTR, U32)),
    "bpf_map__initial_value": (PTR, (PTR, ct.POINTER(SIZE))),
    "bpf_map__reuse_fd": (INT, (PTR, INT)),
    "bpf_map__set_pin_path": (INT, (PTR, TEXT)),
    "bpf_program__name": (TEXT, (PTR,)),
    "bpf_program__section_name": (TEXT, (PTR,)),
    "bpf_program__fd": (INT, (PTR,)),
    "bpf_program__type": (INT, (PTR,)),
    "bpf_program__expected_attach_type": (INT, (PTR,)),
    "bpf_program__insn_cnt": (SIZE, (PTR,)),
    "bpf_program__autoload": (ct.c_bool, (PTR,)),
    "bpf_program__set_autoload": (INT, (PTR, ct.c_bool)),
    "bpf_program__set_log_level": (INT, (PTR, U32)),
    "bpf_program__set_log_buf": (INT, (PTR, PTR, SIZE)),
    "bpf_prog_load": (INT, (INT, TEXT, TEXT, PTR, SIZE, PTR)),
    "bpf_prog_test_run_opts": (INT, (INT, PTR)),
    "bpf_prog_get_fd_by_id": (INT, (U32,)),
    "bpf_map_get_fd_by_id": (INT, (U32,)),
    "bpf_link_get_fd_by_id": (INT, (U32,)),
    "bpf_link_get_next_id": (INT, (U32, ct.POINTER(U32))),
    "bpf_map_create": (INT, (INT, TEXT, U32, U32, U32, PTR)),
    "bpf_map_lookup_elem_flags": (INT, (INT, PTR, PTR, U64)),
    "bpf_map_update_elem": (INT, (INT, PTR, PTR, U64)),
    "bpf_map_delete_elem": (INT, (INT, PTR)),
    "bpf_map_get_next_key": (INT, (INT, PTR, PTR)),
    "bpf_map_freeze": (INT, (INT,)),
    "bpf_map_lookup_batch": (INT, (INT, PTR, PTR, PTR, PTR, ct.POINTER(U32), PTR)),
    "bpf_map_update_batch": (INT, (INT, PTR, PTR, ct.POINTER(U32), PTR)),
    "bpf_map_delete_batch": (INT, (INT, PTR, ct.POINTER(U32), PTR)),
    "bpf_obj_pin": (INT, (INT, TEXT)),
    "bpf_obj_get": (INT, (TEXT,)),
    "bpf_obj_get_info_by_fd": (INT, (INT, PTR, ct.POINTER(U32))),
    "bpf_link_create": (INT, (INT, INT, INT, PTR)),
    "bpf_link_update": (INT, (INT, INT, PTR)),
    "bpf_link_detach": (INT, (INT,)),
    "bpf_tc_hook_create": (INT, (PTR,)),
    "bpf_tc_hook_destroy": (INT, (PTR,)),
    "bpf_tc_attach": (INT, (PTR, PTR)),
    "bpf_tc_detach": (INT, (PTR, PTR)),
    "bpf_xdp_query": (INT, (INT, INT, PTR)),
    "ring_buffer__new": (PTR, (INT, PTR, PTR, PTR)),
    "ring_buffer__consume": (INT, (PTR,)),
    "ring_buffer__free": (None, (PTR,)),
}

PRINTER = ct.CFUNCTYPE(INT, INT, TEXT, PTR)


class Library:
    """libbpf's functions as attributes, declared. Safe to use from several threads."""

    def __init__(self, name: str = "libbpf.so.1") -> None:
        try:
            self._lib = ct.CDLL(name, use_errno=True)
        except OSError as problem:
            raise LibraryMissing(f"cannot load {name}: {problem}; install libbpf 1.0 or newer (libbpf1)") from problem
        self._declare(name)
        self._vsnprintf = ct.CDLL(None).vsnprintf
        self._vsnprintf.argtypes = [PTR, SIZE, TEXT, PTR]
        self._said = threading.local()
        self._printer = PRINTER(self._hear)  # kept alive: libbpf holds the bare address
        self.libbpf_set_print(ct.cast(self._printer, PTR))

    def _declare(self, name: str) -> None:
        for function, (result, arguments) in SIGNATURES.items():
            try:
                pointer: Any = getattr(self._lib, function)
            except AttributeError as problem:
                raise LibraryMissing(f"{name} has no {function}; libbpf 1.0 or newer is needed") from problem
            pointer.restype = result
            pointer.argtypes = arguments
            setattr(self, function, pointer)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name} is not in SIGNATURES")

    @property
    def version(self) -> str:
        """Such as `1.1`."""
        return self.libbpf_version_string().decode().removeprefix("v")

    def _hear(self, level: int, form: bytes, arguments: int) -> int:
        if level > 1 and not LOG.isEnabledFor(logging.DEBUG):
            return 0
        text = ct.create_string_buffer(4096)
        # A va_list of both x86_64 and arm64 arrives as one pointer, so it can be handed on untouched.
        length = self._vsnprintf(text, len(text), form, arguments)
        line = text.value.decode(errors="replace").rstrip().removeprefix("libbpf: ")
        LOG.log(LEVELS[min(level, 2)], "%s", line)
        lines: list[str] | None = getattr(self._said, "lines", None)
        if lines is not None:
            lines.append(line)
        return length

    @contextmanager
    def listening(self) -> Generator[list[str]]:
        """Collect what libbpf says in this thread, besides logging it."""
        lines: list[str] = []
        before = getattr(self._said, "lines", None)
        self._said.lines = lines
        try:
            yield lines
        finally:
            self._said.lines = before


@lru_cache(maxsize=1)
def libbpf() -> Library:
    """The process's one binding. Raises `LibraryMissing`."""
    return Library()


def check(result: int, what: str) -> int:
    """Hand back a result that is not negative; else raise `KernelRefusal` naming the attempt.

    libbpf 1.x returns -errno; older habits (-1 and errno) are understood too, except that -1 then means EPERM.
    """
    if result >= 0:
        return result
    raise KernelRefusal(-result if result < -1 else ct.get_errno() or 1, what)


def check_pointer(pointer: int | None, what: str) -> int:
    """Hand back a pointer that is not NULL; else raise `KernelRefusal` with errno."""
    if not pointer:
        raise KernelRefusal(ct.get_errno(), what)
    return pointer


class MapInfo(ct.Structure):
    """`struct bpf_map_info`, as far as 5.16 has it."""

    _fields_ = (
        ("type", U32),
        ("id", U32),
        ("key_size", U32),
        ("value_size", U32),
        ("max_entries", U32),
        ("map_flags", U32),
        ("name", ct.c_char * 16),
        ("ifindex", U32),
        ("btf_vmlinux_value_type_id", U32),
        ("netns_dev", U64),
        ("netns_ino", U64),
        ("btf_id", U32),
        ("btf_key_type_id", U32),
        ("btf_value_type_id", U32),
        ("reserved", U32),
        ("map_extra", U64),
    )


class ProgramInfo(ct.Structure):
    """`struct bpf_prog_info`, as far as 5.16 has it. Zero lengths ask for sizes only."""

    _fields_ = (
        ("type", U32),
        ("id", U32),
        ("tag", ct.c_ubyte * 8),
        ("jited_prog_len", U32),
        ("xlated_prog_len", U32),
        ("jited_prog_insns", U64),
        ("xlated_prog_insns", U64),
        ("load_time", U64),
        ("created_by_uid", U32),
        ("nr_map_ids", U32),
        ("map_ids", U64),
        ("name", ct.c_char * 16),
        ("ifindex", U32),
        ("gpl_compatible", U32),
        ("netns_dev", U64),
        ("netns_ino", U64),
        ("nr_jited_ksyms", U32),
        ("nr_jited_func_lens", U32),
        ("jited_ksyms", U64),
        ("jited_func_lens", U64),
        ("btf_id", U32),
        ("func_info_rec_size", U32),
        ("func_info", U64),
        ("nr_func_info", U32),
        ("nr_line_info", U32),
        ("line_info", U64),
        ("jited_line_info", U64),
        ("nr_jited_line_info", U32),
        ("line_info_rec_size", U32),
        ("jited_line_info_rec_size", U32),
        ("nr_prog_tags", U32),
        ("prog_tags", U64),
        ("run_time_ns", U64),
        ("run_cnt", U64),
        ("recursion_misses", U64),
        ("verified_insns", U32),
        ("attach_btf_obj_id", U32),
    )


class LinkInfo(ct.Structure):
    """`struct bpf_link_info` for the kinds that sit on a device: xdp (ifindex) and tcx (ifindex, attach_type)."""

    _fields_ = (
        ("type", U32),
        ("id", U32),
        ("prog_id", U32),
        ("reserved", U32),
        ("ifindex", U32),
        ("attach_type", U32),
        ("rest", ct.c_ubyte * 64),
    )


def read_info(fd: int, info: ct.Structure, what: str) -> None:
    """Fill `info` from BPF_OBJ_GET_INFO_BY_FD. An older kernel leaves what it does not know at zero."""
    length = U32(ct.sizeof(info))
    check(libbpf().bpf_obj_get_info_by_fd(fd, ct.byref(info), ct.byref(length)), what)
