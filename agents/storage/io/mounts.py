"""Volumes as file systems: mounted read-only, with a writable layer over them where one is asked for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from agents.storage.io.pacing import Reads
from agents.storage.translate.erofs_compression import FEATURES, FEATURES_OFFSET
from agents.storage.translate.overlaying import BELOW_ALL
from agents.storage.wire.errors import ImageError

_EROFS: Final = Path("/sys/fs/erofs")
"""A folder for each that is mounted, by its device (Linux, ABI/testing/sysfs-fs-erofs)."""


def mount(volume: Path, target: Path, upper: Path | None) -> None:
    """Mount an EROFS file. With `upper`, an overlay lies over it whose changes are kept in that folder."""
    _mount_volume(volume, target, None if upper is None else ["."], upper)


def mount_layers(volume: Path, count: int, target: Path, upper: Path | None) -> None:
    """Mount an EROFS file that holds `count` layers side by side, and over it the overlay that puts them together."""
    lower = [str(number) for number in reversed(range(count))]
    _mount_volume(volume, target, [*lower, BELOW_ALL.decode()], upper)


def _mount_volume(volume: Path, target: Path, lower: Sequence[str] | None, upper: Path | None) -> None:
    """`lower` are folders of the volume that an overlay puts together, the topmost first."""
    if not target.is_dir():
        raise ImageError(f"{target} is no directory")
    _run("mount", "-t", "erofs", "-o", "ro", str(volume), str(target))
    if lower is None:
        return
    try:
        _mount_overlay(target.absolute(), lower, None if upper is None else upper.absolute())
    except ImageError:
        unmount(target)
        raise


def _mount_overlay(target: Path, lower: Sequence[str], upper: Path | None) -> None:
    """The lower folders are named from inside of the volume: options have one page, whatever the path of `target`."""
    options = f"lowerdir={':'.join(lower)}"
    if upper is not None:
        options += _writable(upper)
    _run("mount", "-t", "overlay", "-o", options, "overlay", str(target), folder=target)


def _writable(upper: Path) -> str:
    changes, work = upper / "upper", upper / "work"
    for folder in (changes, work):
        if any(sign in str(folder) for sign in ",:\\"):
            raise ImageError(f"{folder}: overlayfs takes no folder with a comma, a colon or a backslash in its name")
        folder.mkdir(parents=True, exist_ok=True)
    return f",upperdir={changes},workdir={work}"


def mount_over_each_other(volumes: Sequence[Path], target: Path, upper: Path | None) -> None:
    """Mount an overlay of EROFS files, the lowest first, of which each but the first holds what it changes. They are
    mounted elsewhere for a moment: the overlay keeps what it lies over."""
    if not target.is_dir():
        raise ImageError(f"{target} is no directory")
    options = _writable(upper.absolute()) if upper is not None else ""
    with TemporaryDirectory(prefix="turnout-") as name, ExitStack() as mounted:
        for number, volume in enumerate(volumes):
            place = Path(name) / str(number)
            place.mkdir()
            _run("mount", "-t", "erofs", "-o", "ro", str(volume), str(place))
            mounted.callback(_run, "umount", str(place))
        lower = ":".join(str(number) for number in reversed(range(len(volumes))))
        command = ("mount", "-t", "overlay", "-o", f"lowerdir={lower}{options}", "overlay", str(target.absolute()))
        _run(*command, folder=Path(name))


def mount_disk(disk: Path, target: Path) -> None:
    """Mount a disk that an image was converted to, read-only."""
    if not target.is_dir():
        raise ImageError(f"{target} is no directory")
    _run("mount", "-t", "ext4", "-o", "ro,loop", str(disk), str(target))


def mount_writable(disk: Path, target: Path) -> None:
    """Mount a file that holds an ext4 file system; the loop device goes with the mount, what is deleted is a hole."""
    _run("mount", "-t", "ext4", "-o", "loop,discard", str(disk), str(target))


def unmount(target: Path) -> None:
    """Take away what `mount` put there: the overlay, if any, and the volume."""
    found = _mounted_at(target)
    if not found or found[-1] not in ("erofs", "overlay", "ext4"):
        raise ImageError(f"no volume is mounted at {target}")
    layers = 2 if found[-2:] == ["erofs", "overlay"] else 1
    for _ in range(layers):
        _run("umount", str(target))


def reads_of(target: Path) -> Reads:
    """What the block device mounted there has been asked for; nothing where none is."""
    try:
        device = target.stat().st_dev
        counts = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
    except OSError:
        return Reads(done=0, waiting=0)
    return Reads(done=int(counts[0]), waiting=int(counts[8]))


def decompress_at_once(target: Path) -> None:
    """Whoever waits for a read of the EROFS mounted there decompresses it itself. By default the kernel leaves more of
    it to its workers, and where CPUs are busy a start takes longer so (docs/bench.md). Does nothing where nothing is
    compressed, and where the kernel cannot be told, before 5.17."""
    number = target.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    name = device.resolve().name
    with suppress(OSError):
        if _is_compressed(Path("/dev", name)):
            (_EROFS / name / "sync_decompress").write_text("1")


def _is_compressed(device: Path) -> bool:
    """The kernel has just read the superblock, so nothing is fetched for this."""
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return bool(int.from_bytes(os.pread(fd, 4, FEATURES_OFFSET), "little") & FEATURES)
    finally:
        os.close(fd)


def lazily_unmount(target: Path) -> None:
    """Take away whatever is mounted at the very place, also where what is behind it does not answer any more."""
    for _ in _mounted_at(target):
        _run("umount", "--lazy", str(target))


def abort(target: Path) -> None:
    """Whoever waits for the file system mounted at the very place, by FUSE, sees an error from now on."""
    for _ in _mounted_at(target):
        subprocess.run(("umount", "--force", "--lazy", str(target)), capture_output=True, check=False)


def is_mounted(target: Path) -> bool:
    """Something is mounted at the very place. Asks the kernel alone, not what is mounted, which may not answer."""
    return bool(_mounted_at(target))


def _mounted_at(target: Path) -> list[str]:
    """Types of the file systems mounted at the very place, the topmost last."""
    place = (
        str(target.resolve()).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    )
    rows = (line.split(" ") for line in Path("/proc/self/mounts").read_text().splitlines())
    return [row[2] for row in rows if row[1] == place]


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise ImageError(f"{command[0]}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout
