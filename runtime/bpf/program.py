"""One loaded program by file descriptor: what it is, what it cost, pinning."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from runtime.bpf.bpffs import pin_name
from runtime.bpf.library import ProgramInfo, check, libbpf, read_info
from runtime.bpf.verifier import VerifierStats


@dataclass(slots=True, kw_only=True)
class Program:
    """A program in the kernel. It lives while this, a pin, a link, a filter or a prog array holds it.

    `stats` are those of its load; a program opened from a pin has only its sizes.
    """

    name: str
    fd: int
    id: int
    type: int
    stats: VerifierStats = field(default_factory=VerifierStats)

    @classmethod
    def from_fd(cls, fd: int, stats: VerifierStats | None = None, name: str = "") -> Program:
        """Take over `fd`. The kernel keeps 15 characters of a name; `name` is the whole one. Raises `KernelRefusal`."""
        info = ProgramInfo()
        read_info(fd, info, f"ask about program of fd {fd}")
        known = stats or VerifierStats()
        whole = replace(
            known,
            processed_insns=known.processed_insns or info.verified_insns,
            xlated_bytes=info.xlated_prog_len,
            jited_bytes=info.jited_prog_len,
            maps=info.nr_map_ids,
        )
        return cls(name=name or info.name.decode(), fd=fd, id=info.id, type=info.type, stats=whole)

    @classmethod
    def pinned(cls, path: Path) -> Program:
        """The program pinned at `path`. Raises `KernelRefusal` (ENOENT when there is none)."""
        return cls.from_fd(check(libbpf().bpf_obj_get(os.fsencode(path)), f"open pinned program {path}"))

    @classmethod
    def by_id(cls, program_id: int) -> Program:
        """Raises `KernelRefusal` (ENOENT when it is gone)."""
        return cls.from_fd(check(libbpf().bpf_prog_get_fd_by_id(program_id), f"open program {program_id}"))

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def pin(self, path: Path) -> None:
        """Keep the program under `path`, in a bpffs. Raises `KernelRefusal` (EEXIST), ValueError for a bad name."""
        pin_name(path.name)
        check(libbpf().bpf_obj_pin(self.fd, os.fsencode(path)), f"pin program {self.name} at {path}")

    def close(self) -> None:
        """Close the descriptor; twice is fine."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
