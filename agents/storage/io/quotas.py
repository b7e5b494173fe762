"""Bounds of writable layers: a snapshot that has one is an ext4 file system of that size, in a sparse file.

    quotas/ID.ext4     the file system, mounted over the snapshot's folder as long as there is the snapshot

So a bound needs nothing of the machine's own file system, as project quotas would: a kernel and a mount option with
them, which many nodes lack. Only what is written takes room, and what is deleted is given back (discard).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Set
from pathlib import Path
from typing import Final

from agents.storage.io import mounts
from agents.storage.io.files import fsync_directory
from agents.storage.wire.errors import ImageError

_SUFFIX: Final = ".ext4"
_SEARCHED: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_JOURNALS: Final = ((1 << 30, "size=16"), (64 << 20, "size=4"))
"""Sizes in MiB from which on file systems have journals of another size than mkfs would choose."""


class Quotas:
    """Called by one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "quotas"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def make(self, key: int, place: Path, size_bytes: int) -> None:
        """Bound what the folder `place` holds, which is empty yet. Raises ImageError."""
        path = self._path(key)
        with path.open("xb") as stream:
            stream.truncate(size_bytes)
            _format(path, size_bytes)
            os.fsync(stream.fileno())
        fsync_directory(self._folder)
        self._mount(key, place)
        place.chmod(0o700)

    def remount(self, key: int, place: Path) -> None:
        """After a reboot."""
        if self._path(key).exists() and not place.is_mount():
            self._mount(key, place)

    def remove(self, key: int, place: Path) -> None:
        """Whoever still looks into it keeps it until then; it has no name any more."""
        path = self._path(key)
        if not path.exists():
            return
        if place.is_mount():
            try:
                mounts.unmount(place)
            except ImageError:
                mounts.lazily_unmount(place)
        path.unlink()

    def keys(self) -> Set[int]:
        return {int(path.stem) for path in self._folder.iterdir() if path.suffix == _SUFFIX}

    def _path(self, key: int) -> Path:
        return self._folder / f"{key}{_SUFFIX}"

    def _mount(self, key: int, place: Path) -> None:
        mounts.mount_writable(self._path(key), place)


def _format(path: Path, size_bytes: int) -> None:
    """All blocks for the container, none kept for root. A new file is zero: neither journal nor tables are written."""
    program = shutil.which("mkfs.ext4", path=_SEARCHED)
    if program is None:
        raise ImageError("a writable layer cannot be bounded: mkfs.ext4 is not installed (apt-get install e2fsprogs)")
    journal = next((("-J", option) for least, option in _JOURNALS if size_bytes >= least), ())
    command = (program, "-q", "-F", "-m", "0", "-O", "^resize_inode", *journal, "-E", "lazy_journal_init=1", str(path))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"mkfs.ext4: {done.stderr.strip() or f'exit code {done.returncode}'}")
