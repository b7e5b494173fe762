"""The interpreter as a level: the one that is right."""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.entries import CloneSession, EntryKey, MeterConfig, MulticastGroup, TableEntry
from compiler.ir.interpreter import Interpreter, LearnedEntry, Model, Outcome, Tally, trace
from compiler.ir.interpreter.matching import NS_PER_MS
from compiler.ir.interpreter.meters import ColorTallies
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from runtime.verification.levels import HASH_SEED, Lookup, ShowsAll, drawn
from runtime.verification.parting import lookups_of
from runtime.verification.vector import START_MS, Change, PacketIn, Step


class InterpreterLevel(ShowsAll):
    """A device on the interpreter. `model` may be read; what changes it goes through the level."""

    name = "interpreter"

    def __init__(self, pipeline: Pipeline, *, hash_seed: int = HASH_SEED) -> None:
        self.pipeline = pipeline
        self.names = Names(pipeline)
        self._hash_seed = hash_seed
        self._now_ns = START_MS * NS_PER_MS
        self.clear()

    def clear(self) -> None:
        self.model = Model(self.pipeline, hash_seed=self._hash_seed)
        self._interpreter = Interpreter(
            self.model,
            clock=lambda: self._now_ns // NS_PER_MS,
            random=lambda width_bits: drawn(self._now_ns // NS_PER_MS, width_bits),
            clock_ns=lambda: self._now_ns,
        )
        self._last: tuple[trace.TraceStep, ...] = ()

    def insert(self, *changes: Change) -> None:
        for change in changes:
            self.model.insert(change, now_ns=self._now_ns)

    def modify(self, change: Change) -> None:
        self.model.modify(change, now_ns=self._now_ns)

    def delete(self, change: Change) -> None:
        self.model.delete(change)

    def set_time(self, now_ms: int, beyond_ns: int = 0) -> None:
        self._now_ns = now_ms * NS_PER_MS + beyond_ns

    def configure_meter(self, meter: str, index: int, config: MeterConfig | None) -> None:
        self.model.configure_meter(meter, index, config, now_ns=self._now_ns)

    def replicate(self, given: MulticastGroup | CloneSession) -> None:
        """One more group or session, or another in its place."""
        self.model.replication.put(given)

    def meter_tallies(self, meter: str, index: int) -> ColorTallies:
        return self.model.meter_cell(meter, index).tallies

    def direct_meter_tallies(self, key: EntryKey) -> ColorTallies:
        return self.model.direct_meter(key).tallies

    def seen_ms(self, key: EntryKey) -> int:
        return self.model.seen_ms(key)

    def sweep(self) -> None:
        self.model.sweep(self._now_ns // NS_PER_MS)

    def takes(self, _: Step, /) -> bool:
        return True

    def process(self, packet: PacketIn) -> Outcome:
        outcome = self._interpreter.process(packet.port, packet.frame, segment_bytes=packet.gso_size)
        self._last = outcome.trace
        return outcome

    def lookups(self) -> tuple[Lookup, ...]:
        return lookups_of(self._last)

    def entries(self) -> tuple[TableEntry, ...]:
        """Those that are not learned, in the order of the tables."""
        return tuple(e for table in self.pipeline.tables if table.store is None for e in self.model.entries(table.name))

    def learned(self, table: str) -> tuple[LearnedEntry, ...]:
        return tuple(replace(e, seen_ms=e.seen_ms & 0xFFFFFFFF) for e in self.model.learned(table))

    def flaws(self) -> tuple[str, ...]:
        found: list[str] = []
        for name, table in {table.store: table.name for table in self.pipeline.tables if table.store}.items():
            slots = {slot.index: slot for slot in self.model.store_of(table).slots()}
            for index, slot in slots.items():
                if slot.pair is not None and (slot.pair not in slots or slots[slot.pair].pair != index):
                    found.append(f"{name}: slot {index} ({slot.table}) has lost its pair, slot {slot.pair}")
        return tuple(found)

    def direct_counter(self, key: EntryKey) -> Tally:
        return self.model.direct_counter(key)

    def indexed_counters(self, counter: str, indices: range) -> tuple[Tally, ...]:
        return tuple(self.model.indexed_counter(counter, index) for index in indices)
