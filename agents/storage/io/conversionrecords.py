"""What conversions of a store have come to, for whoever looks on: one file each, written while it goes on.

    STORE/conversions/HEX.json    a record; HEX is of what was to be converted, in which mode, and where it was to go
    STORE/conversions/HEX.lock    held by the process that is at it

A record decides nothing, so one that cannot be written is left out: what is converted is in the store's rows.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Final

from agents.storage.io.files import only_one
from agents.storage.wire.errors import ImageError

_LOG: Final = logging.getLogger(__name__)
_WRITE_S: Final = 0.5
FAILED, SUCCEEDED, PENDING = "Failed", "Succeeded", "Pending"
PHASES: Final = (PENDING, "Pulling", "Converting", "Publishing", SUCCEEDED, FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """By which a record is found: an image's name, a mode, and where it is pushed to, empty for nowhere."""

    source: str
    mode: str
    destination: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """`phase` and `progress` (percent) as of an ImageConversion's status, `since` is when the phase began (RFC 3339).
    `is_running`: a process is at it now."""

    wanted: Wanted
    phase: str
    progress: int = 0
    message: str = ""
    since: str = ""
    is_running: bool = False


@contextmanager
def recording(store: Path, wanted: Wanted, clock: Callable[[], float] = time.monotonic) -> Generator[Recorder]:
    """Around one conversion: its progress goes to the result, and how it ends is written at the end."""
    path = _path(store, wanted)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = only_one(path.with_suffix(".lock"), "another process converts the same")
    except (ImageError, OSError) as error:
        _LOG.debug("not recorded: %s", error)
        yield Recorder(None, wanted, clock)
        return
    with lock:
        recorder = Recorder(path, wanted, clock)
        try:
            yield recorder
        except ImageError as error:
            recorder.end(FAILED, str(error))
            raise
        recorder.end(SUCCEEDED, "")


class Recorder:
    """An OnProgress. From several threads."""

    def __init__(self, path: Path | None, wanted: Wanted, clock: Callable[[], float]) -> None:
        self._path, self._clock, self._written_at, self._lock = path, clock, 0.0, Lock()
        self._record = Record(wanted=wanted, phase=PENDING, since=_now())
        self._write()

    def __call__(self, phase: str, done: int, total: int) -> None:
        with self._lock:
            before, percent = self._record, min(100, done * 100 // total) if total else 100
            since = before.since if phase == before.phase else _now()
            self._record = replace(before, phase=phase, progress=percent, since=since)
            if phase != before.phase or self._clock() - self._written_at >= _WRITE_S:
                self._write()

    def end(self, phase: str, message: str) -> None:
        progress = 100 if phase == SUCCEEDED else self._record.progress
        self._record = replace(self._record, phase=phase, message=message, progress=progress, since=_now())
        self._write()

    def _write(self) -> None:
        self._written_at = self._clock()
        if self._path is None:
            return
        try:
            partial = self._path.with_suffix(".part")
            partial.write_text(json.dumps(asdict(self._record)))
            partial.rename(self._path)
        except OSError as error:
            _LOG.debug("not recorded: %s", error)


def records(store: Path) -> tuple[Record, ...]:
    """All of them. What is no record is left out."""
    found = [_read(path) for path in sorted((store / "conversions").glob("*.json"))]
    return tuple(record for record in found if record is not None)


def find_record(store: Path, wanted: Wanted) -> Record | None:
    return _read(_path(store, wanted))


def forget_records(store: Path, source: str, mode: str) -> None:
    """Of an image that is removed, wherever it went to."""
    for record in records(store):
        if (record.wanted.source, record.wanted.mode) == (source, mode) and not record.is_running:
            path = _path(store, record.wanted)
            for suffix in (".json", ".part", ".lock"):
                path.with_suffix(suffix).unlink(missing_ok=True)


def _read(path: Path) -> Record | None:
    try:
        record = _parsed(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError):
        return None  # gone meanwhile, or of another version
    return replace(record, is_running=_is_held(path.with_suffix(".lock")))


def _parsed(fields: Any) -> Record:
    wanted, phase, progress = fields["wanted"], str(fields["phase"]), int(fields["progress"])
    if phase not in PHASES or not 0 <= progress <= 100:
        raise ValueError(phase)
    source, mode, destination = (str(wanted[name]) for name in ("source", "mode", "destination"))
    return Record(
        wanted=Wanted(source=source, mode=mode, destination=destination),
        phase=phase,
        progress=progress,
        message=str(fields["message"]),
        since=str(fields["since"]),
    )


def _is_held(lock: Path) -> bool:
    try:
        only_one(lock, "").close()
    except ImageError:
        return True
    except OSError:
        return False
    return False


def _path(store: Path, wanted: Wanted) -> Path:
    key = json.dumps([wanted.source, wanted.mode, wanted.destination])
    return store / "conversions" / f"{sha256(key.encode()).hexdigest()[:32]}.json"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
