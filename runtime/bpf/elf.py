"""An ELF as libbpf reads it, before anything is loaded: its maps, programs, global variables and types."""

from __future__ import annotations

import ctypes as ct
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from runtime.bpf.btf import Btf, Variable
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.library import U32, check_pointer, libbpf

Source: TypeAlias = bytes | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSpec:
    """A map as the C declares it. Names of sections (`.rodata`, `.bss`) stand for the globals in them."""

    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSpec:
    """A program as the C declares it. `type` and `attach_type` are what libbpf makes of its section's name."""

    name: str
    section: str
    type: int
    attach_type: int
    instructions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfSpec:
    """All that an ELF declares."""

    maps: tuple[MapSpec, ...]
    programs: tuple[ProgramSpec, ...]
    variables: tuple[Variable, ...]


class _OpenOptions(ct.Structure):
    _fields_ = (("sz", ct.c_size_t), ("object_name", ct.c_char_p))


class Handle:
    """An open `struct bpf_object`."""

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer
        lib = libbpf()
        self.maps = {_map_name(p): p for p in _walk(lib.bpf_object__next_map, pointer)}
        self.programs = {lib.bpf_program__name(p).decode(): p for p in _walk(lib.bpf_object__next_program, pointer)}

    def variables(self) -> tuple[Variable, ...]:
        """The globals in sections that become maps."""
        btf = self.btf()
        return tuple(v for v in btf.variables() if v.section in self.maps) if btf else ()

    def btf(self) -> Btf | None:
        """The types, with section offsets filled in. None for an ELF compiled without -g."""
        lib, length = libbpf(), U32()
        types = lib.bpf_object__btf(self.pointer)
        raw = lib.btf__raw_data(types, ct.byref(length)) if types else None
        return Btf(ct.string_at(raw, length.value)) if raw else None


def inspect(source: Source, name: str = "turnout") -> ElfSpec:
    """What an ELF declares. Needs no right. Raises `KernelRefusal` for bytes that are no BPF ELF."""
    with opened(source, name) as handle:
        return ElfSpec(
            maps=tuple(map_spec(name, pointer) for name, pointer in handle.maps.items()),
            programs=tuple(_program_spec(name, pointer) for name, pointer in handle.programs.items()),
            variables=handle.variables(),
        )


@contextmanager
def opened(source: Source, name: str) -> Generator[Handle]:
    """An ELF opened by libbpf for the block. `name` begins the kernel's names of its global sections."""
    elf = source if isinstance(source, bytes) else source.read_bytes()
    options = _OpenOptions(object_name=name.encode())
    options.sz = ct.sizeof(options)
    lib = libbpf()
    with lib.listening() as said:
        pointer = lib.bpf_object__open_mem(elf, len(elf), ct.byref(options))
        try:
            check_pointer(pointer, f"read the ELF {name}")
        except KernelRefusal as refusal:
            raise with_words(refusal, said) from refusal
    try:
        yield Handle(pointer)
    finally:
        lib.bpf_object__close(pointer)


def with_words(refusal: KernelRefusal, said: list[str]) -> KernelRefusal:
    """The same refusal with libbpf's last words in it."""
    words = "; ".join(said[-2:])
    return KernelRefusal(refusal.errno or 0, f"{refusal.what} (libbpf: {words})" if words else refusal.what)


def map_spec(name: str, pointer: int) -> MapSpec:
    """One map's declaration."""
    lib = libbpf()
    return MapSpec(
        name=name,
        type=lib.bpf_map__type(pointer),
        key_size=lib.bpf_map__key_size(pointer),
        value_size=lib.bpf_map__value_size(pointer),
        max_entries=lib.bpf_map__max_entries(pointer),
        flags=lib.bpf_map__map_flags(pointer),
    )


def _program_spec(name: str, pointer: int) -> ProgramSpec:
    lib = libbpf()
    return ProgramSpec(
        name=name,
        section=os.fsdecode(lib.bpf_program__section_name(pointer)),
        type=lib.bpf_program__type(pointer),
        attach_type=lib.bpf_program__expected_attach_type(pointer),
        instructions=lib.bpf_program__insn_cnt(pointer),
    )


def _map_name(pointer: int) -> str:
    # libbpf calls a section's map by a cut object name and the section: `turnout.rodata`.
    name: str = libbpf().bpf_map__name(pointer).decode()
    return name[name.index(".") :] if "." in name else name


def _walk(following: Callable[[int, int | None], int | None], pointer: int) -> Iterator[int]:
    at: int | None = following(pointer, None)
    while at:
        yield at
        at = following(pointer, at)
