"""Snapshots as rows: names, kinds, exact parents, labels, and where the content of each is. SQLite, one file.

What is in a snapshot is a folder of its own, unless `volume` names one that holds it with everything below: as the
volume's root, or as its lowest `folders` folders, which overlayfs puts together. Where `folders` is negative, the
volume holds what this snapshot and those below it change, so many of them together, and lies over what is below these;
what they have themselves, of another image, is of no use then. A hollow snapshot is a chain ID of a converted image
that lies below the image's volume: a name without content, until somebody needs it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agents.storage.io.database import opened, prepare, transaction
from agents.storage.wire.errors import ImageError
from agents.storage.wire.snapshots import (
    REF_LABEL,
    Info,
    InvalidSnapshotError,
    Kind,
    SnapshotExistsError,
    SnapshotStateError,
    UnknownSnapshotError,
    Usage,
)

_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    parent INTEGER REFERENCES snapshots (id),
    kind INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    updated_ns INTEGER NOT NULL,
    labels TEXT NOT NULL,
    ref TEXT NOT NULL,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    inodes INTEGER NOT NULL DEFAULT 0,
    volume TEXT,
    folders INTEGER NOT NULL DEFAULT 0,
    hollow INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX snapshots_by_parent ON snapshots (parent);
CREATE INDEX snapshots_by_ref ON snapshots (ref);
"""
_SELECT: Final = (
    "SELECT own.id, own.name, coalesce(parent.name, ''), own.kind, own.created_ns, own.updated_ns, own.labels,"
    " own.size_bytes, own.inodes, own.volume, own.folders, own.hollow"
    " FROM snapshots AS own LEFT JOIN snapshots AS parent ON own.parent = parent.id"
)
_ANCESTORS: Final = (
    "WITH RECURSIVE chain (id, depth) AS (SELECT parent, 0 FROM snapshots WHERE id = ?"
    " UNION ALL SELECT s.parent, depth + 1 FROM chain JOIN snapshots AS s ON s.id = chain.id)"
)
_USED: Final = """
WITH RECURSIVE used (top, id, volume, hides, goes_on) AS (
    SELECT {top}, parent.id, parent.volume, max(0, -parent.folders - 1), parent.volume IS NULL OR parent.folders < 0
    FROM snapshots AS own JOIN snapshots AS parent ON own.parent = parent.id
    WHERE own.kind != 3
    UNION
    SELECT
        used.top,
        parent.id,
        CASE WHEN hides THEN NULL ELSE parent.volume END,
        CASE WHEN hides THEN hides - 1 ELSE max(0, -parent.folders - 1) END,
        hides OR parent.volume IS NULL OR parent.folders < 0
    FROM used JOIN snapshots AS own ON own.id = used.id
    JOIN snapshots AS parent ON own.parent = parent.id WHERE goes_on
)
"""
"""`content`, of all active snapshots and views, or, by `top`, of each."""
_NEEDED: Final = _USED.format(top="0") + "SELECT DISTINCT volume FROM used WHERE volume IS NOT NULL"
_HOLDERS: Final = _USED.format(top="own.id") + (
    "SELECT DISTINCT used.volume, top, name FROM used JOIN snapshots AS own ON own.id = top"
    " WHERE used.volume IS NOT NULL ORDER BY name"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    id: int
    info: Info
    usage: Usage
    volume: str | None
    """Digest of the volume that has what is in it and in all its parents."""
    folders: int
    hollow: bool

    @property
    def remote(self) -> bool:
        """Its content was never unpacked here."""
        return self.hollow or self.volume is not None


def content(line: Iterable[Snapshot]) -> Iterator[Snapshot]:
    """Of a snapshot's ancestors, the nearest first, those that have what is below it."""
    hidden = 0
    for one in line:
        if hidden:
            hidden -= 1
            continue
        yield one
        if one.volume is not None and one.folders >= 0:
            return
        hidden = max(0, -one.folders - 1)


class SnapshotDb:
    """Called by one thread at a time."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = opened(path, any_thread=True)
            prepare(self._db, _SCHEMA, _SCHEMA_VERSION, f"{path} has snapshots")
        except sqlite3.Error as error:
            raise ImageError(f"{path}: {error}") from error

    def close(self) -> None:
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        return transaction(self._db)

    def find(self, name: str) -> Snapshot:
        row = self._db.execute(f"{_SELECT} WHERE own.name = ?", (name,)).fetchone()
        if row is None:
            raise UnknownSnapshotError(f"snapshot {name} does not exist")
        return _snapshot(row)

    def all(self) -> tuple[Snapshot, ...]:
        return tuple(map(_snapshot, self._db.execute(f"{_SELECT} ORDER BY own.name").fetchall()))

    def ancestors(self, key: int) -> tuple[Snapshot, ...]:
        """Of the snapshot with this id, the nearest first."""
        rows = self._db.execute(
            f"{_ANCESTORS} {_SELECT} JOIN chain ON chain.id = own.id ORDER BY chain.depth", (key,)
        ).fetchall()
        return tuple(map(_snapshot, rows))

    def remote(self, ref: str, parent: str) -> Snapshot | None:
        """The committed snapshot that stands for a chain ID of a converted image, with this very parent."""
        rows = self._db.execute(
            f"{_SELECT} WHERE own.ref = ? AND own.kind = 3 AND coalesce(parent.name, '') = ?", (ref, parent)
        ).fetchall()
        return next((found for found in map(_snapshot, rows) if found.remote), None)

    def has(self, name: str) -> bool:
        return self._db.execute("SELECT 1 FROM snapshots WHERE name = ?", (name,)).fetchone() is not None

    def insert(
        self,
        *,
        name: str,
        parent: Snapshot | None,
        kind: Kind,
        labels: Mapping[str, str],
        usage: Usage | None = None,
        volume: str | None = None,
        folders: int = 0,
        hollow: bool = False,
    ) -> int:
        """A new row; returns its id, which no other snapshot ever had. Only what is committed can be a parent."""
        if not name:
            raise InvalidSnapshotError("a snapshot needs a key")
        if parent is not None and parent.info.kind is not Kind.COMMITTED:
            raise InvalidSnapshotError(f"parent {parent.info.name} is {parent.info.kind.name.lower()}, not committed")
        if self.has(name):
            raise SnapshotExistsError(f"snapshot {name} exists")
        now, taken = time.time_ns(), usage or Usage()
        columns = {
            "name": name,
            "parent": None if parent is None else parent.id,
            "kind": kind.value,
            "created_ns": now,
            "updated_ns": now,
            "labels": _kept(labels),
            "ref": labels.get(REF_LABEL, ""),
            "size_bytes": taken.size_bytes,
            "inodes": taken.inodes,
            "volume": volume,
            "folders": folders,
            "hollow": hollow,
        }
        marks = ", ".join("?" * len(columns))
        query = f"INSERT INTO snapshots ({', '.join(columns)}) VALUES ({marks})"
        key = self._db.execute(query, tuple(columns.values())).lastrowid
        assert key is not None
        return key

    def commit(self, active: Snapshot, name: str, labels: Mapping[str, str], usage: Usage) -> None:
        if not name:
            raise InvalidSnapshotError("a snapshot needs a name")
        if self.has(name):
            raise SnapshotExistsError(f"snapshot {name} exists")
        if active.info.kind is not Kind.ACTIVE:
            raise SnapshotStateError(f"snapshot {active.info.name} is {active.info.kind.name.lower()}, not active")
        now = time.time_ns()
        self._db.execute(
            "UPDATE snapshots SET name = ?, kind = 3, created_ns = ?, updated_ns = ?, labels = ?, ref = ?,"
            " size_bytes = ?, inodes = ? WHERE id = ?",
            (name, now, now, _kept(labels), labels.get(REF_LABEL, ""), usage.size_bytes, usage.inodes, active.id),
        )

    def relabel(self, snapshot: Snapshot, labels: Mapping[str, str]) -> None:
        self._db.execute(
            "UPDATE snapshots SET labels = ?, ref = ?, updated_ns = ? WHERE id = ?",
            (_kept(labels), labels.get(REF_LABEL, ""), time.time_ns(), snapshot.id),
        )

    def fill(self, snapshot: Snapshot, volume: str, folders: int) -> None:
        query = "UPDATE snapshots SET hollow = 0, volume = ?, folders = ? WHERE id = ?"
        self._db.execute(query, (volume, folders, snapshot.id))

    def remove(self, snapshot: Snapshot) -> None:
        if self._db.execute("SELECT 1 FROM snapshots WHERE parent = ?", (snapshot.id,)).fetchone() is not None:
            raise SnapshotStateError(f"cannot remove snapshot {snapshot.info.name}: others have it as parent")
        self._db.execute("DELETE FROM snapshots WHERE id = ?", (snapshot.id,))

    def ids(self) -> frozenset[int]:
        return frozenset(row[0] for row in self._db.execute("SELECT id FROM snapshots").fetchall())

    def volumes(self) -> frozenset[str]:
        """Every volume that a snapshot has."""
        rows = self._db.execute("SELECT DISTINCT volume FROM snapshots WHERE volume IS NOT NULL").fetchall()
        return frozenset(row[0] for row in rows)

    def needed(self) -> frozenset[str]:
        """Volumes below a snapshot that may be mounted."""
        return frozenset(row[0] for row in self._db.execute(_NEEDED).fetchall())

    def counts(self) -> dict[Kind, int]:
        found = dict(self._db.execute("SELECT kind, count(*) FROM snapshots GROUP BY kind").fetchall())
        return {kind: found.get(kind.value, 0) for kind in Kind}

    def holders(self) -> dict[str, dict[int, str]]:
        """By volume, of every one that a snapshot has: id and name of each snapshot above it that may be mounted."""
        found: dict[str, dict[int, str]] = {volume: {} for volume in self.volumes()}
        for volume, key, name in self._db.execute(_HOLDERS).fetchall():
            found[volume][key] = name
        return found


def _kept(labels: Mapping[str, str]) -> str:
    """As containerd keeps them: a label without a value is none."""
    return json.dumps({key: value for key, value in sorted(labels.items()) if value})


def _snapshot(row: tuple[Any, ...]) -> Snapshot:
    key, name, parent, kind, created, updated, labels, size, inodes, volume, folders, hollow = row
    return Snapshot(
        id=key,
        info=Info(
            name=name,
            parent=parent,
            kind=Kind(kind),
            created_ns=created,
            updated_ns=updated,
            labels=json.loads(labels),
        ),
        usage=Usage(size_bytes=size, inodes=inodes),
        volume=volume,
        folders=folders,
        hollow=bool(hollow),
    )
