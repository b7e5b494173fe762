"""What a device writes down, and when: the intent before anything changes, then what did not come of it.

Appending is all that a write waits for; nothing is synced, since a process that is killed leaves what it has written
to the kernel, and a machine that reboots starts clean. The log is bounded by snapshots: `Journal.begin_snapshot`
opens a new log and takes all contents in the pieces that the caller gives it, while writes go on.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Protocol

from finsy.proto import p4r

from compiler.span import InternalError
from runtime.device.failpoints import Point, reached
from runtime.device.journal.files import Folder, Log
from runtime.device.journal.framing import HEAD_SIZE
from runtime.device.journal.records import Config, Device, Election, End, Moved, Named, Outcome, Record, Role, encode
from runtime.device.refusals import RefusedError, exhausted, internal

LOG = logging.getLogger("turnout.device")
SHORT_BYTES = 8 << 20
"""A log below this is not worth a snapshot."""
GROWTH = 2
"""A log becomes a snapshot when it is this many times as long as the last one: so writing them costs a fixed share."""
LONGEST_BYTES, LONGEST_GROWTH = 128 << 20, 4
"""The same of a log that grows fast: a snapshot waits so long for those who write."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Recorder(Protocol):
    """What a device asks of its journal. Raises RESOURCE_EXHAUSTED, INTERNAL; nothing is written then."""

    def intend(self, request: p4r.WriteRequest, raw: bytes | None = None) -> None:
        """Before the updates are applied; `raw` is the request as it came, if it is all to be done."""
        ...

    def conclude(self, outcome: Outcome) -> None:
        """After them, or after a config. Never raises."""
        ...

    def intend_config(self, action: str, config: p4r.ForwardingPipelineConfig, place: str) -> None:
        """Before a loaded pipeline is kept or activated. `place` is where its target has it."""
        ...

    def note_election(self, role: str, election_id: int) -> None:
        """The highest that a role has seen."""
        ...

    def note_role(self, role: str, config: bytes) -> None:
        """The config that a role's primary has given, as the bytes of its message; none is empty."""
        ...

    def note_move(self, old: str, new: str) -> None:
        """A config is in another place now."""
        ...

    def note_name(self, space: str, value: bytes, number: int) -> None:
        """A write has found a number for a controller's value; before `conclude`. Never raises."""
        ...

    @property
    def log_bytes(self) -> int:
        """How long the logs are that replay would read behind the last snapshot."""
        ...

    @property
    def is_long(self) -> bool:
        """Whether a snapshot is due, once little is written."""
        ...

    @property
    def is_too_long(self) -> bool:
        """Whether one is due whatever is written."""
        ...

    def describe(self, action: str, config: p4r.ForwardingPipelineConfig, place: str) -> Config:
        """The record of a config for a snapshot; its parts are kept. Raises OSError."""
        ...

    def begin_snapshot(self) -> Snapshot:
        """From here on a new log; all that is true now is to be added to what this returns. Raises OSError."""
        ...


class Forgetful:
    """The journal of a device without a folder."""

    def intend(self, request: p4r.WriteRequest, raw: bytes | None = None) -> None: ...
    def conclude(self, outcome: Outcome) -> None: ...
    def intend_config(self, action: str, config: p4r.ForwardingPipelineConfig, place: str) -> None: ...
    def note_election(self, role: str, election_id: int) -> None: ...
    def note_role(self, role: str, config: bytes) -> None: ...
    def note_move(self, old: str, new: str) -> None: ...
    def note_name(self, space: str, value: bytes, number: int) -> None: ...

    @property
    def log_bytes(self) -> int:
        return 0

    @property
    def is_long(self) -> bool:
        return False

    @property
    def is_too_long(self) -> bool:
        return False

    def describe(self, action: str, config: p4r.ForwardingPipelineConfig, place: str) -> Config:
        raise InternalError(f"a device without a folder keeps no config ({action}, {config}, {place})")

    def begin_snapshot(self) -> Snapshot:
        raise InternalError("a device without a folder makes no snapshot")


