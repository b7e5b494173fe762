"""Writable disks of snapshots: clones of an image's disk, or of another snapshot's, made ahead where that is possible.

    disks/ID.qcow2             what a snapshot has written, over what lies below
    pool/HEX.NUMBER.qcow2      clones of the volume HEX that nobody has yet
    daemon.sock, exports/ID    see blockdaemon

A clone is a file that names the one below it. One from the pool becomes a snapshot's by a new name, in one step, so it
is the one's or the other's whatever instant a process dies at.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Final

from agents.storage.io.blockdaemon import BlockDaemon
from agents.storage.io.events import Events
from agents.storage.io.files import appearing, fsync_directory, held_bytes, publish
from agents.storage.io.volumefiles import disk_path
from agents.storage.translate.qcow2 import empty_clone, virtual_size
from agents.storage.wire.errors import ImageError
from agents.storage.wire.snapshots import Usage

_LOG: Final = logging.getLogger(__name__)
AHEAD: Final = 4
"""Clones of each volume that wait to be taken."""
_SUFFIX, _PARTIAL = ".qcow2", ".part"


class Disks:
    """From several threads. Clones are made one at a time: block targets refuse two clones of one disk at once."""

    def __init__(self, root: Path, daemon: BlockDaemon | None = None, events: Events | None = None) -> None:
        self._root = root
        self._disks, self._pool = root / "disks", root / "pool"
        for folder in (self._disks, self._pool):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._daemon = daemon or BlockDaemon(root, events=events)
        self._cloning = Lock()
        self._made = 0
        self._refilling = ThreadPoolExecutor(1, thread_name_prefix="clones")

    def close(self) -> None:
        """What is attached stays, and the daemon with it."""
        self._refilling.shutdown(cancel_futures=True)

    def path(self, key: int) -> Path:
        return self._disks / f"{key}{_SUFFIX}"

    def has(self, key: int) -> bool:
        return self.path(key).exists()

    def volume(self, digest: str) -> Path | None:
        """The volume's file, if it is a disk."""
        path = disk_path(self._root, digest)
        return path if path.exists() else None

    def make(self, key: int, below: Path) -> None:
        """Give the snapshot a clone of `below`: a volume's disk or another snapshot's."""
        with self._cloning:
            ahead = self._ahead(below.stem) if below.parent != self._disks else []
            if ahead:
                ahead[0].rename(self.path(key))
                fsync_directory(self._disks)
            else:
                _write_clone(below, self.path(key))

    def refill(self, digest: str) -> None:
        """In the background, make clones of a volume until AHEAD of them are there, if it is a disk. One that cannot
        be made now is made when it is asked for, or refused then."""
        if self.volume(digest) is not None:
            self._refilling.submit(self._refilled, digest)

    def _refilled(self, digest: str) -> None:
        try:
            self._fill_pool(digest)
        except (ImageError, OSError) as error:
            _LOG.warning("no clones of %s are made ahead: %s", digest, error)

    def _fill_pool(self, digest: str) -> None:
        with self._cloning:
            below = self.volume(digest)
            if below is None:
                return
            for _ in range(AHEAD - len(self._ahead(below.stem))):
                self._made += 1
                number = f"{os.getpid()}-{self._made}"
                _write_clone(below, self._pool / f"{below.stem}.{number}{_SUFFIX}")

    def _ahead(self, stem: str) -> list[Path]:
        return sorted(self._pool.glob(f"{stem}.*{_SUFFIX}"))

    def ahead(self, digest: str) -> int | None:
        """How many clones of a volume wait to be taken; None where it is no disk."""
        below = self.volume(digest)
        return None if below is None else len(self._ahead(below.stem))

    def attached(self) -> frozenset[int]:
        return self._daemon.attached()

    def attach(self, key: int) -> Path:
        """A file that is the snapshot's disk, for a loop device."""
        return self._daemon.attach(key, self.path(key))

    def settle(self, key: int) -> None:
        """Detach, and put what was written onto the machine's own disk."""
        self._daemon.detach(key)
        fd = os.open(self.path(key), os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def usage(self, key: int) -> Usage:
        return Usage(size_bytes=held_bytes(self.path(key).stat()), inodes=1)

    def remove(self, key: int) -> None:
        """What cannot be detached at present is a stray until it can."""
        if key in self._daemon.attached():
            try:
                self._daemon.detach(key)
            except (ImageError, OSError) as error:
                _LOG.warning("disk %d is needed no more and stays attached: %s", key, error)
        self.path(key).unlink(missing_ok=True)

    def strays(self, ids: Set[int]) -> frozenset[int]:
        """Keys of disks without a row."""
        found = {int(path.stem) for path in self._disks.iterdir() if path.suffix == _SUFFIX}
        return frozenset((found | self._daemon.attached()) - ids)

    def drop_pools_but(self, volumes: Set[str]) -> None:
        """Take away clones of volumes that no snapshot has, and those that a killed process was making."""
        stems = {digest.removeprefix("sha256:") for digest in volumes}
        with self._cloning:
            for path in (*self._pool.iterdir(), *self._disks.glob(f"*{_PARTIAL}")):
                if path.suffix == _PARTIAL or path.name.partition(".")[0] not in stems:
                    path.unlink()

    def rest(self) -> None:
        """End the daemon when nothing is attached and no disk waits to be."""
        if self._daemon.is_there and not self._daemon.attached() and not any(self._pool.iterdir()):
            try:
                self._daemon.quit()
            except ImageError as error:
                _LOG.warning("the storage daemon is needed no more and stays: %s", error)


def _write_clone(below: Path, path: Path) -> None:
    with below.open("rb") as stream:
        inner = virtual_size(stream.read(512))
    size = below.stat().st_size if inner is None else inner
    content = empty_clone(size, bytes(below), b"raw" if inner is None else b"qcow2")
    partial = path.with_suffix(_PARTIAL)
    with appearing(partial) as out:
        try:
            out.write(content)
            publish(out, partial, path)
        except OSError as error:
            raise ImageError(f"{path}: no clone can be made: {error.strerror}") from error
