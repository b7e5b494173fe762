"""What has been converted: images, their volumes, the names they came by. SQLite, one file.

A volume's file is named by the digest of its bytes and is in place before a row says so; rows of an image come in one
transaction. So whatever instant a process dies at, each row has its file, and a file without a row is waste that `gc`
removes. Several processes may use a store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.storage.io.database import opened, prepare, transaction
from agents.storage.io.files import locked
from agents.storage.translate.modes import is_compressed
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Image

_SCHEMA_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    manifest_digest TEXT NOT NULL,
    config_digest TEXT NOT NULL,
    platform TEXT NOT NULL,
    mode TEXT NOT NULL,
    manifest BLOB NOT NULL,
    config BLOB NOT NULL,
    UNIQUE (manifest_digest, mode)
);
CREATE TABLE layers (
    image INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    digest TEXT NOT NULL,
    diff_id TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (image, position)
);
CREATE INDEX layers_by_diff_id ON layers (diff_id);
CREATE TABLE volumes (
    digest TEXT PRIMARY KEY,
    recipe TEXT NOT NULL UNIQUE,
    size_bytes INTEGER NOT NULL
);
CREATE TABLE image_volumes (
    image INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    role TEXT NOT NULL,
    volume TEXT NOT NULL REFERENCES volumes (digest),
    layers INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (image, position)
);
CREATE TABLE names (
    name TEXT NOT NULL,
    image INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    PRIMARY KEY (name, image)
);
"""
_UPGRADES: Final = {1: "ALTER TABLE image_volumes ADD COLUMN layers INTEGER NOT NULL DEFAULT 0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """`recipe` says what it was made from and how; `role` what it is to the image, of which it has, with the volumes
    before it, so many `layers`; 0 are all."""

    digest: str
    recipe: str
    size_bytes: int
    role: str
    layers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    manifest_digest: str
    config_digest: str
    platform: str
    mode: str
    names: tuple[str, ...]
    layers: tuple[tuple[str, str], ...]
    """Digest and diff ID of each, lowest first."""
    volumes: tuple[Volume, ...]

    @property
    def size_bytes(self) -> int:
        return sum(volume.size_bytes for volume in self.volumes)

    @property
    def compression(self) -> str:
        """Of all its volumes, which are alike in that: none or lz4."""
        lowest = self.volumes[0]
        diff_ids = [diff_id for _, diff_id in self.layers[: lowest.layers or None]]
        return "lz4" if is_compressed(self.mode, lowest.recipe, diff_ids) else "none"


class Store:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            for name in ("volumes", "layers"):
                (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = opened(folder / "store.db")
            prepare(self._db, _SCHEMA, _SCHEMA_VERSION, f"{folder} is a store", _UPGRADES)
        except (OSError, sqlite3.Error) as error:
            raise ImageError(f"{folder}: no store of images can be here: {error}") from error

    def close(self) -> None:
        self._db.close()

    def alone(self, most_s: float | None = None) -> AbstractContextManager[None]:
        """For whoever makes or removes files: one at a time, the others wait, for `most_s` where that is given. A
        conversion may take minutes."""
        return locked(self.folder / "lock", most_s)

    def volume(self, recipe: str, role: str, layers: int = 0) -> Volume | None:
        """The volume made by `recipe`, if it is there; `role` and `layers` are what it is to be to another image."""
        row = self._db.execute("SELECT digest, size_bytes FROM volumes WHERE recipe = ?", (recipe,)).fetchone()
        return (
            None if row is None else Volume(digest=row[0], recipe=recipe, size_bytes=row[1], role=role, layers=layers)
        )

    def add(self, image: Image, mode: str, name: str, volumes: Sequence[Volume]) -> None:
        """Record an image whose volumes' files are in place; the name means this image of the platform from now on."""
        with transaction(self._db):
            for volume in volumes:
                self._db.execute(
                    "INSERT INTO volumes VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    (volume.digest, volume.recipe, volume.size_bytes),
                )
            key = self._image_key(image.digest, mode) or self._insert(image, mode)
            self._hold(key, volumes)
            self._call(key, name, str(image.platform), mode)

    def add_name(self, image: StoredImage, name: str) -> None:
        """Another name of an image, which means this image of the platform from now on."""
        with transaction(self._db):
            key = self._image_key(image.manifest_digest, image.mode)
            if key is not None:
                self._call(key, name, image.platform, image.mode)

    def _call(self, key: int, name: str, platform: str, mode: str) -> None:
        self._db.execute(
            "DELETE FROM names WHERE name = ? AND image IN (SELECT id FROM images WHERE platform = ? AND mode = ?)",
            (name, platform, mode),
        )
        self._db.execute("INSERT INTO names VALUES (?, ?)", (name, key))

    def _image_key(self, manifest_digest: str, mode: str) -> int | None:
        query = "SELECT id FROM images WHERE manifest_digest = ? AND mode = ?"
        row = self._db.execute(query, (manifest_digest, mode)).fetchone()
        return None if row is None else int(row[0])

    def _insert(self, image: Image, mode: str) -> int:
        row = (image.digest, image.config_digest, str(image.platform), mode, image.manifest, image.config)
        key = self._db.execute(
            "INSERT INTO images (manifest_digest, config_digest, platform, mode, manifest, config)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            row,
        ).lastrowid
        assert key is not None
        layers = [
            (key, position, layer.blob.digest, layer.diff_id, layer.blob.size)
            for position, layer in enumerate(image.layers)
        ]
        self._db.executemany("INSERT INTO layers VALUES (?, ?, ?, ?, ?)", layers)
        return key

    def _hold(self, key: int, volumes: Sequence[Volume]) -> None:
        """What the image has from now on: a disk of another size takes the place of the one before."""
        self._db.execute("DELETE FROM image_volumes WHERE image = ?", (key,))
        held = [(key, position, one.role, one.digest, one.layers) for position, one in enumerate(volumes)]
        self._db.executemany("INSERT INTO image_volumes VALUES (?, ?, ?, ?, ?)", held)

    def images(self) -> tuple[StoredImage, ...]:
        rows = self._db.execute(
            "SELECT id, manifest_digest, config_digest, platform, mode FROM images ORDER BY manifest_digest, mode"
        ).fetchall()
        return tuple(self._stored(*row) for row in rows)

    def _stored(self, key: int, manifest: str, config: str, platform: str, mode: str) -> StoredImage:
        names = self._db.execute("SELECT name FROM names WHERE image = ? ORDER BY name", (key,))
        layers = self._db.execute("SELECT digest, diff_id FROM layers WHERE image = ? ORDER BY position", (key,))
        volumes = self._db.execute(
            "SELECT digest, recipe, size_bytes, role, layers FROM image_volumes JOIN volumes ON volume = digest"
            " WHERE image = ? ORDER BY position",
            (key,),
        )
        return StoredImage(
            manifest_digest=manifest,
            config_digest=config,
            platform=platform,
            mode=mode,
            names=tuple(row[0] for row in names.fetchall()),
            layers=tuple((row[0], row[1]) for row in layers.fetchall()),
            volumes=tuple(
                Volume(digest=row[0], recipe=row[1], size_bytes=row[2], role=row[3], layers=row[4])
                for row in volumes.fetchall()
            ),
        )

    def documents(self, image: StoredImage) -> tuple[bytes, bytes]:
        """Its manifest and its config."""
        query = "SELECT manifest, config FROM images WHERE manifest_digest = ? AND mode = ?"
        manifest, config = self._db.execute(query, (image.manifest_digest, image.mode)).fetchone()
        return manifest, config

    def same(self, manifest_digest: str, mode: str) -> StoredImage | None:
        """What there is of the very image in this mode."""
        row = self._db.execute(
            "SELECT id, manifest_digest, config_digest, platform, mode FROM images"
            " WHERE manifest_digest = ? AND mode = ?",
            (manifest_digest, mode),
        ).fetchone()
        return None if row is None else self._stored(*row)

    def find(self, wanted: str, mode: str = "") -> StoredImage:
        """By name, or by (the beginning of) the manifest's digest, in a mode or in any. Raises ImageError unless it is
        exactly one."""
        start = wanted if wanted.startswith("sha256:") else f"sha256:{wanted}"
        images = [image for image in self.images() if mode in ("", image.mode)]
        found = [image for image in images if wanted in image.names]
        if not found and len(start) >= len("sha256:") + 4:
            found = [image for image in images if image.manifest_digest.startswith(start)]
        if len(found) == 1:
            return found[0]
        if found:
            keys = ", ".join(f"{image.manifest_digest[:19]} ({image.platform}, {image.mode})" for image in found)
            raise ImageError(f"'{wanted}' is {len(found)} images: {keys}")
        how = f" in mode {mode}" if mode else ""
        raise ImageError(f"'{wanted}' has not been converted{how} into the store {self.folder}")

    def remove(self, image: StoredImage) -> None:
        """Forget the image. Volumes that no image has any more stay until `gc`."""
        with transaction(self._db):
            self._db.execute(
                "DELETE FROM images WHERE manifest_digest = ? AND mode = ?", (image.manifest_digest, image.mode)
            )

    def drop_unused(self) -> tuple[str, ...]:
        """Forget volumes without an image; returns the digests of those that are left."""
        with transaction(self._db):
            self._db.execute("DELETE FROM volumes WHERE digest NOT IN (SELECT volume FROM image_volumes)")
            return self.volume_digests()

    def volume_digests(self) -> tuple[str, ...]:
        return tuple(row[0] for row in self._db.execute("SELECT digest FROM volumes ORDER BY digest").fetchall())

    def volume_sizes(self) -> tuple[tuple[str, int], ...]:
        """Digest and bytes of every volume."""
        rows = self._db.execute("SELECT digest, size_bytes FROM volumes ORDER BY digest").fetchall()
        return tuple((row[0], row[1]) for row in rows)

    def references(self, digest: str) -> int:
        """How many images have this volume."""
        row = self._db.execute("SELECT count(DISTINCT image) FROM image_volumes WHERE volume = ?", (digest,)).fetchone()
        return int(row[0])
