"""What can go wrong between Turnout and the kernel's BPF side, as exceptions that callers turn into diagnostics.

Everything here derives from `BpfError`, so an agent can catch one type; the message alone is fit to print.
"""
# ruff: noqa: N818  names say what happened; the base says that it is an error

from __future__ import annotations

import errno as errno_names
import os
from pathlib import Path


class BpfError(Exception):
    """Base of all failures of this package."""


class LibraryMissing(BpfError):
    """libbpf is not installed, or lacks a function that Turnout calls."""


class ToolchainMissing(BpfError):
    """No compiler for BPF was found. The message says what to install."""


class CompileError(BpfError):
    """The compiler refused the C. `output` holds its words, with the file names that the caller gave."""

    def __init__(self, command: str, output: str) -> None:
        self.command = command
        self.output = output
        super().__init__(f"the C does not compile:\n{output.rstrip()}")


class UnknownName(BpfError):
    """A map, program or variable that the ELF does not have. The message lists what it has."""

    def __init__(self, what: str, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self.known = known
        super().__init__(f"no {what} named {name!r}; known: {', '.join(sorted(known)) or 'none'}")


class KernelRefusal(BpfError, OSError):
    """A system call failed. `errno` is the kernel's (524, ENOTSUPP, included), `what` names the attempt."""

    def __init__(self, errno: int, what: str) -> None:
        self.what = what
        super().__init__(errno, f"{what}: {errno_text(errno)}")

    def __str__(self) -> str:
        return str(self.args[1])


class BatchRefusal(KernelRefusal):
    """A batch stopped at an entry. `done` entries, those before it, have taken effect."""

    def __init__(self, errno: int, what: str, done: int) -> None:
        self.done = done
        super().__init__(errno, f"{what} (stopped after {done} entries)")


class ProgramRefused(BpfError):
    """The verifier refused a program. `telling_line` is the line of its log that matters, `log_path` the whole log."""

    def __init__(self, program: str, errno: int, telling_line: str, log_path: Path) -> None:
        self.program = program
        self.errno = errno
        self.telling_line = telling_line
        self.log_path = log_path
        says = telling_line or errno_text(errno)
        super().__init__(f"the kernel refused program {program!r} ({errno_name(errno)}): {says}; whole log: {log_path}")


ENOTSUPP = 524
"""The kernel's own 'not supported', which it lets through to user space for map operations; libc has no name for it."""

_UNNAMED = {
    ENOTSUPP: ("ENOTSUPP", "operation not supported"),
    4000: ("LIBBPF_ERRNO__LIBELF", "libelf cannot read it"),
    4001: ("LIBBPF_ERRNO__FORMAT", "this is no BPF ELF"),
    4003: ("LIBBPF_ERRNO__ENDIAN", "the ELF has the other byte order"),
    4005: ("LIBBPF_ERRNO__RELOC", "relocation failed"),
}


def errno_name(errno: int) -> str:
    """`ENOENT` for 2."""
    return _UNNAMED[errno][0] if errno in _UNNAMED else errno_names.errorcode.get(errno, str(errno))


def errno_text(errno: int) -> str:
    """`No such file or directory (ENOENT)` for 2."""
    words = _UNNAMED[errno][1] if errno in _UNNAMED else os.strerror(errno)
    return f"{words} ({errno_name(errno)})"
