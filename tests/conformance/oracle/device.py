"""One device: its configurations, who may write, and the order of checks of each RPC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from finsy.proto import U128, p4r

from tests.conformance.oracle.arbitration import Arbitration
from tests.conformance.oracle.counting import judge_counter, judge_direct_counter, judge_direct_meter
from tests.conformance.oracle.entries import judge_entry
from tests.conformance.oracle.judgement import UNKNOWN_ID, Code, Judgement
from tests.conformance.oracle.meters import judge_meter
from tests.conformance.oracle.profiles import judge_group, judge_member
from tests.conformance.oracle.program import Program
from tests.conformance.oracle.reading import Expected, expect
from tests.conformance.oracle.replication import judge_digest, judge_replication
from tests.conformance.oracle.state import Declared, Forwarding, forwarding

SET = p4r.SetForwardingPipelineConfigRequest
REALIZING = frozenset({SET.VERIFY, SET.VERIFY_AND_SAVE, SET.VERIFY_AND_COMMIT, SET.RECONCILE_AND_COMMIT})
ALWAYS_THERE = frozenset({"table_entry", "action_profile_member", "action_profile_group", "counter_entry", None})
KINDS = frozenset({p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration that the device can realize; `known` and `declared` are what the oracle needs of it."""

    name: str
    message: p4r.ForwardingPipelineConfig
    known: Program
    declared: Declared


@dataclass(slots=True, kw_only=True)
class Loaded:
    config: Config
    state: Forwarding


@dataclass(slots=True, kw_only=True)
class Oracle:
    device_id: int = 1
    arbitration: Arbitration = field(default_factory=lambda: Arbitration(device_id=1))
    committed: Loaded | None = None
    saved: Loaded | None = None

    @property
    def current(self) -> Loaded | None:
        """What reads and writes refer to."""
        return self.saved or self.committed

    def admits(self, request: p4r.WriteRequest) -> frozenset[Code]:
        """The code of a whole Write that is refused; OK when its updates are attempted."""
        if request.device_id != self.device_id:
            return frozenset({Code.NOT_FOUND})
        code = self.arbitration.may_write(request.role, _election_id(request))
        if code is not Code.OK:
            return frozenset({code})
        if self.current is None:
            return frozenset({Code.FAILED_PRECONDITION})
        if request.atomicity not in self.current.config.declared.atomicities:
            return frozenset({Code.UNIMPLEMENTED, Code.INVALID_ARGUMENT})
        return frozenset({Code.OK})

    def judge(self, update: p4r.Update) -> Judgement:
        """Of one update, on the state as it is. `Judgement.change` makes it so when the device has accepted it."""
        assert self.current is not None
        return judge(self.current.state, update)

    def expect(self, asked: p4r.Entity) -> Expected:
        assert self.current is not None
        return expect(self.current.state, asked)

    def set_config(self, request: p4r.SetForwardingPipelineConfigRequest, config: Config | None) -> Judgement:
        """`config` is the request's, None when it cannot be realized."""
        found = Judgement()
        code = self.arbitration.may_write(request.role, _election_id(request))
        if request.device_id != self.device_id:
            found.refuse(Code.NOT_FOUND)
        elif code is not Code.OK:
            found.refuse(code)
        elif request.action == SET.COMMIT:
            self._judge_commit(request, found)
        elif request.action not in REALIZING or config is None or not request.HasField("config"):
            found.refuse(Code.INVALID_ARGUMENT)
        else:
            self._judge_realizing(request.action, config, found)
        return found

    def _judge_commit(self, request: p4r.SetForwardingPipelineConfigRequest, found: Judgement) -> None:
        if request.HasField("config"):
            found.refuse(Code.INVALID_ARGUMENT)
        if self.saved is None:
            found.refuse(Code.NOT_FOUND)
        found.change = lambda: self._realize(self.saved)

    def _judge_realizing(self, action: int, config: Config, found: Judgement) -> None:
        loaded = Loaded(config=config, state=forwarding(config.known, config.declared))
        if action == SET.VERIFY_AND_SAVE:
            found.change = lambda: self._save(loaded)
        elif action == SET.RECONCILE_AND_COMMIT and self.committed is not None:
            if config.known != self.committed.config.known:
                found.allow(Code.UNIMPLEMENTED, Code.INVALID_ARGUMENT)  # what has no place cannot be kept
            kept = Loaded(config=config, state=carried(self.committed.state, config))
            found.change = lambda: self._realize(kept)
        elif action != SET.VERIFY:
            found.change = lambda: self._realize(loaded)

    def _save(self, loaded: Loaded) -> None:
        self.saved = loaded

    def _realize(self, loaded: Loaded | None) -> None:
        self.committed, self.saved = loaded, None


def carried(old: Forwarding, config: Config) -> Forwarding:
    """The state of a pipeline under another one: all of it that has a place there."""
    if config.known == old.known:
        return old
    new = forwarding(config.known, config.declared)
    for number, table in config.known.tables.items():
        if old.known.tables.get(number) == table:
            new.rows[number] = old.rows[number]
            new.defaults[number] = old.defaults[number]
    for number, profile in config.known.profiles.items():
        if old.known.profiles.get(number) == profile:
            new.members[number], new.groups[number] = old.members[number], old.groups[number]
    new.counters |= {
        n: old.counters[n] for n, cells in config.known.counters.items() if old.known.counters.get(n) == cells
    }
    new.meters |= {n: old.meters[n] for n, cells in config.known.meters.items() if old.known.meters.get(n) == cells}
    return new


def _election_id(request: p4r.WriteRequest | p4r.SetForwardingPipelineConfigRequest) -> int | None:
    return U128.decode(request.election_id) if request.HasField("election_id") else None


def judge(state: Forwarding, update: p4r.Update) -> Judgement:
    """Of one update; `state` changes when the judgement's `change` is called."""
    kind = update.entity.WhichOneof("entity")
    judges: dict[str, Callable[[], Judgement]] = {
        "table_entry": lambda: judge_entry(state, update.type, update.entity.table_entry),
        "action_profile_member": lambda: judge_member(state, update.type, update.entity.action_profile_member),
        "action_profile_group": lambda: judge_group(state, update.type, update.entity.action_profile_group),
        "counter_entry": lambda: judge_counter(state, update.type, update.entity.counter_entry),
        "direct_counter_entry": lambda: judge_direct_counter(state, update.type, update.entity.direct_counter_entry),
        "meter_entry": lambda: judge_meter(state, update.type, update.entity.meter_entry),
        "direct_meter_entry": lambda: judge_direct_meter(state, update.type, update.entity.direct_meter_entry),
        "digest_entry": lambda: judge_digest(state, update.type, update.entity.digest_entry),
        "packet_replication_engine_entry": lambda: judge_replication(
            state, update.type, update.entity.packet_replication_engine_entry
        ),
    }
    if update.type not in KINDS or kind is None:
        found = Judgement()
        found.refuse(Code.INVALID_ARGUMENT, *(() if kind in ALWAYS_THERE else (Code.UNIMPLEMENTED,)))
        return found
    if kind in judges:
        return judges[kind]()
    found = Judgement()
    found.refuse(Code.UNIMPLEMENTED, *UNKNOWN_ID)  # registers, value sets, externs: no program here has any
    return found
