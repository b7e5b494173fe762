"""The model target: the interpreter as a device without packets of its own, for tests and for trying things out."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from compiler.ir.controller import CPU_PORT
from compiler.ir.entries import CloneSession, EntryKey, Group, Member, MeterConfig, MulticastGroup, TableEntry
from compiler.ir.interpreter import Interpreter, LearnedEntry, Model, ModelError, NotFound, Outcome
from compiler.ir.interpreter import Tally as ModelTally
from compiler.ir.interpreter.matching import NS_PER_MS
from compiler.ir.interpreter.meters import Cell
from compiler.ir.interpreter.model import Change
from compiler.ir.interpreter.succession import succeed
from compiler.ir.nodes import Pipeline
from compiler.printers.bundle import Bundle
from runtime.device.contents import Contents
from runtime.device.filling import fill
from runtime.device.findings import Found
from runtime.device.modelwire import ModelWire
from runtime.device.portstates import PortStates
from runtime.device.records import ColorTallies, Row, Tally
from runtime.device.refusals import Code, RefusedError, invalid
from runtime.device.schema import TableCodec
from runtime.device.slices import PAUSE, Steps
from runtime.device.target import (
    MAX_PORT,
    Advance,
    Before,
    Hearer,
    Instance,
    LearnedRow,
    PipelineRefusedError,
    UnderWay,
    done_one_by_one,
    unwatched,
)
from runtime.device.undo import UndoLog

LOG = logging.getLogger("turnout.device")
MAX_WAITING = 1000
PAUSE_S = 0.001
READ_AT_ONCE = 100


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class ModelTarget:
    """Clock (milliseconds), random source (width in bits to a number) and hash seed can be chosen, for tests.

    `wire` is where frames come in and go out; without one, frames come by `process` alone.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int] = _now_ms,
        random_bits: Callable[[int], int] = random.getrandbits,
        hash_seed: int | None = None,
        wire: ModelWire | None = None,
    ) -> None:
        self._clock = clock
        self._random_bits = random_bits
        self._hash_seed = random.getrandbits(64) if hash_seed is None else hash_seed
        self._active: ModelInstance | None = None
        self._waiting: list[tuple[int, bytes]] = []
        """Frames that came in the midst of a batch."""
        self._wire = wire
        self._lock = threading.Lock()
        """No frame is under way while a pipeline takes over from another, which may be in a thread."""
        self.ports = PortStates(range(1, MAX_PORT + 1))
        """All are up, until somebody says otherwise."""

    @property
    def name(self) -> str:
        return "model"

    @property
    def port_states(self) -> PortStates:
        return self.ports

    def interface(self, port: int) -> None:
        """A model's ports are on no machine."""

    def prepare(self, bundle: Bundle) -> ModelInstance:
        model = Model(bundle.pipeline, hash_seed=self._hash_seed)
        return ModelInstance(self, model, self._clock, self._random_bits)

    def prepare_after(self, old: Instance, bundle: Bundle) -> ModelInstance:
        made = self.prepare(bundle)
        if isinstance(old, ModelInstance):
            made.follow(old)
        return made

    def take_over(
        self, place: str, bundle: Bundle, before: Before | None = None, *, anew: bool = False
    ) -> ModelInstance:
        """A model goes with its process."""
        del place, before, anew
        return self.prepare(bundle)

    def keep_only(self, places: Collection[str]) -> None:
        """Nothing is anywhere else."""

    def process(self, port: int, frame: bytes) -> Outcome:
        """Run one frame through the active pipeline. Raises `PipelineRefusedError` when there is none."""
        with self._lock:
            if self._active is None:
                raise PipelineRefusedError("no pipeline is active")
            outcome = self._active.process(port, frame)
        if outcome.egress_port is not None:
            self._emit(outcome.egress_port, outcome.packet)
        for copy in outcome.copies:
            if copy.packet_in is None:
                self._emit(copy.port, copy.packet)
        return outcome

    def send(self, port: int, frame: bytes) -> None:
        if not 1 <= port <= MAX_PORT or port == CPU_PORT:
            raise invalid(f"packet-out: there is no port {port} here")
        self._emit(port, frame)

    def submit(self, frame: bytes) -> None:
        self._arrive(CPU_PORT, frame)

    def _emit(self, port: int, frame: bytes) -> None:
        """A port whose link is down loses what leaves by it."""
        if self._wire is not None and port not in self.ports.down:
            self._wire.emit(port, frame)

    def start(self) -> None:
        """Ports change when they are told to."""

    def tick(self) -> None:
        """Nothing happens to a model by itself."""

    def close(self) -> None:
        self._active = None
        if self._wire is not None:
            self._wire.close()

    def start_wire(self) -> None:
        """Let frames come in, on the event loop that runs."""
        if self._wire is not None:
            self._wire.start(self._arrive, self.ports)

    def _arrive(self, port: int, frame: bytes) -> None:
        """A frame meets all of a batch or none of it: while one is under way it waits, or is lost if many do."""
        if self._active is not None and (self._waiting or self._active.undo.mark):
            if not self._waiting:
                self._later()
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append((port, frame))
        else:
            self.process(port, frame)

    def _later(self) -> None:
        asyncio.get_running_loop().call_later(PAUSE_S, self._let_in)

    def _let_in(self) -> None:
        if self._active is not None and self._active.undo.mark:
            self._later()
            return
        waiting, self._waiting = self._waiting, []
        for port, frame in waiting if self._active is not None else ():
            self.process(port, frame)

    def activate(self, instance: ModelInstance) -> None:
        with self._lock:
            instance.take_over()
            self._active = instance

    def deactivate(self, instance: ModelInstance) -> None:
        if self._active is instance:
            self._active = None


