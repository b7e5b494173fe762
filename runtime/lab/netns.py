"""Network namespaces: iproute2 in batches, and the few things for which a process each would be too slow.

A thread that enters a namespace sees its /proc/sys/net and its interfaces; it ends there, so that no other work of
this process ever runs in the wrong namespace.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from runtime.lab.errors import LabError

FOLDER: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
T = TypeVar("T")


def path_of(namespace: str) -> Path:
    return FOLDER / namespace


def exists(namespace: str) -> bool:
    return path_of(namespace).exists()


def require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces, which only root may", hint="run it as root, or with sudo")


def tool(name: str, package: str) -> str:
    """The path of a program. Raises `LabError` naming the Debian package when it is missing."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        raise LabError(f"`{name}` is not installed", hint=f"apt-get install {package}")
    return path


def ip_batch(lines: Sequence[str], *, namespace: str | None = None, force: bool = False) -> None:
    """Run iproute2 commands in one process. Stops at the first that fails, unless `force`: then all are tried.

    Raises `LabError` with the failed command and the kernel's words.
    """
    if not lines:
        return
    inside = [] if namespace is None else ["-n", namespace]
    command = [tool("ip", "iproute2"), *inside, *(["-force"] if force else []), "-batch", "-"]
    run = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    if run.returncode != 0:
        where = "" if namespace is None else f" in namespace {namespace}"
        raise LabError(f"ip failed{where}: {_explained(run.stderr, lines)}")


def _explained(stderr: str, lines: Sequence[str]) -> str:
    """iproute2's words, with the command in place of its "Command failed -:LINE"."""
    words: list[str] = []
    for line in stderr.strip().splitlines():
        number = line.rpartition(":")[2]
        is_place = line.startswith("Command failed") and number.isdigit() and int(number) <= len(lines)
        words.append(f"`ip {lines[int(number) - 1]}`" if is_place else line)
    return " ".join(words)


def inside(namespace: str, work: Callable[[], T]) -> T:
    """What `work` returns when it runs in the namespace. Raises OSError when there is no such namespace."""

    def entered() -> T:
        descriptor = os.open(path_of(namespace), os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(descriptor, _CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(path_of(namespace)))
        finally:
            os.close(descriptor)
        return work()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(entered).result()


def interfaces(namespace: str) -> frozenset[str] | None:
    """The interfaces of a namespace without `lo`; None when it does not exist (or only its name does)."""
    try:
        names = inside(namespace, socket.if_nameindex)
    except OSError:
        return None
    return frozenset(name for _, name in names) - {"lo"}


def set_sysctls(namespace: str, values: Mapping[str, str]) -> None:
    """Write below /proc/sys. What the kernel was built without (IPv6) is left out; any other refusal is raised."""

    def write() -> None:
        for name, value in values.items():
            path = Path("/proc/sys") / name
            if path.exists():
                path.write_text(value)

    inside(namespace, write)


def processes_in(namespaces: Iterable[str]) -> frozenset[int]:
    """The ids of all processes that live in one of the namespaces."""
    wanted = {identity for namespace in namespaces if (identity := _identity(path_of(namespace))) is not None}
    if not wanted:
        return frozenset()
    found = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return frozenset(int(entry.name) for entry in found if _identity(entry / "ns/net") in wanted)


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode, which are the same for two names of one namespace; None when it went away."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
