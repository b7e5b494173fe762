"""The files behind snapshots: a folder for each, volumes that some of them have, and where volumes are mounted.

    snapshots/ID/fs, snapshots/ID/work    what was written; overlayfs's own
    quotas/ID.ext4                        what is mounted at snapshots/ID where its size is bounded
    volumes/HEX.erofs                     hard links to the store's, which stay while a snapshot has them
    volumes/HEX.nbd                       of a volume on another node, where it is (see remotevolumes)
    attached/HEX                          the volume, mounted; for all snapshots of the node at once

What the rows do not ask for is what `sweep` takes away.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from agents.storage.io import mounts
from agents.storage.io.events import Events, Kind
from agents.storage.io.files import fsync_directory, held_bytes
from agents.storage.io.nbdtls import NbdTls
from agents.storage.io.preloading import Preloading
from agents.storage.io.quotas import Quotas
from agents.storage.io.reachability import Reachability
from agents.storage.io.remotevolumes import Ahead, RemoteVolumes
from agents.storage.io.volumefiles import (
    find_volume,
    read_trace,
    remote_path,
    remote_volume,
    volume_path,
    volume_paths,
)
from agents.storage.translate.overlaying import BELOW_ALL
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import RemoteVolume
from agents.storage.wire.snapshots import Kind as SnapshotKind
from agents.storage.wire.snapshots import Usage
from agents.storage.wire.traces import FileReads

_LOG: Final = logging.getLogger(__name__)
_PRELOAD_S: Final = 5.0
"""So long one that is to end is waited for."""
_UNREACHABLE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


class SnapshotFiles:
    def __init__(
        self,
        root: Path,
        store: Path,
        ahead: Ahead | None = None,
        events: Events | None = None,
        tls: NbdTls | None = None,
    ) -> None:
        self.root, self._store = root, store
        self._snapshots, self._volumes, self._attached = (root / name for name in ("snapshots", "volumes", "attached"))
        for folder in (root, self._snapshots, self._volumes, self._attached):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._events, self._ahead = events or Events(), ahead or Ahead()
        self._preloadings: dict[str, Preloading] = {}
        self.reachability, self._quotas = Reachability(tls), Quotas(root)
        self._remote = RemoteVolumes(
            root, store, self._ahead, events=self._events, tls=tls, reachability=self.reachability
        )

    def upper(self, key: int) -> Path:
        return self._snapshots / str(key) / "fs"

    def work(self, key: int) -> Path:
        return self._snapshots / str(key) / "work"

    def make(self, key: int, kind: SnapshotKind, parent_root: Path | None, limit_bytes: int | None = None) -> None:
        """The folder of a new snapshot; its root belongs to whom the parent's root belongs. What is written to it
        takes no more than `limit_bytes`."""
        upper = self.upper(key)
        upper.parent.mkdir(mode=0o700)
        if limit_bytes is not None:
            self._quotas.make(key, upper.parent, limit_bytes)
        upper.mkdir()
        upper.chmod(0o755)
        if kind is SnapshotKind.ACTIVE:
            self.work(key).mkdir(mode=0o711)
        if parent_root is not None:
            owner = parent_root.stat()
            os.chown(upper, owner.st_uid, owner.st_gid)
        fsync_directory(upper.parent)
        fsync_directory(self._snapshots)

    def remove(self, key: int) -> None:
        """By rm, since containers make folders deeper than Python can follow. What stays is tried again by a sweep."""
        folder = self._snapshots / str(key)
        try:
            self._quotas.remove(key, folder)
        except (ImageError, OSError) as error:
            _LOG.warning("snapshot %d is gone, but not what bounded it: %s", key, error)
            return
        command = ("rm", "-rf", "--one-file-system", str(folder))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            _LOG.warning("snapshot %d is gone, but not its folder: %s", key, done.stderr.strip())

    def remount(self, key: int) -> None:
        """What bounds the snapshot, after a reboot."""
        self._quotas.remount(key, self._snapshots / str(key))

    def usage(self, key: int) -> Usage:
        """As du counts: every inode once, in blocks of the disk."""
        seen: dict[tuple[int, int], int] = {}
        for status in _statuses(self.upper(key)):
            seen[status.st_dev, status.st_ino] = held_bytes(status)
        return Usage(size_bytes=sum(seen.values()), inodes=len(seen))

    def sync(self, key: int) -> None:
        """Put what is in the snapshot onto the disk."""
        fd = os.open(self.upper(key), os.O_RDONLY | os.O_DIRECTORY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(fd):
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
        finally:
            os.close(fd)

    def pin(self, store: Path, digest: str) -> None:
        """Keep a volume of the store whatever becomes of it there."""
        try:
            there = find_volume(store, digest)
            kept = self._volumes / there.name
            if remote_volume(there) is not None:
                kept.unlink(missing_ok=True)  # the server may have moved
            os.link(there, kept)
        except FileExistsError:
            return
        except OSError as error:
            raise ImageError(f"volume {digest} of {store} cannot be kept in {self.root}: {error.strerror}") from error
        fsync_directory(self._volumes)

    def _found(self, digest: str) -> Path:
        """The volume that is kept. In place of one on another node the store's, where it has been converted since; of
        one that is elsewhere now, that place."""
        kept = find_volume(self.root, digest)
        moved = remote_path(self._store, digest)
        if remote_volume(kept) is not None and moved.exists() and not moved.samefile(kept):
            self.pin(self._store, digest)
        if remote_volume(kept) is not None and volume_path(self._store, digest).exists():
            self.pin(self._store, digest)
            kept.unlink()
            kept = find_volume(self.root, digest)
        return kept

    def elsewhere(self, digest: str) -> RemoteVolume | None:
        """Where the volume would be read from, were it attached now; None where it is here."""
        return remote_volume(self._found(digest))

    def attach_all(self, digests: Sequence[str]) -> Mapping[str, Path]:
        """Where each is mounted, all at once: one on another node has a daemon to be started. Raises what one of them
        raises when all are done."""
        wanted = tuple(dict.fromkeys(digests))
        if len(wanted) < 2:
            return {digest: self.attach(digest) for digest in wanted}
        with ThreadPoolExecutor(len(wanted), thread_name_prefix="attach") as threads:
            return dict(zip(wanted, threads.map(self.attach, wanted), strict=True))

    def attach(self, digest: str) -> Path:
        """Where the volume is mounted, read-only: once, whoever asks. One on another node is mounted anew where the
        daemon that reads it has died."""
        target, volume = self.attached(digest), self._found(digest)
        remote = remote_volume(volume)
        read_from_daemon = digest in self._remote.attached()
        if target.is_mount() and (self._remote.has(digest) if read_from_daemon else remote is None):
            if remote is not None:
                self._remote.fill(digest, remote, target)
            return target
        target.mkdir(exist_ok=True, mode=0o700)
        begun = time.monotonic()
        if remote is not None:
            self._remote.mount(digest, remote, target)
        else:
            if read_from_daemon:
                mounts.lazily_unmount(target)
                self._remote.detach(digest)
            mounts.mount(volume, target, None)
        mounts.decompress_at_once(target)
        at = "" if remote is None else str(remote.server)
        self._events.tell(Kind.VOLUME_ATTACHED, volume=digest, at=at, seconds=time.monotonic() - begun)
        self._preload(digest, target, volume.stat().st_size if remote is None else remote.size_bytes, remote)
        return target

    def _preload(self, digest: str, target: Path, size_bytes: int, remote: RemoteVolume | None) -> None:
        """Of a volume elsewhere, behind what is read ahead of it: what is not would be in the way of containers."""
        arrivals = self._remote.arrivals(digest)
        if self._ahead.most_bytes and (remote is None or arrivals is not None):
            self._stop_preloading({digest})
            self._preloadings[digest] = Preloading(
                digest,
                target,
                lambda: self._files_read(digest, size_bytes),
                self._ahead.most_bytes,
                arrivals,
                self._events,
            )

    def _files_read(self, digest: str, size_bytes: int) -> FileReads:
        try:
            trace = read_trace(self._store, digest, size_bytes)
        except ImageError as error:
            _LOG.warning("nothing is brought into memory: %s", error)
            return ()
        return () if trace is None else trace.files

    def _stop_preloading(self, digests: Set[str]) -> list[Preloading]:
        """Those that may have files open yet."""
        ending = [self._preloadings.pop(digest) for digest in digests & self._preloadings.keys()]
        for one in ending:
            one.stop()
        return ending

    def close(self) -> None:
        """What is attached stays."""
        self._stop_preloading(set(self._preloadings))
        self._remote.close()

    def is_attached(self, digest: str) -> bool:
        return mounts.is_mounted(self.attached(digest))

    def attached(self, digest: str) -> Path:
        return self._attached / digest.removeprefix("sha256:")

    def detach_all_but(self, needed: Set[str]) -> None:
        """Unmount what no snapshot needs. One that somebody looks into stays for the next time."""
        ending = self._stop_preloading(self._preloadings.keys() - needed)
        self._detach_remote(needed)
        for one in ending:  # what it waited for in the kernel has failed by now
            one.wait(_PRELOAD_S)
        kept = {self.attached(digest) for digest in needed}
        for target in sorted(set(self._attached.iterdir()) - kept):
            try:
                while target.is_mount():
                    mounts.unmount(target)
                target.rmdir()
                self._events.tell(Kind.VOLUME_DETACHED, volume=f"sha256:{target.name}")
            except (ImageError, OSError) as error:
                _LOG.warning("%s is needed no more and stays: %s", target, error)

    def _detach_remote(self, needed: Set[str]) -> None:
        """Before they are unmounted, which would wait for reads that a server does not answer."""
        for digest in sorted(self._remote.attached() - needed):
            try:
                self._remote.detach(digest)
            except (ImageError, OSError) as error:
                _LOG.warning("volume %s of another node is needed no more and stays: %s", digest, error)

    def drop_volumes_but(self, kept: Set[str]) -> None:
        self._remote.drop_copies_but(kept)
        names = {path for digest in kept for path in volume_paths(self.root, digest)}
        for path in set(self._volumes.iterdir()) - names:
            if not (self._attached / path.stem).exists():
                path.unlink()
        with suppress(FileNotFoundError):
            shutil.rmtree(self.root / "layers")

    def strays(self, ids: Set[int]) -> tuple[int, ...]:
        """Folders without a row."""
        found = {int(path.name) for path in self._snapshots.iterdir() if path.name.isdigit()}
        return tuple(sorted((found | self._quotas.keys()) - ids))


def layer_folders(volume: Path, count: int) -> tuple[Path, ...]:
    """What overlayfs puts together of an attached volume, the topmost first: its lowest layers, or the root itself."""
    if not count:
        return (volume,)
    return (*(volume / str(number) for number in reversed(range(count))), volume / BELOW_ALL.decode())


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    """Of a folder and all in it. A container may be running in it: what goes away meanwhile is left out, and what lies
    deeper than a path can say."""
    yield folder.lstat()
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        yield entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError as error:
            if error.errno not in _UNREACHABLE:
                raise
