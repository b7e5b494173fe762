"""Snapshots that stand for layers of converted images, which were never unpacked here.

Prepare with the label containerd.io/snapshot.ref says which chain ID containerd is about to unpack. If a converted
image has it, a committed snapshot stands for it at once, and the answer is that it exists: nothing is pulled. The chain
ID of the whole image has the image's volume; those below have its lower folders, where the volume keeps layers apart,
else they are hollow. Should an image that has not been converted go on from a hollow one, its layers are fetched from
where the converted image came, into a volume of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Final

from agents.storage.io.chains import Chain, find_chain, image_of, volumes_of
from agents.storage.io.fairlock import FairLock
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.io.snapshotdb import Snapshot, SnapshotDb, content
from agents.storage.io.snapshotfiles import SnapshotFiles
from agents.storage.io.volumefiles import find_volume, remote_volume
from agents.storage.translate.modes import EROFS
from agents.storage.wire.errors import ImageError
from agents.storage.wire.snapshots import REF_LABEL, Kind, SnapshotContentError, Usage
from compiler.policy.imagenames import parse_image_name

_LOG: Final = logging.getLogger(__name__)


class RemoteLayers:
    """Part of the snapshotter: its rows, its files, and its lock, which is held for a moment at a time. Whoever holds
    `filling` knows that no volume is just being written."""

    def __init__(
        self, files: SnapshotFiles, rows: SnapshotDb, lock: FairLock, store: Path, registries: RegistryOptions
    ) -> None:
        self._files, self._db, self._lock, self._store, self._registries = files, rows, lock, store, registries
        self.filling = Lock()

    def claim(self, target: str, key: str, parent: str, labels: Mapping[str, str]) -> Snapshot | None:
        """What stands for the chain ID `target`, if a converted image has it."""
        is_to_be_had = self._is_to_be_had(target)
        with self._lock:
            chain = self._chain(target) if is_to_be_had else None
            with self._db.transaction():
                if self._db.remote(target, parent) is None and chain is not None:
                    self._insert_remote(chain, key, parent, labels)
                return self._db.remote(target, parent)

    def _is_to_be_had(self, target: str) -> bool:
        """All of the image is here, or on nodes that answer: else it is pulled, as if nobody had converted it."""
        try:
            chain = find_chain(self._store, target)
            volumes = () if chain is None else volumes_of(self._store, chain.image)
            found = [(digest, remote_volume(find_volume(self._store, digest))) for digest in volumes]
            self._files.reachability.check((digest, remote) for digest, remote in found if remote is not None)
        except ImageError as error:
            _LOG.warning("snapshot of %s is made the ordinary way: %s", target, error)
            return False
        return True

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

    def fill(self, name: str) -> None:
        """Give a hollow snapshot its content, since an image goes on from it that has not been converted. Others, which
        never become hollow, are not held up by that. So is what has a volume on another node that is not to be had, as
        long as nobody has it: then the image is what it would be if nobody had converted it."""
        lost = self._lost(name)
        if lost is None:
            return
        with self.filling:
            lost = self._lost(name)
            if lost is None:
                return
            snapshot, why = lost
            _LOG.log(logging.DEBUG if snapshot.hollow else logging.WARNING, "snapshot %s %s", snapshot.info.name, why)
            try:
                digest, folders = self._written(snapshot)
            except ImageError as error:
                raise SnapshotContentError(f"snapshot {snapshot.info.name} {why}: {error}") from error
            with self._lock, self._db.transaction():
                self._db.fill(self._db.find(snapshot.info.name), digest, folders)

    def _lost(self, name: str) -> tuple[Snapshot, str] | None:
        """The uppermost snapshot of this one and those below it whose content is not to be had, and why."""
        with self._lock:
            snapshot = self._db.find(name)
            if snapshot.hollow:
                return snapshot, "is part of a converted image; its own layers are needed now"
            line, needed = content((snapshot, *self._db.ancestors(snapshot.id))), self._db.needed()
        for one in line:
            problem = "" if one.volume is None or one.volume in needed else self._problem(one.volume)
            if problem:
                what = "is of a converted image whose volume is not to be had"
                return one, f"{what}: {problem}; its layers are needed now"
        return None

    def _problem(self, volume: str) -> str:
        """Why the volume cannot be attached now; empty for nothing."""
        with self._lock:
            remote = self._files.elsewhere(volume)
        try:
            self._files.reachability.check(() if remote is None else ((volume, remote),), within_s=0)
        except ImageError as error:
            return str(error)
        return ""

    def _written(self, snapshot: Snapshot) -> tuple[str, int]:
        chain = find_chain(self._store, snapshot.info.labels.get(REF_LABEL, ""))
        if chain is None:
            raise ImageError("the converted image that it belonged to has been removed")
        if chain.volume is not None and chain.volume != snapshot.volume:
            self._files.pin(self._store, chain.volume)
            return chain.volume, chain.folders
        from agents.storage.conversion import open_source, write_layers  # half of the agent's memory, seldom needed

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
