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

from agents.storage.translate.modes import BLOCK, OVERLAYFS
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
    """How many folders of the volume they are (mode overlayfs); 0 where its root is what they give together."""
    size_bytes: int
    is_disk: bool

    @property
    def worth(self) -> int:
        """A volume is better than none, a merged one, mounted as it is, better than folders. A disk was asked for by
        somebody who knows that the others are what is usual."""
        return 0 if self.volume is None else 1 if self.folders else 3 if self.is_disk else 2


def chain_ids(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """image-spec, config.md, Layer ChainID: of the first layer, of the first two, and so on."""
    chains: list[str] = []
    for diff_id in diff_ids:
        text = f"{chains[-1]} {diff_id}" if chains else ""
        chains.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if chains else diff_id)
    return tuple(chains)


def find_chain(store: Path, wanted: str) -> Chain | None:
    """The best answer that any image gives."""
    query = (
        "SELECT layers.image, diff_id, volume, volumes.size_bytes, role FROM layers"
        " JOIN image_volumes ON image_volumes.image = layers.image"
        " JOIN volumes ON volumes.digest = volume ORDER BY layers.image, layers.position"
    )
    found: Chain | None = None
    for key, rows in groupby(_rows(store, query), lambda row: int(row[0])):
        layers = list(rows)
        chains = chain_ids([row[1] for row in layers])
        if wanted not in chains:
            continue
        chain = _chain(chains, chains.index(wanted), key, layers[0])
        if found is None or chain.worth > found.worth:
            found = chain
    return found


def _chain(chains: tuple[str, ...], place: int, image: int, row: tuple[Any, ...]) -> Chain:
    _, _, volume, size_bytes, role = row
    whole = place == len(chains) - 1
    apart = role == OVERLAYFS.role
    return Chain(
        id=chains[place],
        parent=chains[place - 1] if place else "",
        layers=place + 1,
        image=image,
        volume=volume if whole or apart else None,
        folders=place + 1 if apart else 0,
        size_bytes=size_bytes if whole else 0,
        is_disk=role == BLOCK.role,
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


def converted_names(store: Path) -> frozenset[tuple[int, str]]:
    """What is in the store: images by key, each with every name that it was converted by."""
    return frozenset((row[0], row[1]) for row in _rows(store, "SELECT image, name FROM names"))


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
