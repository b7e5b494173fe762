"""Which chain IDs a store can answer for: every layer of every converted image, and which volume has it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from agents.storage.translate.modes import BLOCK, EROFS, OVERLAYFS
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Image, make_image, parse_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """`layers` of an image, counted from the lowest. `parent` is the chain ID of one fewer, empty below the first."""

    id: str
    parent: str
    layers: int
    image: int
    volume: str | None
    """Digest of a volume that has these layers; None where they are only the lower part of what was merged into one."""
    folders: int
    """How many folders of the volume they are (mode overlayfs); 0 where its root is what they give together. Negative
    where that is what so many layers, those above `below`, change."""
    size_bytes: int
    is_disk: bool
    below: tuple[Chain, ...] = ()
    """What the image's volumes before this one have, the nearest first."""

    @property
    def worth(self) -> int:
        """A volume is better than none, a merged one, mounted as it is, better than folders. A disk was asked for by
        somebody who knows that the others are what is usual."""
        if self.volume is None:
            return 0
        return 1 if self.folders > 0 else 2 if self.folders < 0 else 4 if self.is_disk else 3


def chain_ids(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """image-spec, config.md, Layer ChainID: of the first layer, of the first two, and so on."""
    chains: list[str] = []
    for diff_id in diff_ids:
        text = f"{chains[-1]} {diff_id}" if chains else ""
        chains.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if chains else diff_id)
    return tuple(chains)


def find_chain(store: Path, wanted: str) -> Chain | None:
    """The best answer that any image gives."""
    layers = _rows(store, "SELECT image, diff_id FROM layers ORDER BY image, position")
    query = (
        "SELECT image, volume, size_bytes, role, layers FROM image_volumes"
        " JOIN volumes ON digest = volume ORDER BY image, position"
    )
    volumes = {key: list(rows) for key, rows in groupby(_rows(store, query), lambda row: int(row[0]))}
    found: Chain | None = None
    for key, rows in groupby(layers, lambda row: int(row[0])):
        chains = chain_ids([row[1] for row in rows])
        if wanted not in chains or key not in volumes:
            continue
        chain = _chain(chains, chains.index(wanted) + 1, key, volumes[key])
        if found is None or chain.worth > found.worth:
            found = chain
    return found


def _chain(chains: tuple[str, ...], layers: int, image: int, volumes: Sequence[tuple[Any, ...]]) -> Chain:
    """`volumes` in order: image, digest, size, role, and the number of layers with which it ends."""
    ends = [(row[4] or len(chains), row) for row in volumes]
    apart = ends[0][1][3] == OVERLAYFS.role
    held = next((row for end, row in ends if end == layers or apart), None)
    below = [end for end, _ in reversed(ends) if end < layers] if held is not None and not apart else []
    is_changes = held is not None and held[3] == EROFS.part(1).role
    return Chain(
        id=chains[layers - 1],
        parent=chains[layers - 2] if layers > 1 else "",
        layers=layers,
        image=image,
        volume=None if held is None else held[1],
        folders=layers if apart else max(below, default=0) - layers if is_changes else 0,
        size_bytes=held[2] if held is not None and (not apart or layers == len(chains)) else 0,
        is_disk=ends[0][1][3] == BLOCK.role,
        below=tuple(_chain(chains, end, image, volumes) for end in below),
    )


def image_of(store: Path, key: int) -> tuple[Image, tuple[str, ...]]:
    """A converted image's documents, and the names that it was converted by."""
    rows = _rows(store, "SELECT manifest_digest, manifest, config FROM images WHERE id = ?", key)
    if not rows:
        raise ImageError("the converted image that it belonged to has been removed")
    ((digest, manifest, config),) = rows
    names = _rows(store, "SELECT name FROM names WHERE image = ? ORDER BY name", key)
    image = make_image(digest, manifest, parse_manifest(manifest, f"manifest {digest}"), config)
    return image, tuple(row[0] for row in names)


def volumes_of(store: Path, key: int) -> tuple[str, ...]:
    """Digests of an image's volumes."""
    return tuple(row[0] for row in _rows(store, "SELECT volume FROM image_volumes WHERE image = ?", key))


def converted_names(store: Path) -> frozenset[tuple[int, str]]:
    """What is in the store: images by key, each with every name that it was converted by."""
    return frozenset((row[0], row[1]) for row in _rows(store, "SELECT image, name FROM names"))


def volumes_of_images(store: Path) -> frozenset[tuple[int, str]]:
    """What images, by key, have: other ones when an image was converted anew."""
    return frozenset((row[0], row[1]) for row in _rows(store, "SELECT image, volume FROM image_volumes"))


def layer_ids(store: Path) -> frozenset[str]:
    """Diff IDs of all layers of all images."""
    return frozenset(row[0] for row in _rows(store, "SELECT DISTINCT diff_id FROM layers"))


def _rows(store: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Read without being in the way of a conversion. No store yet: no rows."""
    path = store / "store.db"
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
            return db.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise ImageError(f"{path}: {error}") from error
