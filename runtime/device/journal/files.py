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
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runtime.device.journal.framing import HEAD_SIZE, HEADER, FormatError, Frame, frame_head
from runtime.device.journal.records import Kind, are_only_writes, update_count
from runtime.device.journal.scanning import Damage, Torn, parts

LOG = logging.getLogger("turnout.device")
AHEAD_BYTES = 1 << 18
"""A log is made longer by this much at a time: what is promised to a record has its room then."""
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_LOST = Frame(kind=Kind.LOST, body=memoryview(b""))
_NUMBER = re.compile(r"[0-9]{8,}")


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
            yield from self._frames_of(path)

    def update_count(self) -> int:
        """Of all writes that `frames` gives; reads everything, and keeps nothing. Raises OSError, `FormatError`."""
        return sum(
            update_count(part.body)
            for path in self._read()
            for part in parts(path.read_bytes())
            if isinstance(part, Frame) and part.kind == Kind.WRITE
        )

    def log_bytes(self) -> int:
        """Of all logs together, as replaying them has to read."""
        return sum(path.stat().st_size for path in self._numbered(".log"))

    def remove_before(self, number: int) -> None:
        """What a snapshot has made unneeded, and snapshots that were never finished."""
        for path in self._numbered():
            if int(path.stem) < number or path.suffix == ".new":
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Everything of an earlier device, the last log first: what a kill leaves has no gap."""
        for path in (*sorted(self._numbered(), reverse=True), *self._objects.iterdir()):
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
        """The files that count, in their order: the last snapshot, and the logs since. Raises `FormatError`."""
        first = max((int(path.stem) for path in self._numbered(".snapshot")), default=0)
        logs = [path for path in sorted(self._numbered(".log")) if int(path.stem) >= first]
        for wanted, path in enumerate(logs, first or 1):
            if path != self.log(wanted):
                raise FormatError(f"{self.log(wanted).name} is gone, and {path.name} is there")
        if first and not logs:
            raise FormatError(f"{self.log(first).name} is gone, and {self.snapshot(first).name} is there")
        return [self.snapshot(first), *logs] if first else logs

    def _numbered(self, suffix: str = "") -> list[Path]:
        """Those of a kind, or all; nobody else's."""
        return [p for p in self.path.iterdir() if _NUMBER.fullmatch(p.stem) and p.suffix.endswith(suffix)]

    def _frames_of(self, path: Path) -> Iterator[Frame]:
        """Raises `FormatError` where more is lost than writes."""
        data, last = path.read_bytes(), None
        for part in parts(data):
            match part:
                case Frame():
                    last = part.kind
                    yield part
                case Torn() if path.suffix == ".log":
                    self._tell_torn(path, part)
                case Torn():
                    pass
                case Damage():
                    last = None
                    self._tell_damage(path, part, data)
                    yield _LOST
        if path.suffix == ".snapshot" and last != Kind.END:
            raise FormatError(f"snapshot {path.name} is damaged: its end is not there")

    def _tell_torn(self, path: Path, torn: Torn) -> None:
        self.remarks.append(f"journal {path.name}: the last record is cut short at byte {torn.start}; it is ignored")
        LOG.info("%s", self.remarks[-1])

    def _tell_damage(self, path: Path, damage: Damage, data: bytes) -> None:
        lost = data[damage.start : damage.end]
        where = f"journal {path.name}: damaged at byte {damage.start}: "
        if not are_only_writes(lost):
            raise FormatError(f"{path.name} is damaged at byte {damage.start}, and not only writes of entries are lost")
        if not lost:
            remark = "a length, which is put right; nothing is lost"
        elif data[damage.end :].strip(b"\0"):
            remark = f"{len(lost)} bytes are lost, what is behind them is there"
        else:
            remark = f"{len(lost)} bytes from there on are lost"
        self.remarks.append(where + remark)
        LOG.error("%s", self.remarks[-1])
