"""Entering a network namespace for a block. Everything in this package acts on the namespace of the calling thread."""

from __future__ import annotations

import ctypes as ct
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from runtime.bpf.errors import KernelRefusal

NAMED = Path("/run/netns")
OWN = Path("/proc/thread-self/ns/net")
CLONE_NEWNET = 0x40000000


@contextmanager
def entered(name: str | Path) -> Generator[None]:
    """Be in a network namespace for the block: a name of `ip netns`, or a path such as `/proc/PID/ns/net`.

    Only the calling thread moves, and threads it starts inside. Sockets and links made inside stay there. Raises
    `KernelRefusal` (ENOENT when there is no such namespace).
    """
    path = name if isinstance(name, Path) else NAMED / name
    own = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = _open(path)
        try:
            _set(other, f"enter namespace {name}")
        finally:
            os.close(other)
        try:
            yield
        finally:
            _set(own, "return from a namespace")
    finally:
        os.close(own)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise KernelRefusal(problem.errno or 0, f"open namespace {path}") from problem


def _set(fd: int, what: str) -> None:
    if ct.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
        raise KernelRefusal(ct.get_errno(), what)
