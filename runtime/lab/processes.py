"""Processes of a lab: started so that none can run unrecorded, told from strangers, ended.

A process waits behind a pipe until its id is in the record; if the builder dies before that, the pipe closes and the
process ends by itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from runtime.lab.errors import LabError
from runtime.lab.netns import path_of, tool
from runtime.lab.state import Process, Role

READY: Final = "ready"
"""A line that begins with this word says that a process serves."""
READY_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.02
_GATE: Final = 'read -r go && exec "$@" </dev/null'


def start(
    command: Sequence[str], *, namespace: str, log: Path, role: Role, member: str, record: Callable[[Process], None]
) -> Process:
    """Start a command in a namespace, outside of this session and terminal. `record` is called before it runs.
    What an earlier process logged is kept beside the log, with ".1" after its name.

    Only the network is the namespace's: mounts stay those of the machine, so that a bpffs stays visible.
    """
    nsenter = tool("nsenter", "util-linux")
    arguments = [nsenter, f"--net={path_of(namespace)}", "/bin/sh", "-c", _GATE, "sh", *command]
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    reader, writer = os.pipe()
    try:
        pid = os.posix_spawn(nsenter, arguments, os.environ, file_actions=_files(reader, log), setsid=True)
        started = start_time(pid)
        if started is None:
            raise LabError(f"{member}: the process ended at once; its log is {log}")
        process = Process(role=role, member=member, pid=pid, started=started, log=str(log))
        record(process)
        os.write(writer, b"go\n")
    except BrokenPipeError as error:
        raise LabError(f"{member}: the {role} could not be started{_end_of(str(log))}") from error
    finally:
        os.close(reader)
        os.close(writer)
    return process


def _files(stdin: int, log: Path) -> list[tuple[int, int, int] | tuple[int, int, str, int, int]]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return [
        (os.POSIX_SPAWN_DUP2, stdin, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]


def start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process; None for one that is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name and may hold anything, so count from its closing bracket.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(process: Process) -> bool:
    return start_time(process.pid) == process.started


def wait_ready(processes: Sequence[Process], timeout_s: float = READY_TIMEOUT_S) -> None:
    """Wait until the log of each holds its line "ready". Raises `LabError` with the log's end for one that fails."""
    deadline = time.monotonic() + timeout_s
    for process in processes:
        while not _is_ready(process):
            if not is_alive(process):
                raise LabError(f"{process.member}: the {process.role} ended before it was ready{_end_of(process.log)}")
            if time.monotonic() > deadline:
                raise LabError(f"{process.member}: not ready after {timeout_s:g} s{_end_of(process.log)}")
            time.sleep(_POLL_S)


def _is_ready(process: Process) -> bool:
    lines = Path(process.log).read_text(errors="replace").splitlines()
    return any(line.split(maxsplit=1)[:1] == [READY] for line in lines)


def _end_of(log: str) -> str:
    """The last lines of a log as the end of a message."""
    lines = Path(log).read_text(errors="replace").splitlines()[-15:]
    return f"; the end of {log}:" + "".join(f"\n    {line}" for line in lines) if lines else f"; {log} is empty"


def end(pids: Iterable[int], grace_s: float) -> None:
    """SIGTERM, then after `grace_s` SIGKILL, and wait until all are gone."""
    handles = [handle for pid in pids if (handle := _open(pid)) is not None]
    try:
        _signal(handles, signal.SIGTERM)
        left = _wait(handles, grace_s)
        _signal(left, signal.SIGKILL)
        left = _wait(left, 10.0)
        if left:
            raise LabError(f"{len(left)} processes of the lab do not end, not even killed")
    finally:
        for handle in handles:
            os.close(handle)


def _open(pid: int) -> int | None:
    """A handle that keeps meaning this process; None when it is gone."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _signal(handles: Iterable[int], number: signal.Signals) -> None:
    for handle in handles:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)


def _wait(handles: Sequence[int], timeout_s: float) -> list[int]:
    """The handles of processes that have not ended in time."""
    left = set(handles)
    poll = select.poll()
    for handle in left:
        poll.register(handle, select.POLLIN)
    deadline = time.monotonic() + timeout_s
    while left and (rest := deadline - time.monotonic()) > 0:
        for handle, _ in poll.poll(rest * 1000):
            poll.unregister(handle)
            left.discard(handle)
    return sorted(left)
