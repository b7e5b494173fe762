"""The device's folder: a lock that says that a device runs, its BPF file system, and what an earlier run left there."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from runtime.bpf.bpffs import mount_bpffs, remove_tree, unmount_bpffs
from runtime.bpf.errors import BpfError
from runtime.device.target import TargetError

LOG = logging.getLogger("turnout.device")


class StateDir:
    """Held by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Make and lock the folder, mount its BPF file system. Raises `TargetError`."""
        self.path = path.absolute()
        self.pins = self.path / "bpf"
        self.verifier_logs = self.path / "verifier"
        self._lock = -1
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = self._locked()
            mount_bpffs(self.pins)
        except (OSError, BpfError) as problem:
            self.close()
            raise TargetError(f"cannot use state directory {self.path}: {problem}") from problem

    def clear_leftovers(self) -> None:
        """Remove pins of an earlier run: its pipeline ends here. Says so. Raises `TargetError`."""
        # Names with a dot are the kernel's own (maps.debug): no pin of ours can have one.
        found = [path.name for path in self.pins.iterdir() if "." not in path.name]
        if not found:
            return
        try:
            remove_tree(self.pins)
        except (OSError, BpfError) as problem:
            raise TargetError(f"cannot clear {self.pins}: {problem}") from problem
        LOG.warning(
            "an earlier run left %d pins in %s: they are removed, its pipeline and its connections end; "
            "the device starts empty",
            len(found),
            self.pins,
        )

    def remove_pins(self) -> None:
        """Take everything pinned away, and the BPF file system with it. Raises `TargetError`."""
        try:
            remove_tree(self.pins)
            unmount_bpffs(self.pins)
        except (OSError, BpfError) as problem:
            raise TargetError(f"cannot remove {self.pins}: {problem}") from problem

    def close(self) -> None:
        """Let another process have the folder; twice is fine."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _locked(self) -> int:
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            os.close(fd)
            raise TargetError(f"state directory {self.path} is in use: another device runs with it") from problem
        return fd
