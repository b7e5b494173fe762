"""The snapshots of a node: overlay snapshots as containerd's own makes them, and converted images without unpacking.

An operation is one transaction, whose folder or mount is there before it is committed and removed after: what a row
says is there, and what no row says is swept at the next start, removal or Cleanup. So the process may be killed at any
instant.

What stands for layers of converted images is in `remotelayers`.

What lies on a disk (mode block) has a clone of that disk: a file, attached by a daemon, which containerd mounts. It is
attached outside of the lock, after the row is committed: a daemon that hangs keeps nobody else waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Final

from agents.storage.io.disks import Disks
from agents.storage.io.events import Events
from agents.storage.io.fairlock import FairLock
from agents.storage.io.files import only_one
from agents.storage.io.nbdtls import NbdTls
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.io.remotevolumes import Ahead
from agents.storage.io.snapshotdb import Snapshot, SnapshotDb, content
from agents.storage.io.snapshotfiles import SnapshotFiles, layer_folders
from agents.storage.io.store import Store
from agents.storage.remotelayers import RemoteLayers
from agents.storage.translate.filters import parse_filters
from agents.storage.translate.labels import check_labels, updated
from agents.storage.translate.limits import limit_of
from agents.storage.translate.snapshotmounts import disk_mounts, mounts_of
from agents.storage.volumestatus import Use, VolumeStatus, used_volumes
from agents.storage.wire.errors import ImageError
from agents.storage.wire.snapshots import (
    REF_LABEL,
    Info,
    Kind,
    Mount,
    SnapshotContentError,
    SnapshotExistsError,
    SnapshotStateError,
    Usage,
)

_LOG: Final = logging.getLogger(__name__)
_INDEX_PARAMETER: Final = Path("/sys/module/overlay/parameters/index")


class Snapshotter:
    """Methods may be called from several threads. `root` and `store` are on one file system."""

    def __init__(
        self,
        root: Path,
        store: Path,
        registries: RegistryOptions | None = None,
        disks: Disks | None = None,
        writable_bytes: int | None = None,
        ahead: Ahead | None = None,
        events: Events | None = None,
        tls: NbdTls | None = None,
    ) -> None:
        """`writable_bytes` bounds what a container writes, where no label says otherwise; `ahead` what is fetched of
        volumes on other nodes, `tls` what is shown to those of them that speak it."""
        self._files = SnapshotFiles(root, store, ahead, events, tls)
        self._disks = disks or Disks(root, events=events)
        self._alone = only_one(root / "lock", "another agent has these snapshots")
        self._writable_bytes = writable_bytes
        if store.exists():
            Store(store).close()  # whose tables may be of a version before
        self._db = SnapshotDb(root / "snapshots.db")
        self._options = ("index=off",) if _INDEX_PARAMETER.exists() else ()
        self._lock = FairLock()
        self._root, self._store = root, store
        self._remote = RemoteLayers(self._files, self._db, self._lock, store, registries or RegistryOptions())
        self._recover()

    def close(self) -> None:
        """Mounts stay, and the daemon with them: containers run on them."""
        self._disks.close()
        self._files.close()
        with self._lock:
            self._db.close()
        self._alone.close()

    def _recover(self) -> None:
        """After a kill take away what was half done; after a reboot attach what is needed."""
        self.cleanup()
        for key in sorted(self._db.ids()):
            try:
                self._files.remount(key)
            except ImageError as error:
                _LOG.warning("the writable layer of snapshot %d cannot be mounted: %s", key, error)
        for digest in sorted(self._db.volumes()):
            self._disks.refill(digest)
        for digest in sorted(self._db.needed()):
            try:
                if self._disks.volume(digest) is None:
                    self._files.attach(digest)
            except ImageError as error:
                _LOG.warning("volume %s is needed and cannot be attached: %s", digest, error)

    def prepare(self, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        """Raises SnapshotExistsError also where a converted image has what is about to be unpacked."""
        check_labels(labels)
        if target := labels.get(REF_LABEL):
            self._claim(target, key, parent, labels)
        return self._create(Kind.ACTIVE, key, parent, labels, limit_of(key, parent, labels, self._writable_bytes))

    def view(self, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        check_labels(labels)
        return self._create(Kind.VIEW, key, parent, labels)

    def _claim(self, target: str, key: str, parent: str, labels: Mapping[str, str]) -> None:
        found = self._remote.claim(target, key, parent, labels)
        if found is not None:
            if found.volume is not None:
                self._disks.refill(found.volume)
            raise SnapshotExistsError(f"target snapshot {target} exists: it belongs to a converted image")

    def _create(
        self, kind: Kind, key: str, parent: str, labels: Mapping[str, str], limit_bytes: int | None = None
    ) -> tuple[Mount, ...]:
        """A disk has a size of its own, whatever the limit is."""
        if parent:
            self._remote.fill(parent)
        created: int | None = None
        with self._lock:
            try:
                with self._db.transaction():
                    below = self._db.find(parent) if parent else None
                    created = self._db.insert(name=key, parent=below, kind=kind, labels=labels)
                    disk = None if below is None else self._disk_of(below)
                    lowers = () if disk else self._lowers(created)
                    if disk:
                        self._disks.make(created, disk)
                    else:
                        self._files.make(created, kind, lowers[0] if lowers else None, limit_bytes)
            except BaseException as error:
                self._undo(created)
                if isinstance(error, (ImageError, OSError)):
                    raise SnapshotContentError(f"snapshot {key}: {error}") from error
                raise
        return self._attached(created, kind, key) if disk else self._mounts(created, kind, lowers)

    def _attached(self, created: int, kind: Kind, key: str) -> tuple[Mount, ...]:
        """Of a new snapshot with a disk. Without it there is no snapshot either."""
        try:
            mounts = disk_mounts(kind, str(self._disks.attach(created)))
        except (ImageError, OSError) as error:
            self.remove(key)
            raise SnapshotContentError(f"snapshot {key}: {error}") from error
        self._refill_for(created)
        return mounts

    def _disk_of(self, snapshot: Snapshot) -> Path | None:
        """The disk that has what is in it and in all its parents, if that is how they are kept."""
        if snapshot.volume is not None:
            return self._disks.volume(snapshot.volume)
        return self._disks.path(snapshot.id) if self._disks.has(snapshot.id) else None

    def _refill_for(self, key: int) -> None:
        with self._lock:
            volume = next((one.volume for one in self._db.ancestors(key) if one.volume is not None), None)
        if volume is not None:
            self._disks.refill(volume)

    def _undo(self, created: int | None) -> None:
        if created is not None:
            self._disks.remove(created)
            self._files.remove(created)
            self._files.detach_all_but(self._db.needed())

    def _lowers(self, key: int) -> tuple[Path, ...]:
        """Folders of what lies below, the nearest first; a volume has all that is below itself, and is attached."""
        below = tuple(content(self._db.ancestors(key)))
        attached = self._files.attach_all([one.volume for one in below if one.volume is not None])
        lowers: list[Path] = []
        for ancestor in below:
            if ancestor.volume is not None:
                lowers += layer_folders(attached[ancestor.volume], max(0, ancestor.folders))
            elif not ancestor.hollow:
                lowers.append(self._files.upper(ancestor.id))
        return tuple(lowers)

    def _mounts(self, key: int, kind: Kind, lowers: Sequence[Path]) -> tuple[Mount, ...]:
        upper, work = str(self._files.upper(key)), str(self._files.work(key))
        return mounts_of(kind, upper, work, [str(lower) for lower in lowers], self._options)

    def mounts(self, key: str) -> tuple[Mount, ...]:
        try:
            return self._mounts_again(key)
        except (ImageError, OSError) as error:
            raise SnapshotContentError(f"snapshot {key}: {error}") from error

    def _mounts_again(self, key: str) -> tuple[Mount, ...]:
        with self._lock:
            snapshot = self._db.find(key)
            if snapshot.info.kind is Kind.COMMITTED:
                raise SnapshotStateError(f"snapshot {key} is committed; only active ones and views have mounts")
            if not self._disks.has(snapshot.id):
                return self._mounts(snapshot.id, snapshot.info.kind, self._lowers(snapshot.id))
        return disk_mounts(snapshot.info.kind, str(self._disks.attach(snapshot.id)))

    def commit(self, name: str, key: str, labels: Mapping[str, str]) -> None:
        """What was written is on the disk before it counts as committed."""
        check_labels(labels)
        with self._lock:
            active = self._db.find(key)
        usage = Usage()
        if active.info.kind is Kind.ACTIVE:
            usage = self._usage(active.id)
            self._settle(active.id, key)
        with self._lock, self._db.transaction():
            self._db.commit(self._db.find(key), name, labels, usage)
        self._release()

    def _settle(self, key: int, name: str) -> None:
        try:
            if self._disks.has(key):
                self._disks.settle(key)
            else:
                self._files.sync(key)
        except (ImageError, OSError) as error:
            raise SnapshotContentError(f"snapshot {name}: {error}") from error

    def _usage(self, key: int) -> Usage:
        return self._disks.usage(key) if self._disks.has(key) else self._files.usage(key)

    def remove(self, key: str) -> None:
        with self._lock, self._db.transaction():
            snapshot = self._db.find(key)
            self._db.remove(snapshot)
        self._disks.remove(snapshot.id)
        self._files.remove(snapshot.id)
        self._release()

    def stat(self, key: str) -> Info:
        with self._lock:
            return self._db.find(key).info

    def update(self, name: str, labels: Mapping[str, str], paths: Sequence[str]) -> Info:
        """Set all labels, or those that a path names (`labels.KEY`); a label set to nothing goes."""
        check_labels(labels)
        with self._lock, self._db.transaction():
            snapshot = self._db.find(name)
            kept = dict(snapshot.info.labels)
            for path in paths or ("labels",):
                kept = updated(kept, labels, path, name)
            self._db.relabel(snapshot, kept)
            return self._db.find(name).info

    def infos(self, filters: Sequence[str]) -> tuple[Info, ...]:
        """Those that any of the filters lets through, by name."""
        matches = parse_filters(filters)
        with self._lock:
            found = self._db.all()
        return tuple(snapshot.info for snapshot in found if matches(snapshot.info))

    def usage(self, key: str) -> Usage:
        with self._lock:
            snapshot = self._db.find(key)
        return self._usage(snapshot.id) if snapshot.info.kind is Kind.ACTIVE else snapshot.usage

    def volumes(self) -> tuple[VolumeStatus, ...]:
        """All of the store, and all that snapshots have. Asks no daemon and no other node."""
        with self._lock:
            holders = self._db.holders()
        disks = self._disks.attached()
        uses = {digest: self._use(digest, of, disks) for digest, of in holders.items()}
        return used_volumes(self._store, self._root, uses)

    def counts(self) -> dict[Kind, int]:
        """How many snapshots there are of each kind."""
        with self._lock:
            return self._db.counts()

    def _use(self, digest: str, holders: Mapping[int, str], disks: Set[int]) -> Use:
        """`disks` are the snapshots whose disks are attached."""
        pool = self._disks.ahead(digest)
        attached = self._files.is_attached(digest) or (pool is not None and not disks.isdisjoint(holders))
        return Use(attached=attached, pool=pool, containers=tuple(holders.values()))

    def cleanup(self) -> None:
        """Take away what no snapshot has or needs."""
        with self._lock:
            strays = self._files.strays(self._db.ids())
            disks = self._disks.strays(self._db.ids())
        for key in strays:
            self._files.remove(key)
        for key in disks:
            self._disks.remove(key)
        self._release()

    def _release(self) -> None:
        """Detach and drop volumes that nobody has any more; what is just being written is not among them."""
        idle = self._remote.filling.acquire(blocking=False)
        try:
            with self._lock:
                self._files.detach_all_but(self._db.needed())
                self._disks.drop_pools_but(self._db.volumes())
                if idle:
                    self._files.drop_volumes_but(self._db.volumes())
        finally:
            if idle:
                self._remote.filling.release()
        self._disks.rest()
