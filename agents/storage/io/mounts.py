"""Volumes as file systems: mounted read-only, with a writable layer over them where one is asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from agents.storage.wire.errors import ImageError


def mount(volume: Path, target: Path, upper: Path | None) -> None:
    """Mount an EROFS file. With `upper`, an overlay lies over it whose changes are kept in that folder."""
    if not target.is_dir():
        raise ImageError(f"{target} is no directory")
    _run("mount", "-t", "erofs", "-o", "ro", str(volume), str(target))
    if upper is None:
        return
    try:
        _mount_overlay(target, upper)
    except ImageError:
        unmount(target)
        raise


def _mount_overlay(target: Path, upper: Path) -> None:
    changes, work = upper / "upper", upper / "work"
    for folder in (changes, work):
        if any(sign in str(folder) for sign in ",:\\"):
            raise ImageError(f"{folder}: overlayfs takes no folder with a comma, a colon or a backslash in its name")
        folder.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={_escaped(target)},upperdir={changes},workdir={work}"
    _run("mount", "-t", "overlay", "-o", options, "overlay", str(target))


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def unmount(target: Path) -> None:
    """Take away what `mount` put there: the overlay, if any, and the volume."""
    found = _mounted_at(target)
    if not found or found[-1] not in ("erofs", "overlay"):
        raise ImageError(f"no volume is mounted at {target}")
    layers = 2 if found[-2:] == ["erofs", "overlay"] else 1
    for _ in range(layers):
        _run("umount", str(target))


def _mounted_at(target: Path) -> list[str]:
    """Types of the file systems mounted at the very place, the topmost last."""
    place = (
        str(target.resolve()).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    )
    rows = (line.split(" ") for line in Path("/proc/self/mounts").read_text().splitlines())
    return [row[2] for row in rows if row[1] == place]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{command[0]}: {done.stderr.strip() or f'exit code {done.returncode}'}")
