"""The kernel target's part of the device's folder: its BPF file system, and logs of the verifier."""

from __future__ import annotations

import logging
from pathlib import Path

from runtime.bpf.bpffs import mount_bpffs, remove_tree, unmount_bpffs
from runtime.bpf.errors import BpfError
from runtime.device.target import TargetError

LOG = logging.getLogger("turnout.device")


class StateDir:
    """Of the process that holds the folder (`runtime.device.statefolder`)."""

    def __init__(self, path: Path) -> None:
        """Mount the BPF file system. Raises `TargetError`."""
        self.path = path.absolute()
        self.pins = self.path / "bpf"
        self.verifier_logs = self.path / "verifier"
        try:
            mount_bpffs(self.pins)
        except (OSError, BpfError) as problem:
            raise TargetError(f"cannot use state directory {self.path}: {problem}") from problem

    def clear_leftovers(self) -> None:
        """Remove pins of an earlier run that nobody knows of: its pipeline ends here. Says so. Raises `TargetError`."""
        # Names with a dot are the kernel's own (maps.debug): no pin of ours can have one.
        found = [path.name for path in self.pins.iterdir() if "." not in path.name]
        if not found:
            return
        try:
            remove_tree(self.pins)
        except (OSError, BpfError) as problem:
            raise TargetError(f"cannot clear {self.pins}: {problem}") from problem
        LOG.warning(
            "an earlier run left %d pins in %s: they are removed, its pipeline and its connections end",
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
