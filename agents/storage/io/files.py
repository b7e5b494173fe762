"""Files that appear whole or not at all, and locks that a killed process gives back."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from agents.storage.wire.errors import ImageError

_LOCK_LOOK_S: Final = 0.02
_BLOCK_BYTES: Final = 512
"""What st_blocks counts in."""


@contextmanager
def locked(path: Path, most_s: float | None = None) -> Generator[None]:
    """Hold the lock file `path`, waiting for it, up to `most_s` where that is given: raises ImageError then. The kernel
    gives it back when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if most_s is None:
            fcntl.flock(fd, fcntl.LOCK_EX)
        else:
            _lock_within(fd, most_s, path)
        yield
    finally:
        os.close(fd)


def _lock_within(fd: int, most_s: float, path: Path) -> None:
    end_s = time.monotonic() + most_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end_s:
                raise ImageError(f"{path}: another process has had it for {most_s:g} s") from None
            time.sleep(_LOCK_LOOK_S)
        else:
            return


@contextmanager
def appearing(partial: Path) -> Generator[BinaryIO]:
    """A file to be written at `partial`; whoever uses it calls `publish` when it is right. Removed if that fails."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb", buffering=1 << 20) as stream:
            yield stream
    except OSError as error:
        raise ImageError(f"{partial}: {error.strerror}") from error
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def publish(stream: BinaryIO, partial: Path, final: Path) -> None:
    """Give the written file its name, after its bytes are on the disk."""
    stream.flush()
    os.fsync(stream.fileno())
    partial.rename(final)
    fsync_directory(final.parent)


def held_bytes(status: os.stat_result) -> int:
    """What a file takes on its disk."""
    return status.st_blocks * _BLOCK_BYTES


def fsync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def only_one(path: Path, otherwise: str) -> BinaryIO:
    """Hold the lock file `path` until the result is closed. Raises ImageError where another process holds it."""
    stream = path.open("ab")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise ImageError(f"{path}: {otherwise}") from error
    return stream
