"""The journal's folder: numbered logs, snapshots of what was before them, and what configs are made of by digest.

    00000003.snapshot   all that was before log 3; only once it is whole has it this name
    00000003.log        what happened since, and so on in 00000004.log
    objects/DIGEST      P4Info and p4_device_config, each stored once

Every process begins a log of its own, so a file never goes on behind a torn tail.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runtime.device.journal.framing import HEAD_SIZE, HEADER, FormatError, Frame, Tail, frame_head, scan
from runtime.device.journal.records import Kind, update_count

LOG = logging.getLogger("turnout.device")
AHEAD_BYTES = 1 << 18
"""A log is made longer by this much at a time: what is promised to a record has its room then."""
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600


class Log:
    """A file that is appended to. Raises OSError; what was in it before is as it was, then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, _NEW, _FILE_MODE)
        self._reserved = 0
        self.size = 0
        try:
            self._reserve(len(HEADER))
            self._put([HEADER])
        except OSError:
            self.close()
            path.unlink()
            raise

    def append(self, kind: int, body: bytes, *, room: int = 0) -> None:
        """One record, whole or not at all. `room` bytes stay free behind it for what must not fail: see `follow`."""
        self._reserve(HEAD_SIZE + len(body) + room)
        self._put([frame_head(kind, body), body])

    def follow(self, kind: int, body: bytes) -> None:
        """A record for which the last one left room."""
        self._put([frame_head(kind, body), body])

    def trim(self) -> None:
        """Nothing more comes: give back what was reserved."""
        os.ftruncate(self._fd, self.size)
        self._reserved = self.size

    def close(self) -> None:
        """Twice is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _reserve(self, more: int) -> None:
        if self.size + more > self._reserved:
            length = max(AHEAD_BYTES, more)
            os.posix_fallocate(self._fd, self.size, length)
            self._reserved = self.size + length

    def _put(self, parts: list[bytes]) -> None:
        left = b""
        length = sum(map(len, parts))
        try:
            written = os.pwritev(self._fd, parts, self.size)
            while written < length:
                left = left or b"".join(parts)
                written += os.pwrite(self._fd, left[written:], self.size + written)
        except OSError:
            self._forget()
            raise
        self.size += length

    def _forget(self) -> None:
        """Half a record is to be seen as nothing; where that cannot be done, its checksum says so."""
        with suppress(OSError):
            os.ftruncate(self._fd, self.size)
            self._reserved = self.size


class Folder:
    """Where the files are. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._objects = path / "objects"
        self._objects.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        self.remarks: list[str] = []
        """What `frames` has found that is not as it was written."""

    def log(self, number: int) -> Path:
        return self.path / f"{number:08}.log"

    def snapshot(self, number: int) -> Path:
        return self.path / f"{number:08}.snapshot"

    def unfinished(self, number: int) -> Path:
        """A snapshot that is being written."""
        return self.path / f"{number:08}.new"

    @property
    def last_number(self) -> int:
        """The highest number of any file, 0 without one."""
        return max((int(path.stem) for path in self._numbered()), default=0)

    def frames(self) -> Iterator[Frame]:
        """All records, oldest first. Raises `FormatError`, OSError. Says what a kill, or worse, has left."""
        for path in self._read():
            yield from self._snapshot_frames(path) if path.suffix == ".snapshot" else self._log_frames(path)

    def update_count(self) -> int:
        """Of all writes that `frames` gives; reads everything, and keeps nothing. Raises OSError, `FormatError`."""
        return sum(
            update_count(frame.body)
            for path in self._read()
            for frame in scan(path.read_bytes()).frames
            if frame.kind == Kind.WRITE
        )

    def log_bytes(self) -> int:
        """Of all logs together, as replaying them has to read."""
        return sum(path.stat().st_size for path in self.path.glob("*.log"))

    def remove_before(self, number: int) -> None:
        """What a snapshot has made unneeded, and snapshots that were never finished."""
        for path in self._numbered():
            if int(path.stem) < number or path.suffix == ".new":
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Everything of an earlier device."""
        for path in (*self._numbered(), *self._objects.iterdir()):
            path.unlink()

    def put(self, data: bytes) -> str:
        """Keep an object; its digest is its name. There already: nothing is written."""
        digest = hashlib.sha256(data).hexdigest()
        path = self._objects / digest
        if not path.exists():
            unfinished = path.with_suffix(".new")
            try:
                unfinished.write_bytes(data)
                unfinished.replace(path)
            except OSError:
                unfinished.unlink(missing_ok=True)
                raise
        return digest

    def get(self, digest: str) -> bytes:
        """Raises OSError; `FormatError` when it is not what was put."""
        data = (self._objects / digest).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise FormatError(f"object {digest[:12]} is damaged: its SHA-256 is another")
        return data

    def keep_only(self, digests: frozenset[str]) -> None:
        for path in self._objects.iterdir():
            if path.name not in digests:
                path.unlink()

    def _read(self) -> list[Path]:
        """The files that count, in their order: the last snapshot, and the logs since."""
        first = max((int(path.stem) for path in self.path.glob("*.snapshot")), default=0)
        logs = [path for path in sorted(self.path.glob("*.log")) if int(path.stem) >= first]
        return [self.snapshot(first), *logs] if first else logs

    def _numbered(self) -> list[Path]:
        return [path for path in self.path.iterdir() if path.stem.isdigit()]

    def _snapshot_frames(self, path: Path) -> tuple[Frame, ...]:
        found = scan(path.read_bytes())
        if found.tail is not Tail.WHOLE or not found.frames or found.frames[-1].kind != Kind.END:
            raise FormatError(f"snapshot {path.name} is damaged at byte {found.end}")
        return found.frames

    def _log_frames(self, path: Path) -> tuple[Frame, ...]:
        data = path.read_bytes()
        found = scan(data)
        match found.tail:
            case Tail.WHOLE:
                pass
            case Tail.TORN:
                self.remarks.append(
                    f"journal {path.name}: the last record is cut short at byte {found.end}; it is ignored"
                )
                LOG.info("%s", self.remarks[-1])
            case Tail.DAMAGED:
                left = len(data.rstrip(b"\0")) - found.end
                self.remarks.append(
                    f"journal {path.name}: damaged at byte {found.end}: {left} bytes from there on are lost"
                )
                LOG.error("%s", self.remarks[-1])
        return found.frames
