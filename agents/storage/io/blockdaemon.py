"""qemu-storage-daemon, which shows disks as files: started when the first is needed, asked over QMP.

It is a process of its own, so that what is attached stays when the agent ends or dies. Which disks are attached is
what the daemon says, at each question; nothing of it is remembered here.

    daemon.sock, daemon.pid
    exports/KEY                a file; what is mounted upon it, by FUSE, is the disk
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

from agents.storage.io.mounts import lazily_unmount
from agents.storage.io.qmp import TIMEOUT_S, DaemonGoneError, Qmp
from agents.storage.wire.errors import ImageError

PROGRAM: Final = "qemu-storage-daemon"
_DELETED: Final = "BLOCK_EXPORT_DELETED"


class BlockDaemon:
    """Disks by key, a number that no other disk of the folder ever had. From several threads. `timeout_s` limits every
    wait for an answer."""

    def __init__(self, folder: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._socket, self._pid, self._exports = (folder / name for name in ("daemon.sock", "daemon.pid", "exports"))
        self.timeout_s = timeout_s
        self._lock = Lock()
        self._exports.mkdir(parents=True, exist_ok=True, mode=0o700)

    def export(self, key: int) -> Path:
        return self._exports / str(key)

    def attach(self, key: int, disk: Path) -> Path:
        """The file that is the disk in the qcow2 file `disk`, whatever became of the daemon meanwhile."""
        target = self.export(key)
        name = _name(key)
        with self._lock, self._running() as qmp:
            if name not in _exports(qmp):
                lazily_unmount(target)
                target.touch(mode=0o600)
                self._add(qmp, name, disk, target)
        return target

    def _add(self, qmp: Qmp, name: str, disk: Path, target: Path) -> None:
        if name not in _nodes(qmp):
            file = {"driver": "file", "filename": str(disk)}
            qmp.execute("blockdev-add", {"driver": "qcow2", "node-name": name, "file": file, "discard": "unmap"})
        export = {"type": "fuse", "id": name, "node-name": name, "mountpoint": str(target), "writable": True}
        try:
            qmp.execute("block-export-add", export)
        except DaemonGoneError:
            raise
        except ImageError:
            qmp.execute("blockdev-del", {"node-name": name})
            raise

    def detach(self, key: int) -> None:
        """All that was written is in the disk's file. Safe where it is not attached, or the daemon gone."""
        name = _name(key)
        with self._lock:
            with suppress(DaemonGoneError), Qmp(self._socket, self.timeout_s) as qmp:
                if name in _exports(qmp):
                    qmp.execute("block-export-del", {"id": name, "mode": "hard"})
                    qmp.wait(_DELETED, name)
                if name in _nodes(qmp):
                    qmp.execute("blockdev-del", {"node-name": name})
            target = self.export(key)
            lazily_unmount(target)
            target.unlink(missing_ok=True)

    def attached(self) -> frozenset[int]:
        """Keys of what is attached, or was when the daemon died. Does not ask the daemon."""
        return frozenset(int(name) for name in os.listdir(self._exports) if name.isdigit())  # noqa: PTH208

    def quit(self) -> None:
        """End it, where it runs."""
        with self._lock:
            with suppress(DaemonGoneError), Qmp(self._socket, self.timeout_s) as qmp:
                qmp.execute("quit")
            for path in (self._socket, self._pid):
                path.unlink(missing_ok=True)

    @property
    def is_there(self) -> bool:
        """It runs, or did when somebody last looked."""
        return self._socket.exists()

    def _running(self) -> Qmp:
        try:
            return Qmp(self._socket, self.timeout_s)
        except DaemonGoneError:
            self._start()
            return Qmp(self._socket, self.timeout_s)

    def _start(self) -> None:
        """It is in the background once it listens."""
        self._socket.unlink(missing_ok=True)
        socket = f"socket,id=qmp,path={str(self._socket).replace(',', ',,')},server=on,wait=off"
        command = (PROGRAM, "--daemonize", "--pidfile", str(self._pid), "--chardev", socket, "--monitor", "chardev=qmp")
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=self.timeout_s, start_new_session=True
            )
        except FileNotFoundError as error:
            raise ImageError(f"{PROGRAM} is not installed; mode block needs it") from error
        except subprocess.TimeoutExpired as error:
            raise ImageError(f"{PROGRAM} does not start within {self.timeout_s:g} s") from error
        if done.returncode:
            raise ImageError(f"{PROGRAM}: {done.stderr.strip() or f'exit code {done.returncode}'}")


def _name(key: int) -> str:
    return f"disk-{key}"


def _exports(qmp: Qmp) -> frozenset[str]:
    found: list[dict[str, Any]] = qmp.execute("query-block-exports")
    return frozenset(str(export["id"]) for export in found)


def _nodes(qmp: Qmp) -> frozenset[str]:
    found: list[dict[str, Any]] = qmp.execute("query-named-block-nodes", {"flat": True})
    return frozenset(str(node["node-name"]) for node in found)
