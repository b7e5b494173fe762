"""A mutant's object: compiled with its fault, and compared with the right one.

Two faults that the compiler makes the same code of are one program; such a mutant says nothing about the tests.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from compiler.ir.nodes import Pipeline
from compiler.printers.ebpf.printing import INCLUDE, print_c
from runtime.bpf.chains import Hook
from runtime.bpf.toolchain import compile_c
from runtime.build import SOURCE_NAME
from tests.mutation.mutant import PRINTED, ChangedPipeline, InC, PipelineMutant, SubstitutedText, TextMutant

_NO_WARNINGS = '#pragma clang diagnostic ignored "-Weverything"\n'
"""A warning would tell some mutants before a test does."""
_LEFT_OUT = (".BTF", ".BTF.ext", ".rel.BTF", ".rel.BTF.ext", ".strtab", ".symtab")
"""Lines and names."""
_HEADER, _SECTION = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQIIQQ")


def mutant_object(mutant: InC, pipeline: Pipeline, hook: Hook) -> bytes:
    """The ELF with the fault. Raises `CompileError` when the compiler refuses it."""
    if isinstance(mutant, PipelineMutant | ChangedPipeline):
        with tempfile.TemporaryDirectory(prefix="turnout-mutant-") as folder:
            return _compiled(print_c(mutant.change(pipeline)), INCLUDE, hook, Path(folder))
    return changed_object((mutant,), pipeline, hook)


def changed_object(changes: Iterable[TextMutant | SubstitutedText], pipeline: Pipeline, hook: Hook) -> bytes:
    """The ELF with changes of the C, one after the other."""
    source = _printed(pipeline)
    with tempfile.TemporaryDirectory(prefix="turnout-mutant-") as folder:
        headers = Path(folder) / "include"
        shutil.copytree(INCLUDE, headers)
        for change in changes:
            if change.file == PRINTED:
                source = change.change(source)
            else:
                header = headers / "turnout" / change.file
                header.write_text(change.change(header.read_text()))
        return _compiled(source, headers, hook, Path(folder) / "objects")


@cache
def right_object(pipeline: Pipeline, hook: Hook) -> bytes:
    with tempfile.TemporaryDirectory(prefix="turnout-mutant-") as folder:
        return _compiled(_printed(pipeline), INCLUDE, hook, Path(folder))


def is_same_code(one: bytes, other: bytes) -> bool:
    """Whether two objects differ in nothing that is loaded."""
    return _sections(one) == _sections(other)


def text_of(file: str, pipeline: Pipeline) -> str:
    """What a text mutant of `file` changes."""
    return _printed(pipeline) if file == PRINTED else (INCLUDE / "turnout" / file).read_text()


@cache
def _printed(pipeline: Pipeline) -> str:
    return print_c(pipeline)


def _compiled(source: str, headers: Path, hook: Hook, kept: Path) -> bytes:
    defines = {f"TURNOUT_{hook.name}": "1"}
    return compile_c(_NO_WARNINGS + source, name=SOURCE_NAME, include_dirs=(headers,), defines=defines, cache_dir=kept)


def _sections(elf: bytes) -> dict[str, bytes]:
    header: tuple[int, ...] = _HEADER.unpack_from(elf)
    at, size, count, names = header[6], header[11], header[12], header[13]
    rows: list[tuple[int, ...]] = [_SECTION.unpack_from(elf, at + size * number) for number in range(count)]
    texts = rows[names][4]
    found: dict[str, bytes] = {}
    for row in rows:
        name = elf[texts + row[0] : elf.index(b"\0", texts + row[0])].decode()
        if name and name not in _LEFT_OUT and name != ".shstrtab":
            found[name] = elf[row[4] : row[4] + row[5]]
    return found
