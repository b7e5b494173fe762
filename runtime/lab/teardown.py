"""Taking a lab away: processes, namespaces, mounts, sockets, files; only what its record names or contains."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from runtime.lab import netns, processes
from runtime.lab.errors import LabError
from runtime.lab.state import RUN, LabState, folder_of, locked, read_state, write_state

DEVICE_GRACE_S = 5.0
"""For a device to take its programs off its ports and leave."""
GUEST_GRACE_S = 1.0
"""For whatever else runs in the lab's namespaces."""


def down(lab: str, run: Path = RUN) -> bool:
    """Remove a lab; False when there is none. Raises `LabError` when something of it cannot be removed."""
    netns.require_root()
    folder = folder_of(lab, run)
    if not folder.exists():
        return False
    with locked(folder):
        state = read_state(folder)
        if state is not None:
            remove(folder, state)
        discard(folder)
    return state is not None


def remove(folder: Path, state: LabState) -> None:
    """Remove all that a record names, also where only a part exists. The folder is locked and stays."""
    namespaces = [member.namespace for member in state.members]
    _refuse_from_inside(state.lab, namespaces)
    write_state(folder, replace(state, phase="removing"))
    processes.end((p.pid for p in state.processes if processes.is_alive(p)), DEVICE_GRACE_S)
    processes.end(netns.processes_in(namespaces), GUEST_GRACE_S)
    netns.ip_batch([f"netns delete {name}" for name in namespaces if netns.exists(name)], force=True)
    for mount in mounts_below(folder):
        _unmount(mount)
    for listen in state.listens:
        if listen.startswith("unix:"):
            Path(listen.removeprefix("unix:")).unlink(missing_ok=True)


def _refuse_from_inside(lab: str, namespaces: list[str]) -> None:
    if os.getpid() in netns.processes_in(namespaces):
        raise LabError(f"this command runs inside lab '{lab}', which it would remove", hint="run it outside")


def mounts_below(folder: Path) -> list[Path]:
    """What is mounted at or below a folder, innermost first."""
    mounts: list[Path] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # proc(5): field 5 is the mount point; space, tab, newline and backslash stand there as octal escapes.
        path = Path(line.split(" ")[4].encode("latin-1").decode("unicode_escape"))
        if path.is_relative_to(folder):
            mounts.append(path)
    return mounts[::-1]


def _unmount(path: Path) -> None:
    command = [netns.tool("umount", "mount"), "--lazy", "--", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise LabError(f"{path} cannot be unmounted: {run.stderr.strip()}")


def discard(folder: Path) -> None:
    """Remove the files of a lab, and /run/turnout unless other labs, or devices outside of labs, have files there."""
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
