"""What becomes of volumes on a node: where they are, how much of each is here, and who has them.

What the store says is for everybody (`turnout image volumes`); who uses a volume only the agent knows, which answers
`turnout show volumes` and metrics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agents.storage.io.localcopies import progress
from agents.storage.io.store import Store
from agents.storage.io.volumefiles import find_volume, read_trace, remote_volume
from agents.storage.wire.errors import ImageError

HERE = "this node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Of a volume by snapshots. `attached`: it is mounted, or a clone of it shown. `pool`: clones that wait to be
    taken, None of what is no disk. `containers`: keys of the active snapshots and views above it."""

    attached: bool
    pool: int | None
    containers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeStatus:
    """`here` of `size` bytes are on this node. `role`: what it is to images; `images`: names of those that have it.
    Without an image it is only kept for snapshots."""

    volume: str
    role: str
    size: int
    here: int
    at: str
    traced: int
    images: tuple[str, ...] = ()
    use: Use | None = None


def stored_volumes(store: Store, root: Path) -> tuple[VolumeStatus, ...]:
    """Of a store, and how far copies below the snapshotter's `root` are."""
    return _stored(store, progress(root))


def _stored(store: Store, copies: Mapping[str, int]) -> tuple[VolumeStatus, ...]:
    roles, names = dict[str, set[str]](), dict[str, set[str]]()
    for image in store.images():
        for volume in image.volumes:
            roles.setdefault(volume.digest, set()).add(volume.role)
            names.setdefault(volume.digest, set()).update(image.names or (image.manifest_digest,))
    return tuple(
        replace(
            _status(store.folder, digest, size, copies),
            role=", ".join(sorted(roles.get(digest, ()))),
            images=tuple(sorted(names.get(digest, ()))),
        )
        for digest, size in store.volume_sizes()
    )


def used_volumes(store: Path, root: Path, uses: Mapping[str, Use]) -> tuple[VolumeStatus, ...]:
    """All of the store, and those that it has no more while snapshots do."""
    found, copies = tuple[VolumeStatus, ...](), progress(root)
    if store.exists():
        opened = Store(store)
        try:
            found = _stored(opened, copies)
        finally:
            opened.close()
    left = sorted(set(uses) - {one.volume for one in found})
    found = (*found, *(_status(root, digest, None, copies) for digest in left))
    idle = Use(attached=False, pool=None, containers=())
    return tuple(replace(one, use=uses.get(one.volume, idle)) for one in found)


def _status(folder: Path, digest: str, size: int | None, copies: Mapping[str, int]) -> VolumeStatus:
    """Where the store does not say how large it is, its file does."""
    path = find_volume(folder, digest)
    remote = remote_volume(path)
    if size is None:
        size = remote.size_bytes if remote is not None else path.stat().st_size if path.exists() else 0
    try:
        trace = read_trace(folder, digest, size)
    except ImageError:
        trace = None
    return VolumeStatus(
        volume=digest,
        role="",
        size=size,
        here=copies.get(digest, 0) if remote is not None else size if path.exists() else 0,
        at=HERE if remote is None else str(remote.server),
        traced=0 if trace is None else trace.read_bytes,
    )


def volumes_to_json(volumes: tuple[VolumeStatus, ...]) -> bytes:
    return json.dumps([asdict(one) for one in volumes]).encode()


def parse_volumes(data: bytes) -> tuple[VolumeStatus, ...]:
    """Raises ImageError where an agent of another version says it otherwise."""
    try:
        return tuple(_parsed(fields) for fields in json.loads(data))
    except (ValueError, TypeError, KeyError) as error:
        raise ImageError("the agent is of another version: its answer cannot be read") from error


def _parsed(fields: dict[str, Any]) -> VolumeStatus:
    use = fields["use"]
    containers = tuple(use.pop("containers"))
    told: dict[str, Any] = {**fields, "images": tuple(fields["images"]), "use": Use(**use, containers=containers)}
    return VolumeStatus(**told)