class Journal:
    """A folder that this process alone appends to."""

    def __init__(self, folder: Folder, device: Device, elections: Mapping[str, int], roles: Mapping[str, str]) -> None:
        """Begin a log of this process. `elections` and configs of `roles` are those of the logs before it.

        Raises OSError.
        """
        self._folder = folder
        self._device = device
        self._elections = dict(elections)
        self._roles = dict(roles)
        self._promised = 0
        """Bytes behind the last record for the outcome of what is under way."""
        self._broken: str | None = None
        """Why the log does not say what has happened, until a snapshot does."""
        self._digests: set[str] = set()
        """Objects that this log, and the snapshot before it, name."""
        self._before = folder.log_bytes()
        self._snapshot_bytes = 0
        self._number = folder.last_number + 1
        self._log = self._begun()

    @property
    def log_bytes(self) -> int:
        return self._before + self._log.size

    @property
    def is_long(self) -> bool:
        return self.log_bytes > max(SHORT_BYTES, GROWTH * self._snapshot_bytes)

    @property
    def is_too_long(self) -> bool:
        longest = max(LONGEST_BYTES, LONGEST_GROWTH * self._snapshot_bytes)
        return self._broken is not None or self.log_bytes > longest

    def intend(self, request: p4r.WriteRequest, raw: bytes | None = None) -> None:
        room = HEAD_SIZE + len(request.updates) // 8 + 1
        self._append(request if raw is None else raw, room)
        self._promised = room

    def conclude(self, outcome: Outcome) -> None:
        self._promised = 0
        try:
            self._log.follow(*encode(outcome))
        except OSError as problem:
            LOG.error("journal: what became of a change cannot be written (%s): no more are taken", problem)  # noqa: TRY400
            self._broken = str(problem)

    def note_name(self, space: str, value: bytes, number: int) -> None:
        try:
            self._append(Named(space=space, value=value.hex(), number=number), self._promised)
        except RefusedError as problem:
            LOG.error("journal: %s; no more changes are taken", problem.text)  # noqa: TRY400
            self._broken = problem.text

    def intend_config(self, action: str, config: p4r.ForwardingPipelineConfig, place: str) -> None:
        with _told():
            record = self.describe(action, config, place)
        self._append(record, 2 * HEAD_SIZE)
        self._promised = 2 * HEAD_SIZE

    def describe(self, action: str, config: p4r.ForwardingPipelineConfig, place: str) -> Config:
        p4info = self._folder.put(config.p4info.SerializeToString(deterministic=True))
        device_config = self._folder.put(config.p4_device_config)
        self._digests |= {p4info, device_config}
        cookie = config.cookie.cookie if config.HasField("cookie") else None
        return Config(action=action, p4info=p4info, device_config=device_config, cookie=cookie, place=place)

    def note_election(self, role: str, election_id: int) -> None:
        """Also in the midst of a write: what becomes of that has its room still."""
        self._append(Election(role=role, election_id=election_id), self._promised)
        self._elections[role] = election_id

    def note_role(self, role: str, config: bytes) -> None:
        self._append(Role(role=role, config=config.hex()), self._promised)
        self._roles[role] = config.hex()

    def note_move(self, old: str, new: str) -> None:
        self._append(Moved(old=old, new=new), 0)

    def begin_snapshot(self) -> Snapshot:
        old = self._log
        self._number += 1
        self._log = self._begun()
        self._before += old.size
        self._digests = set()
        old.close()
        begun = Snapshot(self, self._folder, self._number)
        begun.add(self._device)
        for role, election_id in self._elections.items():
            begun.add(Election(role=role, election_id=election_id))
        for role, config in self._roles.items():
            begun.add(Role(role=role, config=config))
        return begun

    def replace_by_snapshot(self, number: int, size: int) -> None:
        """Called by a snapshot that is whole: nothing before it is needed any more. Raises OSError."""
        self._folder.remove_before(number)
        self._folder.keep_only(frozenset(self._digests))
        self._before, self._snapshot_bytes, self._broken = 0, size, None

    def close(self) -> None:
        self._log.close()

    def clear(self) -> None:
        """Remove everything. Raises OSError."""
        self._log.close()
        self._folder.clear()

    def _begun(self) -> Log:
        log = Log(self._folder.log(self._number))
        try:
            log.append(*encode(self._device))
        except OSError:
            log.close()
            log.path.unlink()
            raise
        return log

    def _append(self, record: Record, room: int) -> None:
        if self._broken is not None:
            raise internal(f"the journal cannot be written: {self._broken}")
        with _told():
            self._log.append(*encode(record), room=room)


class Snapshot:
    """All that is true at one moment, on its way into a file. A kill before `finish` leaves what was before."""

    def __init__(self, journal: Journal, folder: Folder, number: int) -> None:
        self._journal, self._folder, self._number = journal, folder, number
        self._log = Log(folder.unfinished(number))

    def add(self, record: Record) -> None:
        """Raises OSError."""
        self._log.append(*encode(record))

    def finish(self) -> None:
        """It is whole. Raises OSError."""
        self._log.append(*encode(End()))
        self._log.trim()
        self._log.close()
        reached(Point.SNAPSHOT_WHOLE)
        self._log.path.replace(self._folder.snapshot(self._number))
        reached(Point.SNAPSHOT_NAMED)
        self._journal.replace_by_snapshot(self._number, self._log.size)

    def abandon(self) -> None:
        """It is not to be; the old logs stay."""
        self._log.close()
        self._log.path.unlink(missing_ok=True)


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except OSError as problem:
        raise _refusal(problem) from problem


def _refusal(problem: OSError) -> RefusedError:
    text = f"the journal cannot be written: {problem.strerror}"
    return exhausted(text) if problem.errno in _FULL else internal(text)
