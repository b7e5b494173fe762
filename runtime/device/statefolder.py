"""The device's folder, which one process has at a time, and what it finds there when it starts."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.device import garbage
from runtime.device.findings import Start
from runtime.device.journal.files import Folder
from runtime.device.journal.framing import FormatError
from runtime.device.journal.journal import Forgetful, Journal, Recorder
from runtime.device.journal.records import Device, Record, decode
from runtime.device.journal.replay import Replay
from runtime.device.journal.scanning import scan
from runtime.device.owners import foreign_owner
from runtime.device.portnames import NO_PORTS, PortNames
from runtime.device.progress import Progress
from runtime.device.target import TargetError

LOG = logging.getLogger("turnout.device")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SEED_BITS = 64
_HEAD_BYTES = 4096
"""More than a journal's first record takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the device was when its journal ended, and the journal that goes on from there."""

    replay: Replay
    journal: Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a device starts with. `is_clean`: nothing of an earlier process is to be taken over."""

    read: Callable[[Progress], Kept]
    """Called once, perhaps in a thread: a million entries take seconds. Raises `TargetError`, `StoppedError`."""
    hash_seed: int
    is_clean: bool
    start: Start
    """To which is added what is found on the way."""
    ports: PortNames = NO_PORTS


class StateFolder:
    """Locked from its creation to `close`."""

    def __init__(self, path: Path) -> None:
        """Make and lock the folder. Raises `TargetError`."""
        self.path = path.absolute()
        self._lock = -1
        self._journal: Journal | None = None
        self._unread: Folder | None = None
        """What is in it, as long as that may be cleared away."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_owners()
            self._lock = self._locked()
        except OSError as problem:
            raise TargetError(f"cannot use state directory {self.path}: {problem}") from problem

    def begin(self, target: str, *, clean: bool, ports: PortNames = NO_PORTS) -> Beginning:
        """Look whether an earlier process has left a journal to be gone on with. Raises `TargetError`."""
        with self._told():
            folder = Folder(self.path / "journal")
            if clean:
                folder.clear()
                LOG.info("what was kept in %s is removed, as --clean asks", self.path)
            records = (decode(frame) for frame in folder.frames())
            start = Start(folder="nothing, as --clean asks" if clean else "nothing")
            found = _usable(next(records, None), target, start)
            if found is None:
                folder.clear()
        self._unread = folder
        device = found or Device(boot_id=_boot_id(), target=target, hash_seed=secrets.randbits(SEED_BITS))

        def read(progress: Progress) -> Kept:
            garbage.postpone()
            replay = Replay(folder.get, ports)
            with self._told():
                progress.begin("looks how long its journal is")
                progress.begin("replays its journal", folder.update_count(), "updates")
                if found is not None:
                    replay.take_all(progress.replaying(records))
                    start.remarks += folder.remarks
                replay.role_configs()  # here, while it can still be refused
                self._journal = Journal(folder, device, replay.elections, replay.roles)
            return Kept(replay=replay, journal=self._journal)

        return Beginning(read=read, hash_seed=device.hash_seed, is_clean=found is None, start=start, ports=ports)

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except (OSError, FormatError) as problem:
            self._unread = None
            raise TargetError(
                f"the journal in {self.path} cannot be used: {problem}; nothing is changed, packets pass as they did; "
                "--clean begins with nothing"
            ) from problem

    def forget(self) -> None:
        """Leave no journal behind, unless it could not be used. Raises `TargetError`."""
        try:
            if self._journal is not None:
                self._journal.clear()
            elif self._unread is not None:
                self._unread.clear()
        except OSError as problem:
            raise TargetError(f"cannot remove the journal in {self.path}: {problem}") from problem

    def close(self) -> None:
        """Let another process have the folder; twice is fine."""
        if self._journal is not None:
            self._journal.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _check_owners(self) -> None:
        """Raises `TargetError`, OSError."""
        journal = self.path / "journal"
        for path in (self.path, journal, *sorted(journal.glob("*"))):
            owner = foreign_owner(path) if path.exists() else None
            if owner is not None:
                raise TargetError(
                    f"state directory {self.path}: {path} belongs to user {owner}, who could change what the device "
                    "goes on with (chown it)"
                )

    def _locked(self) -> int:
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            os.close(fd)
            raise TargetError(f"state directory {self.path} is in use: another device runs with it") from problem
        return fd


def _usable(first: Record | None, target: str, start: Start) -> Device | None:
    """What a journal says of its device, None when it is to begin with nothing. Raises `FormatError`."""
    if not isinstance(first, Device):
        return None
    if first.boot_id != _boot_id():
        start.folder = "a journal of before the machine was started anew, which is given up"
        LOG.warning("the machine has been started anew since: the device begins with nothing, as the kernel does")
        return None
    if first.target != target:
        raise FormatError(f"it is that of a {first.target} target, this is a {target} target")
    start.folder = "a journal"
    return first


def kept_seed(path: Path) -> int | None:
    """What the device with this folder hashes with, whether it runs or not; None when the folder does not say."""
    try:
        for log in sorted((path / "journal").glob("*.log"), reverse=True):
            with log.open("rb") as file:
                first = next(iter(scan(file.read(_HEAD_BYTES)).frames), None)
            record = None if first is None else decode(first)
            if isinstance(record, Device) and record.boot_id == _boot_id():
                return record.hash_seed
    except (OSError, FormatError):
        return None
    return None


def without_folder(ports: PortNames = NO_PORTS) -> Beginning:
    """A device that keeps nothing."""
    return Beginning(
        read=lambda _progress: Kept(replay=Replay(_nothing_kept, ports), journal=Forgetful()),
        hash_seed=secrets.randbits(SEED_BITS),
        is_clean=True,
        start=Start(folder="nothing, since it has no folder"),
        ports=ports,
    )


def _nothing_kept(digest: str) -> bytes:
    raise FormatError(f"there is no folder that object {digest} could be in")


def _boot_id() -> str:
    return BOOT_ID.read_text().strip()
