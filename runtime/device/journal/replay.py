"""From the records of a journal to what the device was: its configs, their contents, the highest election ids.

Nothing is asked of a target here. What was under way when the device was killed is done now: packets may have seen it
already, and nobody has been told of it, so both ends are right, but only this one takes nothing back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from finsy.proto import p4r
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError

from compiler.printers.bundle import Bundle
from runtime.device.batch import ATOMIC, CONTINUE, ROLLBACK, Outcomes
from runtime.device.deferred import Deferred, Effect
from runtime.device.journal.framing import FormatError
from runtime.device.journal.records import (
    DONE,
    Config,
    Device,
    Election,
    End,
    Hidden,
    Lost,
    Moved,
    Named,
    Outcome,
    Record,
    Role,
    Write,
    none_of,
    outcome_of,
    written,
)
from runtime.device.journal.snapshots import records_of
from runtime.device.loaded import Loaded, loaded, read_config
from runtime.device.portnames import NO_PORTS, PortNames
from runtime.device.refusals import RefusedError
from runtime.device.roles import RoleConfig, read_role_config
from runtime.device.target import Before

LOG = logging.getLogger("turnout.device")
GetObject = Callable[[str], bytes]
"""What a digest is of. Raises OSError, `FormatError`."""
Updates = Sequence[p4r.Update]


@dataclass(slots=True, kw_only=True)
class Replayed:
    """A config as it was, and where its target had it."""

    loaded: Loaded
    bundle: Bundle
    deferred: Deferred
    place: str
    before: Before | None = None
    """What it was about to follow when the device was killed: learned entries may still be there."""


def replayed(config: p4r.ForwardingPipelineConfig, bundle: Bundle, place: str, ports: PortNames = NO_PORTS) -> Replayed:
    """With nothing written into it yet."""
    deferred = Deferred(bundle.pipeline)
    made = loaded(config, bundle.pipeline, deferred, ports)
    return Replayed(loaded=made, bundle=bundle, deferred=deferred, place=place)


class Replay:
    """Takes records in their order; `finish` afterwards."""

    def __init__(self, get_object: GetObject, ports: PortNames = NO_PORTS) -> None:
        self._get_object = get_object
        self._ports = ports
        self._pending: Write | Config | None = None
        self._raw: bytes | None = None
        """Of the pending write, if it came so: most updates are recognised by their bytes."""
        self._left: list[tuple[p4r.Update, RefusedError]] = []
        """Updates that were refused: of a snapshot, because they need something which comes later."""
        self.committed: Replayed | None = None
        self.saved: Replayed | None = None
        self.elections: dict[str, int] = {}
        self.roles: dict[str, str] = {}
        """The configs that primaries of roles gave last, in hexadecimal."""

    def take_all(self, records: Iterable[Record]) -> None:
        """Raises `FormatError`, OSError: what the records need is not there."""
        for record in records:
            self._take(record)

    def carry(self, records: Iterable[Record]) -> list[RefusedError]:
        """Take the records of a pipeline's contents; what is refused."""
        self.take_all(records)
        pending, self._pending = self._pending, None
        self._conclude(pending, frozenset())
        self._try_left()
        return [refusal for _, refusal in self._left]

    def role_configs(self) -> dict[str, RoleConfig]:
        """Of the roles that have one. Raises `FormatError`."""
        found: dict[str, RoleConfig] = {}
        for role, config in self.roles.items():
            try:
                if config:
                    found[role] = read_role_config(role, Any.FromString(bytes.fromhex(config)))
            except (RefusedError, DecodeError, ValueError) as problem:
                raise FormatError(f"the config of role {role!r} is refused now: {problem}") from problem
        return found

    def finish_config(self) -> Outcome | None:
        """Do what was under way, if it was a config; what became of it, for the journal. None if none was."""
        self._say_left("what was written")
        match self._pending:
            case Config() as pending:
                self._pending = None
                old = self.committed
                self._set(pending)
                if pending.action == "RECONCILE_AND_COMMIT" and old is not None and self.committed is not None:
                    self.committed.before = Before(place=old.place, pipeline=old.loaded.pipeline)
                return DONE
            case _:
                return None

    @property
    def under_way(self) -> Write | None:
        """The write that was under way, until it is finished."""
        return self._pending if isinstance(self._pending, p4r.WriteRequest) else None

    def finish_write(self, into: Loaded | None = None) -> Outcome | None:
        """Do the write that was under way; what became of it, for the journal. None if none was.

        `into` are the current config's contents in a target: there it is done at once, else its `effects` are left.
        """
        request, self._pending = self.under_way, None
        current = into or (self._current.loaded if self._current is not None else None)
        if request is None:
            return None
        if current is None:
            raise FormatError("it writes entries before there is a pipeline")
        atomicity = ROLLBACK if request.atomicity == ATOMIC else request.atomicity  # no packet looks on
        try:
            return outcome_of(current.writer.apply_all(request.updates, atomicity))
        except RefusedError:
            return none_of(len(request.updates))

    @property
    def current(self) -> Replayed | None:
        """What reads and writes refer to."""
        return self._current

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What the write that was under way still wants of the current config's instance."""
        return tuple(self._current.deferred.effects) if self._current is not None else ()

    @property
    def _current(self) -> Replayed | None:
        return self.saved or self.committed

    def _take(self, record: Record) -> None:
        pending, raw, self._pending = self._pending, self._raw, None
        if isinstance(record, bytes):
            self._raw, record = record, written(record)
        elif isinstance(record, p4r.WriteRequest):
            self._raw = None
        match record:
            case Outcome():
                self._conclude(pending, record.failed, raw)
            case p4r.WriteRequest() | Config():
                self._conclude(pending, frozenset(), raw)
                self._pending = record
            case Lost():
                self._finish_again(pending)
            case Named() if isinstance(pending, p4r.WriteRequest):
                # It was found for the write whose outcome comes next.
                self._note(record)
                self._pending = pending
            case Device() | Election() | Role() | Moved():
                # A process begins, and tells a few things before what became of what its predecessor had under way.
                self._note(record)
                self._pending = _moved(pending, record)
            case _:
                self._conclude(pending, frozenset(), raw)
                self._note(record)

    def _finish_again(self, pending: Write | Config | None) -> None:
        """What became of it is lost: it is what it was asked to be, as when nobody had been told."""
        if isinstance(pending, p4r.WriteRequest):
            self._pending = pending
            self.finish_write()
            if self._current is not None:
                self._current.deferred.effects.clear()
        else:
            self._conclude(pending, frozenset())

    def _conclude(self, pending: Write | Config | None, without: frozenset[int], raw: bytes | None = None) -> None:
        match pending:
            case p4r.WriteRequest() if without:
                self._write_some([update for at, update in enumerate(pending.updates) if at not in without])
            case p4r.WriteRequest():
                self._write_some(pending.updates, raw)
            case Config() if not without:
                self._set(pending)
            case _:
                pass

    def _note(self, record: Record) -> None:
        match record:
            case Hidden():
                # A pipeline that takes over another's contents may lack a selector that nothing is in.
                selectors = self._current.loaded.contents.selectors if self._current is not None else {}
                if record.selector in selectors:
                    selectors[record.selector].next_hidden_id = record.next_id
            case Election():
                self.elections[record.role] = record.election_id
            case Role():
                self.roles[record.role] = record.config
            case Moved():
                for one in (self.committed, self.saved):
                    if one is not None and one.place == record.old:
                        one.place = record.new
            case Named():
                if self._current is not None:
                    names = self._current.loaded.schema.translations
                    names.keep(record.space, bytes.fromhex(record.value), record.number)
            case End():
                self._write_left()
            case _:
                pass

    def _write_some(self, updates: Updates, raw: bytes | None = None) -> None:
        """The updates that took effect then do so now; what cannot is said, or put off in a snapshot."""
        outcomes = self._write(updates, raw)
        if any(outcomes):
            self._left += [(update, outcome) for update, outcome in zip(updates, outcomes, strict=True) if outcome]
        if self._current is not None:
            self._current.deferred.effects.clear()

    def _write(self, updates: Updates, raw: bytes | None) -> Outcomes:
        current = self._current
        if current is None:
            raise FormatError("it writes entries before there is a pipeline")
        return current.loaded.writer.apply_all(updates, CONTINUE, raw)

    def _write_left(self) -> None:
        self._try_left()
        self._say_left("what a snapshot has")

    def _try_left(self) -> None:
        """Until nothing more succeeds."""
        while self._left:
            before, self._left = self._left, []
            self._write_some([update for update, _ in before])
            if len(self._left) == len(before):
                break

    def _say_left(self, what: str) -> None:
        if self._left:
            first = self._left[0][1]
            LOG.error("journal: %d updates of %s are refused now, and left out: %s", len(self._left), what, first)
        self._left.clear()

    def _set(self, record: Config) -> None:
        match record.action:
            case "COMMIT" if self.saved is not None:
                self.committed, self.saved = self.saved, None
            case "VERIFY_AND_SAVE":
                self.saved = self._read(record)
            case "RECONCILE_AND_COMMIT" if self.committed is not None:
                old, made = self.committed, self._read(record)
                refusals = carry(old.loaded, made)
                if refusals:
                    raise FormatError(f"what was carried over to a pipeline is refused now: {refusals[0]}")
                self.committed, self.saved = made, None
            case _:
                self.committed, self.saved = self._read(record), None

    def _read(self, record: Config) -> Replayed:
        config = self._config(record)
        try:
            return replayed(config, read_config(config), record.place, self._ports)
        except RefusedError as refusal:
            raise FormatError(f"its pipeline config is refused now: {refusal}") from refusal

    def _config(self, record: Config) -> p4r.ForwardingPipelineConfig:
        config = p4r.ForwardingPipelineConfig(p4_device_config=self._get_object(record.device_config))
        config.p4info.ParseFromString(self._get_object(record.p4info))
        if record.cookie is not None:
            config.cookie.cookie = record.cookie
        return config


def _moved(pending: Write | Config | None, record: Record) -> Write | Config | None:
    """What is under way, after a record: a config may be in another place by now."""
    if isinstance(pending, Config) and isinstance(record, Moved) and pending.place == record.old:
        return replace(pending, place=record.new)
    return pending


def carry(old: Loaded, new: Replayed) -> list[RefusedError]:
    """Write all that one pipeline holds into another, by the ids of P4Runtime; what the other refuses."""
    replay = Replay(_no_object)
    replay.committed = new
    return replay.carry(records_of(old))


def _no_object(digest: str) -> bytes:
    raise FormatError(f"object {digest} is asked for while entries are carried over")
