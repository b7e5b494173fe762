"""The snapshots of a node: overlay snapshots as containerd's own makes them, and converted images without unpacking.

An operation is one transaction, whose folder or mount is there before it is committed and removed after: what a row
says is there, and what no row says is swept at the next start, removal or Cleanup. So the process may be killed at any
instant.

Prepare with the label containerd.io/snapshot.ref says which chain ID containerd is about to unpack. If a converted
image has it, a committed snapshot stands for it at once, and the answer is that it exists: nothing is pulled. The chain
ID of the whole image has the image's volume; those below have its lower folders, where the volume keeps layers apart,
else they are hollow. Should an image that has not been converted go on from a hollow one, its layers are fetched from
where the converted image came, into a volume of their own.

What lies on a disk (mode block) has a clone of that disk: a file, attached by a daemon, which containerd mounts. It is
attached outside of the lock, after the row is committed: a daemon that hangs keeps nobody else waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from agents.storage.conversion import open_source, write_layers
from agents.storage.io.chains import CHANGES, Chain, find_chain, image_of
from agents.storage.io.disks import Disks
from agents.storage.io.files import only_one
from agents.storage.io.registries import RegistryOptions
from agents.storage.io.snapshotdb import Snapshot, SnapshotDb
from agents.storage.io.snapshotfiles import SnapshotFiles, layer_folders
from agents.storage.io.store import Store
from agents.storage.translate.filters import parse_filters
from agents.storage.translate.labels import check_labels, updated
from agents.storage.translate.modes import EROFS
from agents.storage.translate.snapshotmounts import disk_mounts, mounts_of
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
from compiler.policy.imagenames import parse_image_name

_LOG: Final = logging.getLogger(__name__)
_INDEX_PARAMETER: Final = Path("/sys/module/overlay/parameters/index")


class Snapshotter:
    """Methods may be called from several threads. `root` and `store` are on one file system."""

    def __init__(
        self, root: Path, store: Path, registries: RegistryOptions | None = None, disks: Disks | None = None
    ) -> None:
        self._files = SnapshotFiles(root)
        self._disks = disks or Disks(root)
        self._alone = only_one(root / "lock", "another agent has these snapshots")
        self._store = store
        self._registries = registries or RegistryOptions()
        if store.exists():
            Store(store).close()  # whose tables may be of a version before
        self._db = SnapshotDb(root / "snapshots.db")
        self._options = ("index=off",) if _INDEX_PARAMETER.exists() else ()
        self._lock = Lock()
        self._filling = Lock()
        self._recover()

    def close(self) -> None:
        """Mounts stay, and the daemon with them: containers run on them."""
        self._disks.close()
        with self._lock:
            self._db.close()
        self._alone.close()

    def _recover(self) -> None:
        """After a kill take away what was half done; after a reboot attach what is needed."""
        self.cleanup()
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
        return self._create(Kind.ACTIVE, key, parent, labels)

    def view(self, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        check_labels(labels)
        return self._create(Kind.VIEW, key, parent, labels)

    def _claim(self, target: str, key: str, parent: str, labels: Mapping[str, str]) -> None:
        with self._lock:
            chain = self._chain(target)
            with self._db.transaction():
                if self._db.remote(target, parent) is None and chain is not None:
                    self._insert_remote(chain, key, parent, labels)
                found = self._db.remote(target, parent)
        if found is not None:
            if found.volume is not None:
                self._disks.refill(found.volume)
            raise SnapshotExistsError(f"target snapshot {target} exists: it belongs to a converted image")

    def _chain(self, target: str) -> Chain | None:
        """A store that cannot be read must not keep images from being pulled the ordinary way."""
        try:
            chain = find_chain(self._store, target)
            if chain is not None and chain.volume is not None:
                self._files.pin(self._store, chain.volume)
        except ImageError as error:
            _LOG.warning("snapshot of %s is made the ordinary way: %s", target, error)
            return None
        return chain

    def _insert_remote(self, chain: Chain, key: str, parent: str, labels: Mapping[str, str]) -> None:
        """Nothing where the parent is not what lies below this chain, or the key is taken."""
        below = self._db.find(parent) if parent else None
        if (below.info.labels.get(REF_LABEL, "") if below else "") != chain.parent or self._db.has(key):
            return
        if below is not None:
            self._fill_below(below, chain)
        self._db.insert(
            name=chain.id if not self._db.has(chain.id) else key,
            parent=below,
            kind=Kind.COMMITTED,
            labels=labels,
            usage=Usage(size_bytes=chain.size_bytes, inodes=0 if chain.volume is None else 1),
            volume=chain.volume,
            folders=chain.folders,
            hollow=chain.volume is None,
        )

    def _fill_below(self, parent: Snapshot, chain: Chain) -> None:
        """What a volume of changes lies over must not be hollow, as it may be if it came with another image."""
        line = (parent, *self._db.ancestors(parent.id))
        for below in chain.below:
            for snapshot in line[chain.layers - 1 - below.layers :][:1]:
                if snapshot.hollow and below.volume is not None:
                    self._files.pin(self._store, below.volume)
                    self._db.fill(snapshot, below.volume, below.folders)

    def _create(self, kind: Kind, key: str, parent: str, labels: Mapping[str, str]) -> tuple[Mount, ...]:
        if parent:
            self._fill(parent)
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
                        self._files.make(created, kind, lowers[0] if lowers else None)
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
        lowers: list[Path] = []
        for ancestor in self._db.ancestors(key):
            if ancestor.volume is None:
                lowers += [] if ancestor.hollow else [self._files.upper(ancestor.id)]
                continue
            attached = self._files.attach(ancestor.volume)
            if ancestor.folders != CHANGES:
                return (*lowers, *layer_folders(attached, ancestor.folders))
            lowers.append(attached)
        return tuple(lowers)

    def _mounts(self, key: int, kind: Kind, lowers: Sequence[Path]) -> tuple[Mount, ...]:
        upper, work = str(self._files.upper(key)), str(self._files.work(key))
        return mounts_of(kind, upper, work, [str(lower) for lower in lowers], self._options)

    def _fill(self, name: str) -> None:
        """Give a hollow snapshot its content, since an image goes on from it that has not been converted."""
        with self._filling:
            with self._lock:
                snapshot = self._db.find(name)
            if not snapshot.hollow:
                return
            try:
                digest, folders = self._written(snapshot)
            except ImageError as error:
                raise SnapshotContentError(
                    f"snapshot {name} is part of a converted image; its own layers are needed now: {error}"
                ) from error
            with self._lock, self._db.transaction():
                self._db.fill(self._db.find(name), digest, folders)

    def _written(self, snapshot: Snapshot) -> tuple[str, int]:
        chain = find_chain(self._store, snapshot.info.labels.get(REF_LABEL, ""))
        if chain is None:
            raise ImageError("the converted image that it belonged to has been removed")
        if chain.volume is not None:
            self._files.pin(self._store, chain.volume)
            return chain.volume, chain.folders
        image, names = image_of(self._store, chain.image)
        problems: list[str] = []
        for name in names:
            source = open_source(parse_image_name(name), self._registries)
            try:
                return write_layers(source, image.layers[: chain.layers], EROFS, self._files.root).digest, 0
            except ImageError as error:
                problems.append(f"{name}: {error}")
            finally:
                source.close()
        raise ImageError("; ".join(problems) or "the converted image has no name to fetch them by")

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
        idle = self._filling.acquire(blocking=False)
        try:
            with self._lock:
                self._files.detach_all_but(self._db.needed())
                self._disks.drop_pools_but(self._db.volumes())
                if idle:
                    self._files.drop_volumes_but(self._db.volumes())
        finally:
            if idle:
                self._filling.release()
        self._disks.rest()
