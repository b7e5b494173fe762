"""One device twice, on the interpreter and in the kernel, kept in step: packets, sweeps and writes go to both.

A loaded program serves many examples: `Loaded.clear` makes it as new, which takes a thousandth of a load's time.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from scapy.layers.l2 import Ether

from compiler.ir.entries import Group, GroupRef, Member, TableEntry
from compiler.ir.interpreter import Interpreter, LearnedEntry, Model, Outcome, trace_to_text
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.printers.layout_tables import MapKind, MapLayout
from compiler.printers.store_programs import read_sweep, store_programs, sweep_context
from runtime.bpf.testrun import run_syscall
from runtime.build import Hook
from tests.differential.kernel import Kernel
from tests.scenario import Clock

HASH_SEED = 0x7475726E6F7574
START_MS = (1 << 32) - 60_000
"""A minute before the 32 bits wrap that slots keep of a time."""
LONGEST_MS = (1 << 31) - 1
"""Ages are differences in 32 bits, so what lasts longer is another matter."""
COUNTERS = {"drops": range(12), "service_requests": range(12), "service_replies": range(12)}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_IPV4, _IPV6, _VLAN = b"\x08\x00", b"\x86\xdd", b"\x81\x00"
_SHORTEST = {_IPV4: 34, _IPV6: 54, _VLAN: 18}


class Loaded(Kernel):
    """A loaded program that can be emptied, swept, and whose entries can leave."""

    def __init__(self, pipeline: Pipeline, hook: Hook, *, flags: Mapping[str, int] | None = None) -> None:
        self.clock = Clock()
        super().__init__(pipeline, hook, clock=self.clock, hash_seed=HASH_SEED, flags=flags)

    def __enter__(self) -> Loaded:
        return self

    def clear(self) -> None:
        """No entries, no connections, no counts."""
        for name, rows in self._rows.items():
            table = self.layout.table(name)
            for key, row in rows.items():
                self._remove(table.map, key)
                if table.counters is not None:
                    self._zero(table.counters, row.counter)
        for counter, indices in COUNTERS.items():
            for index in indices:
                self._zero(self.layout.counter(counter).map, index)
        for store in self.pipeline.stores:
            with self.map(store.name).memory() as memory:
                memory[:] = bytes(len(memory))
        self._rows.clear()
        self._selectors.clear()

    def delete(self, entry: TableEntry) -> None:
        """Take an entry out; its counter is not given out again before `clear`."""
        table = self.layout.table(entry.table)
        key = table.encode_key(entry.matches)
        self._remove(table.map, key)
        if table.counters is not None:
            self._zero(table.counters, self._rows[entry.table][key].counter)

    def sweep(self) -> None:
        """Every slot of every store, at the time of the clock."""
        self.map("test_clock").update(_U32.pack(0), _U64.pack(self._clock()))
        for store in self.pipeline.stores:
            program = self._object.program(store_programs(store.name).sweep)
            swept = read_sweep(run_syscall(program.fd, sweep_context(0)).context)
            assert (swept.next_slot, swept.busy) == (store.size, 0)

    def _remove(self, held: MapLayout, key: bytes) -> None:
        if held.kind is MapKind.ARRAY:
            self.map(held.name).update(key, bytes(held.value_size))
        else:
            self.map(held.name).delete(key)

    def _zero(self, held: MapLayout, index: int) -> None:
        counters = self.map(held.name)
        counters.update(_U32.pack(index), bytes(counters.details.buffer_size))


@dataclass
class Twin:
    """A new device on a program that may have served others before."""

    kernel: Loaded
    history: list[str] = field(default_factory=list[str])
    """What was done so far, for the report of a difference."""

    def __post_init__(self) -> None:
        self.clock, self.pipeline = self.kernel.clock, self.kernel.pipeline
        self.names = Names(self.pipeline)
        self.kernel.clear()
        self.clock.now_ms = START_MS
        self.model = Model(self.pipeline, hash_seed=HASH_SEED)
        self.interpreter = Interpreter(self.model, clock=self.clock, random=lambda width: 0)

    def insert(self, *changes: TableEntry | Member | Group) -> None:
        for change in changes:
            self.model.insert(change)
        self.kernel.insert(*changes)

    def modify(self, change: TableEntry | Member | Group) -> None:
        self.model.modify(change)
        self.kernel.insert(change)
        if isinstance(change, Group):
            self._write_rings(change)

    def _write_rings(self, group: Group) -> None:
        for table in self.pipeline.tables:
            if table.selector is not None and table.selector.name == group.selector:
                entries = self.model.entries(table.name)
                self.kernel.insert(*(e for e in entries if e.action == GroupRef(group_id=group.id)))

    def delete(self, entry: TableEntry) -> None:
        self.model.delete(entry.key)
        self.kernel.delete(entry)

    def entries(self) -> tuple[TableEntry, ...]:
        """Those that are not learned, in the order of the tables."""
        return tuple(e for table in self.pipeline.tables if table.store is None for e in self.model.entries(table.name))

    def wait(self, step_ms: int) -> None:
        if self.clock.now_ms + step_ms - START_MS <= LONGEST_MS:
            self.clock.now_ms += step_ms
            self.history.append(f"+{step_ms} ms")

    def sweep(self) -> None:
        self.history.append("sweep")
        self.model.sweep(self.clock.now_ms)
        self.kernel.sweep()

    def process(self, port: int, frame: bytes) -> Outcome | None:
        """The outcome that both give, with the interpreter's trace; None for a frame that no test run takes."""
        if len(frame) < _SHORTEST.get(frame[12:14], 14):
            return None
        wanted = self.interpreter.process(port, frame)
        got = self.kernel.process(port, frame)
        self.history.append(f"port {port}: {frame.hex()}")
        assert got == replace(wanted, trace=()), self._difference(port, frame, wanted, got)
        return wanted

    def compare_state(self) -> None:
        """Learned entries and all counters."""
        for table in self.pipeline.tables:
            if table.store is not None:
                wanted = tuple(_in_32_bits(entry) for entry in self.model.learned(table.name))
                got = self.kernel.learned(table.name)
                assert got == wanted, self._told(f"learned entries of {table.name}", wanted, got)
        for entry in self.entries():
            if self.names.tables[entry.table].counter_id is not None:
                wanted, got = self.model.direct_counter(entry.key), self.kernel.direct_counter(entry.key)
                assert got == wanted, self._told(f"counter of {entry}", wanted, got)
        for counter, indices in COUNTERS.items():
            wanted = tuple(self.model.indexed_counter(counter, index) for index in indices)
            got = self.kernel.tallies(counter, indices)
            assert got == wanted, self._told(f"counter {counter}", wanted, got)

    def _difference(self, port: int, frame: bytes, wanted: Outcome, got: Outcome) -> str:
        return self._told(
            f"{Ether(frame).summary()}, by port {port}\n{frame.hex()}\ntrace:\n{trace_to_text(wanted.trace)}",
            f"{_outcome_text(wanted)}\n{wanted.packet.hex()}",
            f"{_outcome_text(got)}\n{got.packet.hex()}",
        )

    def _told(self, what: str, wanted: object, got: object) -> str:
        before = "\n".join(self.history)
        hook = self.kernel.hook.name
        return f"{what}\n-- interpreter: {wanted}\n-- eBPF ({hook}): {got}\n-- all that was done:\n{before}"


def _in_32_bits(entry: LearnedEntry) -> LearnedEntry:
    return replace(entry, seen_ms=entry.seen_ms & 0xFFFFFFFF)


def _outcome_text(outcome: Outcome) -> str:
    shown = Ether(outcome.packet).summary() if outcome.packet else ""
    return f"{outcome.verdict.value} port={outcome.egress_port} reason={outcome.drop_reason} {shown}"
