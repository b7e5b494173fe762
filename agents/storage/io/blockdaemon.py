"""The storage daemon that shows disks as files.

daemon.sock, daemon.pid    see storagedaemon
exports/KEY                a file; what is mounted upon it, by FUSE, is the disk
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from agents.storage.io.events import Events, Kind
from agents.storage.io.mounts import lazily_unmount
from agents.storage.io.qmp import TIMEOUT_S
from agents.storage.io.storagedaemon import StorageDaemon, add, exports, remove


class BlockDaemon:
    """Disks by key, a number that no other disk of the folder ever had. From several threads. `timeout_s` limits every
    wait for an answer."""

    def __init__(self, folder: Path, timeout_s: float = TIMEOUT_S, events: Events | None = None) -> None:
        self._events = events or Events()
        self._daemon = StorageDaemon(folder, "mode block", timeout_s, events=self._events)
        self._exports = folder / "exports"
        self._exports.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def timeout_s(self) -> float:
        return self._daemon.timeout_s

    @timeout_s.setter
    def timeout_s(self, seconds: float) -> None:
        self._daemon.timeout_s = seconds

    def export(self, key: int) -> Path:
        return self._exports / str(key)

    def attach(self, key: int, disk: Path) -> Path:
        """The file that is the disk in the qcow2 file `disk`, whatever became of the daemon meanwhile."""
        target, name = self.export(key), _name(key)
        with self._daemon.running() as qmp:
            if name not in exports(qmp):
                lazily_unmount(target)
                target.touch(mode=0o600)
                file: dict[str, Any] = {"driver": "file", "filename": str(disk)}
                node = {"driver": "qcow2", "file": file, "discard": "unmap"}
                add(qmp, name, node, {"type": "fuse", "mountpoint": str(target), "writable": True})
                self._events.tell(Kind.DISK_ATTACHED, snapshot=key)
        return target

    def detach(self, key: int) -> None:
        """All that was written is in the disk's file. Safe where it is not attached, or the daemon gone."""
        with self._daemon.if_running() as qmp:
            if qmp is not None:
                remove(qmp, _name(key))
        target = self.export(key)
        lazily_unmount(target)
        target.unlink(missing_ok=True)

    def attached(self) -> frozenset[int]:
        """Keys of what is attached, or was when the daemon died. Does not ask the daemon."""
        return frozenset(int(name) for name in os.listdir(self._exports) if name.isdigit())  # noqa: PTH208

    def quit(self) -> None:
        """End it, where it runs."""
        self._daemon.quit()

    @property
    def is_there(self) -> bool:
        """It runs, or did when somebody last looked."""
        return self._daemon.is_there


def _name(key: int) -> str:
    return f"disk-{key}"
