"""SQLite files of the storage agent: opened with what a kill must not cost, at one version of their schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agents.storage.wire.errors import ImageError


def opened(path: Path, *, any_thread: bool = False) -> sqlite3.Connection:
    """Transactions are begun by `transaction` alone, and are on the disk when they end. Raises sqlite3.Error."""
    db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=not any_thread)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}")
    return db


def prepare(
    db: sqlite3.Connection, schema: str, version: int, what: str, upgrades: Mapping[int, str] | None = None
) -> None:
    """Make the tables where there are none, or make the next version of those that `upgrades` names, each by its
    statement. Raises ImageError where they are of another version; `what` begins it."""
    with transaction(db):
        found = int(db.execute("PRAGMA user_version").fetchone()[0])
        if found == 0:
            for statement in schema.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {version}")
            return
        while upgrades and found in upgrades:
            db.execute(upgrades[found])
            found += 1
            db.execute(f"PRAGMA user_version = {found}")
        if found != version:
            raise ImageError(f"{what} of version {found}; this is {version}")


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    """All of the block, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
