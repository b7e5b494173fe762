"""What the kernel must mount for containers from images: volumes, overlays over them, and bounded writable layers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.doctor.findings import Finding, Subject

FILESYSTEMS: Final = Path("/proc/filesystems")
LOOP_CONTROL: Final = Path("/dev/loop-control")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    name: str
    disables: str
    option: str


KINDS: Final = (
    FileSystem(
        name="erofs",
        disables="containers from volumes, modes erofs and overlayfs",
        option="CONFIG_EROFS_FS, and CONFIG_EROFS_FS_ZIP for compressed ones",
    ),
    FileSystem(name="overlay", disables="containers, but for those of mode block", option="CONFIG_OVERLAY_FS"),
    FileSystem(name="ext4", disables="mode block, and bounds of what containers write", option="CONFIG_EXT4_FS"),
)


def filesystem_findings(
    known: Path = FILESYSTEMS, control: Path = LOOP_CONTROL, modules: Path | None = None
) -> tuple[Finding, ...]:
    """None of them is needed: a DPU, or a machine without containers, does without."""
    names = {line.split()[-1] for line in known.read_text().splitlines() if line}
    return (*(_finding(kind, names, modules or _modules()) for kind in KINDS), loop_finding(control))


def _finding(kind: FileSystem, names: set[str], modules: Path) -> Finding:
    """A module that nothing has needed yet is not among the names, and is loaded by the first mount."""
    module = next(modules.glob(f"kernel/fs/*/{kind.name}.ko*"), None)
    detail = "built in or loaded" if kind.name in names else str(module or "not known to this kernel")
    return Finding(
        subject=Subject.KERNEL,
        name=f"{kind.name} file system",
        present=kind.name in names or module is not None,
        needed=False,
        detail=detail,
        disables=kind.disables,
        remedy=kind.option,
    )


def _modules() -> Path:
    return Path("/lib/modules") / os.uname().release


def loop_finding(control: Path = LOOP_CONTROL) -> Finding:
    return Finding(
        subject=Subject.KERNEL,
        name="loop devices",
        present=control.exists(),
        needed=False,
        detail=str(control) if control.exists() else f"no {control}",
        disables="mode block, and bounds of what containers write (turnout agent storage --writable-size)",
        remedy="modprobe loop; CONFIG_BLK_DEV_LOOP",
    )
