"""qemu-storage-daemon as a process of its own, which outlives the agent: started when it is needed, asked over QMP.

    FOLDER/daemon.sock, FOLDER/daemon.pid

What it has is what it says, at each question. Nothing of it is remembered here.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from threading import Lock
from typing import Any, Final, cast

from agents.storage.io.events import Events, Kind
from agents.storage.io.qmp import TIMEOUT_S, DaemonGoneError, Qmp
from agents.storage.wire.errors import ImageError

PROGRAM: Final = "qemu-storage-daemon"
_DELETED: Final = "BLOCK_EXPORT_DELETED"
_AIO: Final = "aio"
_IO_URING: Final = "io_uring"


class StorageDaemon:
    """From several threads, one question at a time. `timeout_s` limits every wait for an answer; `purpose` says what
    cannot be had without the program."""

    def __init__(
        self,
        folder: Path,
        purpose: str,
        timeout_s: float = TIMEOUT_S,
        options: Sequence[str] = (),
        events: Events | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """`descriptors` are open files that `options` name by their numbers; they must be open when it is started."""
        self._options, self._descriptors, self._events = tuple(options), tuple(descriptors), events or Events()
        self._socket, self._pid = folder / "daemon.sock", folder / "daemon.pid"
        self._purpose, self.timeout_s = purpose, timeout_s
        self._lock = Lock()

    @contextmanager
    def running(self) -> Generator[Qmp]:
        """A conversation with it, which is started if it does not run."""
        with self._lock, self._started() as qmp:
            yield qmp

    @contextmanager
    def if_running(self) -> Generator[Qmp | None]:
        """A conversation with it, or None where it does not run. One that dies meanwhile ends the block."""
        with self._lock, suppress(DaemonGoneError):
            try:
                qmp = Qmp(self._socket, self.timeout_s)
            except DaemonGoneError:
                yield None
                return
            with qmp:
                yield qmp

    def quit(self) -> None:
        """End it, where it runs; what it listened at is free when this returns."""
        with self._process() as process:
            with self.if_running() as qmp:
                if qmp is not None:
                    qmp.execute("quit")
            self._wait(process)
        self._forget()

    def kill(self) -> None:
        """End it at once, whatever it waits for. Only where nothing can be lost by that."""
        with self._process() as process:
            if process is not None:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(process, signal.SIGKILL)
            self._wait(process)
        self._forget()

    @contextmanager
    def _process(self) -> Generator[int | None]:
        """A descriptor of the daemon's process; None where it is gone. A number that another process has by now is not
        taken for it."""
        try:
            number = int(self._pid.read_text())
            process = os.pidfd_open(number)
        except (FileNotFoundError, ProcessLookupError, ValueError):
            yield None
            return
        try:
            yield process if str(self._socket).encode() in _command_line(number) else None
        finally:
            os.close(process)

    def _wait(self, process: int | None) -> None:
        if process is not None:
            select([process], [], [], self.timeout_s)

    def _forget(self) -> None:
        for path in (self._socket, self._pid):
            path.unlink(missing_ok=True)

    @property
    def is_there(self) -> bool:
        """It runs, or did when somebody last looked."""
        return self._socket.exists()

    def _started(self) -> Qmp:
        try:
            return Qmp(self._socket, self.timeout_s)
        except DaemonGoneError:
            self._start()
            return Qmp(self._socket, self.timeout_s)

    def _start(self) -> None:
        """It is in the background once it listens. One that was ended has left no number."""
        died = self._pid.exists()
        self._socket.unlink(missing_ok=True)
        socket = f"socket,id=qmp,path={str(self._socket).replace(',', ',,')},server=on,wait=off"
        command = (
            PROGRAM,
            "--daemonize",
            "--pidfile",
            str(self._pid),
            "--chardev",
            socket,
            "--monitor",
            "chardev=qmp",
            *self._options,
        )
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=self.timeout_s,
                start_new_session=True,
                pass_fds=self._descriptors,
            )
        except FileNotFoundError as error:
            raise ImageError(f"{PROGRAM} is not installed; {self._purpose} needs it") from error
        except subprocess.TimeoutExpired as error:
            raise ImageError(f"{PROGRAM} does not start within {self.timeout_s:g} s") from error
        if done.returncode:
            raise ImageError(f"{PROGRAM}: {done.stderr.strip() or f'exit code {done.returncode}'}")
        self._events.tell(Kind.DAEMON_STARTED, purpose=self._purpose, reason="died" if died else "needed")


def _command_line(number: int) -> bytes:
    """Empty where the process is gone, or going."""
    try:
        return (Path("/proc") / str(number) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def exports(qmp: Qmp) -> frozenset[str]:
    found: list[dict[str, Any]] = qmp.execute("query-block-exports")
    return frozenset(str(export["id"]) for export in found)


def nodes(qmp: Qmp) -> frozenset[str]:
    found: list[dict[str, Any]] = qmp.execute("query-named-block-nodes", {"flat": True})
    return frozenset(str(node["node-name"]) for node in found)


def add(qmp: Qmp, name: str, node: dict[str, Any], export: dict[str, Any]) -> None:
    """A node and an export of it, both of that name, of 31 characters at most. Where the export cannot be had there is
    no node either."""
    if name not in nodes(qmp):
        _add_node(qmp, {"node-name": name, **node})
    try:
        qmp.execute("block-export-add", {"id": name, "node-name": name, **export})
    except DaemonGoneError:
        raise
    except ImageError:
        qmp.execute("blockdev-del", {"node-name": name})
        raise


def file_node(path: Path) -> dict[str, Any]:
    """A file whose reads and writes cost no thread's turn each, where io_uring is to be had."""
    return {"driver": "file", "filename": str(path), _AIO: _IO_URING}


def _add_node(qmp: Qmp, node: dict[str, Any]) -> None:
    """Without io_uring where the daemon was built without it, or the kernel does not let it (io_uring_disabled)."""
    try:
        qmp.execute("blockdev-add", node)
    except DaemonGoneError:
        raise
    except ImageError as error:
        if _IO_URING not in str(error):
            raise
        qmp.execute("blockdev-add", _by_threads(node))


def _by_threads(node: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in node.items() if (name, value) != (_AIO, _IO_URING)}
    inner = {name: cast("dict[str, Any]", value) for name, value in kept.items() if isinstance(value, dict)}
    return {**kept, **{name: _by_threads(value) for name, value in inner.items()}}


def remove(qmp: Qmp, name: str) -> None:
    """Both of them; whoever uses the export sees errors. What is not there is gone already."""
    if name in exports(qmp):
        qmp.execute("block-export-del", {"id": name, "mode": "hard"})
        qmp.wait(_DELETED, name)
    if name in nodes(qmp):
        qmp.execute("blockdev-del", {"node-name": name})


def volume_id(name: str) -> str:
    """What a volume is to the daemon, by its digest in hexadecimal: that would be too long."""
    return f"v{name[:30]}"