class ModelInstance:
    """One pipeline in the model target."""

    def __init__(
        self, target: ModelTarget, model: Model, clock: Callable[[], int], random_bits: Callable[[int], int]
    ) -> None:
        self._target = target
        self.model = model
        for port in target.ports.down:
            model.set_port(port, is_up=False)
        target.ports.follow(self._follow)
        self.undo = UndoLog()
        self._clock = clock
        self.interpreter = Interpreter(model, clock=clock, random=random_bits)
        self._hearer: Hearer | None = None
        self._before: Model | None = None
        self._timeouts = {
            (table.name, profile.name): profile.timeout_ms
            for table in model.pipeline.tables
            for store in model.pipeline.stores
            if table.store == store.name
            for profile in store.profiles
        }

    @property
    def pipeline(self) -> Pipeline:
        return self.model.pipeline

    @property
    def lag(self) -> int:
        return 0

    @property
    def unfinished(self) -> Sequence[str]:
        return ()

    @property
    def goes_on(self) -> bool:
        return False

    @property
    def place(self) -> str:
        return ""

    def counted(self) -> dict[str, Mapping[int, int]]:
        selectors = (table.selector for table in self.pipeline.tables)
        counting = ((one.name, one.fewest) for one in selectors if one is not None)
        return {name: self.model.slots_of(fewest.store).counts() for name, fewest in counting if fewest is not None}

    def activate(self) -> None:
        self.commit()
        self._target.activate(self)

    def follow(self, old: ModelInstance) -> None:
        """Go on with what packets have written into another pipeline, once this one is activated."""
        self._before = old.model

    def take_over(self) -> None:
        """No frame is under way."""
        if self._before is not None:
            for loss in succeed(self.model, self._before):
                LOG.warning("%s", loss)
            self._before = None

    def adopt(self, contents: Contents, under_way: UnderWay | None = None, advance: Advance = unwatched) -> list[Found]:
        del under_way  # nothing of a model goes on
        fill(self, contents, advance)
        return []

    def listen(self, hearer: Hearer) -> None:
        self._hearer = hearer
        self._target.start_wire()

    def process(self, port: int, frame: bytes) -> Outcome:
        """Run one frame through; the controller hears of what is for it."""
        outcome = self.interpreter.process(port, frame)
        if self._hearer is not None:
            for digest in outcome.digests:
                self._hearer.digest(digest.digest, digest.values)
            for copy in outcome.copies:
                if copy.packet_in is not None:
                    self._hearer.packet_in(copy.packet_in, copy.packet)
        if outcome.packet_in is not None:
            told = self._hearer is not None and self._hearer.packet_in(outcome.packet_in, outcome.packet)
            if not told and outcome.drop_reason is not None:
                reason = self.model.names.drop_reasons[outcome.drop_reason]
                self.model.count(self.model.pipeline.drop_counter, reason.id, len(frame))
        return outcome

    def has_port(self, port: int) -> bool:
        return port in self._target.ports.ports

    def _follow(self, changed: frozenset[int]) -> None:
        for port in changed:
            self.model.set_port(port, is_up=port not in self._target.ports.down)

    def close(self) -> None:
        self._target.ports.leave(self._follow)
        self._target.deactivate(self)

    def remove(self) -> None:
        self.close()

    def commit(self) -> None:
        """No packet has passed since the last one: frames have waited."""
        with _translated():
            self.undo.finish()
        self.undo.clear()

    def insert_entry(self, entry: TableEntry) -> None:
        self._insert(entry)

    def modify_entry(self, entry: TableEntry) -> None:
        row = self.model.match_table(entry.table).row(entry.key)
        if row.meter is not None:
            self.undo.note(partial(row.meter.restore, row.meter.state))
        self._modify(entry, row.entry)

    def delete_entry(self, key: EntryKey) -> None:
        row = self.model.match_table(key.table).row(key)
        with _translated():
            self.model.delete(key)
        self.undo.note(partial(self.model.restore, row))

    def takes_many(self, table: str) -> bool:
        del table
        return False

    def insert_rows(self, codec: TableCodec, rows: Sequence[Row]) -> int:
        return done_one_by_one(lambda row: self.insert_entry(codec.entry(row)), rows, self.undo)

    def modify_rows(self, codec: TableCodec, rows: Sequence[Row]) -> int:
        return done_one_by_one(lambda row: self.modify_entry(codec.entry(row)), rows, self.undo)

    def delete_rows(self, codec: TableCodec, old: Sequence[Row]) -> int:
        return done_one_by_one(lambda row: self.delete_entry(codec.entry_key(row.key)), old, self.undo)

    def insert_member(self, member: Member) -> None:
        self._insert(member)

    @property
    def takes_many_members(self) -> bool:
        return False

    def insert_members(self, members: Sequence[Member]) -> int:
        return done_one_by_one(self.insert_member, members, self.undo)

    def modify_member(self, member: Member) -> None:
        self._modify(member, self.model.selection(member.selector).member(member.id))

    def delete_member(self, selector: str, member_id: int) -> None:
        self._delete(self.model.selection(selector).member(member_id))

    def insert_group(self, group: Group) -> None:
        self._insert(group)

    def modify_group(self, group: Group) -> None:
        self._modify(group, self.model.selection(group.selector).group(group.id))

    def delete_group(self, selector: str, group_id: int) -> None:
        self._delete(self.model.selection(selector).group(group_id))

    def _insert(self, change: Change) -> None:
        with _translated():
            self.model.insert(change, now_ns=self._now_ns)
        self.undo.note(partial(self.model.delete, change))

    def _modify(self, change: Change, old: Change) -> None:
        with _translated():
            self.model.modify(change, now_ns=self._now_ns)
        self.undo.note(partial(self.model.modify, old, now_ns=self._now_ns))

    def _delete(self, old: Member | Group) -> None:
        with _translated():
            self.model.delete(old)
        self.undo.note(partial(self.model.insert, old))

    def put_replication(self, given: MulticastGroup | CloneSession) -> None:
        replication = self.model.replication
        old = replication.find(given)
        replication.put(given)
        self.undo.note(partial(replication.remove, given) if old is None else partial(replication.put, old))

    def delete_replication(self, given: MulticastGroup | CloneSession) -> None:
        self.model.replication.remove(given)
        self.undo.note(partial(self.model.replication.put, given))

    def direct_tallies(self, table: str, keys: Sequence[EntryKey]) -> list[Tally]:
        del table
        with _translated():
            return [_tally(self.model.direct_counter(key)) for key in keys]

    def row_tallies(self, codec: TableCodec, rows: Sequence[Row]) -> Steps[Iterable[Tally]]:
        found: list[Tally] = []
        for at in range(0, len(rows), READ_AT_ONCE):
            found += self.direct_tallies(codec.name, [codec.entry_key(row.key) for row in rows[at : at + READ_AT_ONCE]])
            yield PAUSE
        return found

    def set_direct_tally(self, key: EntryKey, tally: Tally) -> None:
        row = self.model.match_table(key.table).row(key)
        self.undo.at_commit(partial(row.set_tally, tally.packets, tally.bytes))

    def tallies(self, counter: str, first: int, count: int) -> list[Tally]:
        with _translated():
            return [_tally(self.model.indexed_counter(counter, index)) for index in range(first, first + count)]

    def set_tallies(self, counter: str, first: int, count: int, tally: Tally) -> None:
        def change() -> None:
            for index in range(first, first + count):
                self.model.set_indexed_counter(counter, index, ModelTally(tally.packets, tally.bytes))

        self.undo.at_commit(change)

    @property
    def _now_ns(self) -> int:
        return self._clock() * NS_PER_MS

    def configure_meter(self, meter: str, first: int, count: int, config: MeterConfig | None) -> None:
        now_ns = self._now_ns
        for index in range(first, first + count):
            cell = self.model.meter_cell(meter, index)
            self.undo.note(partial(cell.restore, cell.state))
            cell.configure(config, now_ns)

    def meter_tallies(self, meter: str, first: int, count: int) -> list[ColorTallies]:
        return [_colors(self.model.meter_cell(meter, index)) for index in range(first, first + count)]

    def clear_meter_tallies(self, meter: str, first: int, count: int) -> None:
        for index in range(first, first + count):
            self.undo.at_commit(self.model.meter_cell(meter, index).clear_tallies)

    def direct_meter_tallies(self, table: str, keys: Sequence[EntryKey]) -> list[ColorTallies]:
        del table
        return [_colors(self.model.direct_meter(key)) for key in keys]

    def clear_direct_meter_tallies(self, key: EntryKey) -> None:
        self.undo.at_commit(self.model.direct_meter(key).clear_tallies)

    def idle_ms(self, table: str, keys: Sequence[EntryKey]) -> list[int]:
        del table
        now_ms = self._clock()
        return [max(0, now_ms - self.model.seen_ms(key)) for key in keys]

    def learned(self, table: str) -> list[LearnedRow]:
        now = self._clock()
        return [self._row(entry, now) for entry in self.model.learned(table)]

    def find_learned(self, key: EntryKey) -> LearnedRow | None:
        return next((row for row in self.learned(key.table) if row.matches == key.matches), None)

    def delete_learned(self, key: EntryKey) -> None:
        def change() -> None:
            with suppress(NotFound):
                self.model.delete_learned(key)

        self.undo.at_commit(change)

    def tick(self) -> None:
        self.model.sweep(self._clock())

    def _row(self, entry: LearnedEntry, now_ms: int) -> LearnedRow:
        return LearnedRow(
            table=entry.table,
            matches=entry.matches,
            action=entry.action,
            idle_ms=max(0, now_ms - entry.seen_ms),
            timeout_ms=self._timeouts[entry.table, entry.profile],
            packets=entry.packets,
            bytes=entry.bytes,
        )


@contextmanager
def _translated() -> Generator[None]:
    """The device has checked the change already; what the model still refuses keeps its code."""
    try:
        yield
    except ModelError as problem:
        raise RefusedError(Code[problem.code], str(problem)) from problem


def _colors(cell: Cell) -> ColorTallies:
    green, yellow, red = map(_tally, cell.tallies)
    return green, yellow, red


def _tally(tally: ModelTally) -> Tally:
    return Tally(tally.packets, tally.bytes)
