"""The printed C in the kernel, as far as all its levels share it: a loaded program, its maps, what they hold.

Writes entries as the interpreter's `Model` takes them, but checks nothing. What there is to read is in `kernel_state`;
how packets get there is for `testrun_level` and `wire_level`.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Self

from compiler.ir.entries import (
    ActionCall,
    CloneSession,
    EntryKey,
    Exact,
    Group,
    GroupRef,
    Member,
    MemberRef,
    MeterConfig,
    MulticastGroup,
    TableEntry,
)
from compiler.ir.interpreter import Tally
from compiler.ir.interpreter.matching import NS_PER_MS, initial_entry
from compiler.ir.nodes import Pipeline
from compiler.ir.turns import living_slots, slots_of_one
from compiler.printers.ebpf.printing import print_c
from compiler.printers.layout import GroupSlice, MapLayout, TableLayout, layout
from compiler.printers.layout_maps import MapKind
from compiler.printers.layout_meter import direct_meter_name
from compiler.printers.layout_replication import REPLICATION, replication_key, replication_value
from compiler.printers.layout_store import StoreLayout
from compiler.printers.store_programs import (
    end_context,
    read_delete,
    read_sweep,
    remove_ended_context,
    store_programs,
    sweep_context,
)
from runtime.bpf.chains import Hook
from runtime.bpf.machine import machine_constants
from runtime.bpf.object import LoadSettings, load
from runtime.bpf.testrun import run_syscall
from runtime.build import compile_source
from runtime.device.kernel.comparing import Changes
from runtime.device.kernel.defaultmaps import DefaultMap
from runtime.device.kernel.interfaces import DIRECT, OTHER, Interfaces
from runtime.device.kernel.metermaps import MeterMap
from runtime.device.kernel.sidedmap import SidedMap
from runtime.device.kernel.sides import SIDE_MAP, Sides
from runtime.device.kernel.tablemaps import Matches
from runtime.device.kernel.ternarymaps import TernaryMap, with_priority
from runtime.device.records import ZERO, ColorTallies
from runtime.device.undo import UndoLog
from runtime.verification.kernel_state import KernelState
from runtime.verification.levels import COMPARED_INDICES, HASH_SEED
from runtime.verification.vector import START_MS, Change

RING_SLOTS = 1 << 16
TRACING = "tracing"
"""The constant that has a program write its look-ups down (trace.h)."""
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


@cache
def compiled(pipeline: Pipeline, hook: Hook) -> bytes:
    return compile_source(print_c(pipeline), hook)


@dataclass(slots=True)
class _Row:
    """An entry as it was written last, where its counter is, and the place that its ring has."""

    action: ActionCall | MemberRef | GroupRef
    counter: int
    ring: range = range(0)
    is_there: bool = True
    """Not after it was deleted; its counter stays its own."""


@dataclass(slots=True)
class _Selector:
    """What a selector's maps hold: indices of members, and groups as they were given."""

    index: dict[int, int] = field(default_factory=dict[int, int])
    groups: dict[int, Group] = field(default_factory=dict[int, Group])
    given_out: int = 0
    """Indices of members."""
    used: int = 0
    """Slots of the ring."""


class _OneSide(Sides):
    """Here packets always read side 0, and it is written at once: no packet is under way."""

    def write(self, held: SidedMap, key: bytes, value: bytes | None) -> None:
        held.apply(0, {key: value})

    def write_many(self, held: SidedMap, changes: Changes) -> None:
        held.apply(0, changes)


class KernelLevel(KernelState):
    """A loaded program with its maps. Close it, or use it as a context.

    `flags` are constants of the program beside the seed; `elf` runs instead of what `pipeline` is printed to. Without
    `traces` the program is exactly what a device loads, and shows no look-ups.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        hook: Hook,
        *,
        hash_seed: int = HASH_SEED,
        flags: Mapping[str, int] | None = None,
        elf: bytes | None = None,
        traces: bool = True,
    ) -> None:
        self.hook = hook
        source, made = elf or compiled(pipeline, hook), layout(pipeline)
        selectors = [table.selector for table in made.tables if table.selector is not None]
        sizes = {selector.ring.name: RING_SLOTS for selector in selectors}
        own = {"hash_seed": hash_seed, "test_mode": 1, TRACING: int(traces)}
        self.constants = {**own, **machine_constants(), **(flags or {})}
        skip = hook.not_taken(source)
        settings = LoadSettings(name="verification", max_entries=sizes, constants=self.constants, skip=skip)
        loaded = load(source, settings)
        super().__init__(pipeline, made, loaded, is_traced=traces)
        self.program = hook.first(self._object)
        self.interfaces = Interfaces(self._object.map(DIRECT), self._object.map(OTHER))
        self._rows: dict[str, dict[bytes, _Row]] = defaultdict(dict)
        self._now_ns = 0
        self._selectors: dict[str, _Selector] = defaultdict(_Selector)
        self._undo = UndoLog()
        self._side = _OneSide(self.map(SIDE_MAP), self._undo, lambda: None)
        self._meters = {m.name: MeterMap(m, self.map, self._clock_ns, self._side, self._undo) for m in made.meters}
        self._ternary = self._ternary_maps()
        self._ternary_rows: dict[str, dict[Matches, _Row]] = defaultdict(dict)
        self._defaults = self._default_maps()
        self._replicated: dict[bytes, MulticastGroup | CloneSession] = {}
        self.set_time(START_MS)
        self._begin()

    def _begin(self) -> None:
        """As the pipeline has it: entries from the start, default entries as they are at first."""
        for table in self.pipeline.tables:
            for entry in table.entries:
                self._insert_entry(initial_entry(table, entry))
            if table.name in self._defaults:
                self._defaults[table.name].modify(table.default_call)
                self._defaults[table.name].set_tally(ZERO)
        self._side.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.close_rings()
        self._object.close()

    @property
    def instruction_bytes(self) -> int:
        """Bytes of the program after the verifier took dead code out."""
        return self.program.stats.xlated_bytes

    def clear(self) -> None:
        """Take all out that was put in, in a thousandth of the time of a load."""
        for name, rows in self._rows.items():
            table = self.layout.table(name)
            for key, row in rows.items():
                self._remove(*table.place(key))
                if table.counters is not None:
                    self._zero(table.counters, row.counter)
        for name, held in self._ternary.items():
            for named in self._ternary_rows.pop(name, {}):
                held.delete(named)
        for counter in self.pipeline.counters:
            for index in range(min(counter.size, max(COMPARED_INDICES, self.asked.get(counter.name, 0)))):
                self._zero(self.layout.counter(counter.name).map, index)
        for meter in self.layout.meters:
            for index in range(min(meter.size, COMPARED_INDICES)):
                self._meters[meter.name].configure(index, None)
            self._meters[meter.name].clear(0, min(meter.size, COMPARED_INDICES))
        for table in self.layout.tables:
            if table.selector is not None and table.selector.turns is not None:
                turns = table.selector.turns
                for index in range(min(turns.max_entries, COMPARED_INDICES)):
                    self._zero(turns, index)
        self._side.commit()
        for store in self.layout.stores:
            programs = store_programs(store.store.name)
            for name in (store.store.name, programs.tags, *((store.counts.name,) if store.counts else ())):
                with self.map(name).memory() as memory:
                    memory[:] = bytes(len(memory))
            events = programs.events
            for index in range(events.max_entries):
                self._zero(events, index)
        for given in self._replicated.values():
            self.map(REPLICATION).delete(replication_key(given))
        self._replicated.clear()
        self._rows.clear()
        self._selectors.clear()
        self._begin()

    def insert(self, *changes: Change) -> None:
        for change in changes:
            match change:
                case TableEntry():
                    self._insert_entry(change)
                case Member():
                    self._insert_member(change)
                case Group():
                    self._selectors[change.selector].groups[change.id] = change
        self._side.commit()

    def modify(self, change: Change) -> None:
        self.insert(change)
        if isinstance(change, Group):
            self._write_rings(change)

    def delete(self, change: Change) -> None:
        """A deleted entry's counter is not given out again before `clear`."""
        match change:
            case TableEntry():
                self._delete_entry(change)
            case Member():
                pass  # one of the same id gets its number again, for which its connections count
            case Group():
                self._selectors[change.selector].groups.pop(change.id)
        self._side.commit()

    def set_time(self, now_ms: int, beyond_ns: int = 0) -> None:
        self._now_ns = now_ms * NS_PER_MS + beyond_ns
        self.map("test_clock").update(_U32.pack(0), _U64.pack(now_ms))
        if self._meters:
            self.map("test_clock_ns").update(_U32.pack(0), _U64.pack(beyond_ns))

    def _clock_ns(self) -> int:
        return self._now_ns

    def configure_meter(self, meter: str, index: int, config: MeterConfig | None) -> None:
        self._meters[meter].configure(index, config)
        self._side.commit()

    def replicate(self, given: MulticastGroup | CloneSession) -> None:
        """One more group or session, or another in its place."""
        key = replication_key(given)
        self.map(REPLICATION).update(key, replication_value(given))
        self._replicated[key] = given

    def meter_tallies(self, meter: str, index: int) -> ColorTallies:
        return self._meters[meter].tallies([index])[0]

    def direct_meter_tallies(self, key: EntryKey) -> ColorTallies:
        row = self._rows[key.table][self.layout.table(key.table).encode_key(key.matches)]
        return self._meters[direct_meter_name(key.table)].tallies([row.counter])[0]

    def seen_ms(self, key: EntryKey) -> int:
        table = self.layout.table(key.table)
        assert table.seen is not None
        with self.map(table.seen.name).memory() as memory:
            return _U64.unpack_from(memory, _U64.size * self._rows[key.table][table.encode_key(key.matches)].counter)[0]

    def sweep(self) -> None:
        for store in self.pipeline.stores:
            program, first = self._object.program(store_programs(store.name).sweep), 0
            while first < store.size:
                swept = read_sweep(run_syscall(program.fd, sweep_context(first)).context)
                assert swept.next_slot > first
                assert swept.busy == 0
                first = swept.next_slot

    def direct_counter(self, key: EntryKey) -> Tally:
        table = self.layout.table(key.table)
        assert table.counters is not None
        if key.is_default:
            tally = self._defaults[key.table].tally()
            return Tally(tally.packets, tally.bytes)
        if key.table in self._ternary:
            tally = self._ternary[key.table].tallies([with_priority(key.matches, key.priority)])[0]
            return Tally(tally.packets, tally.bytes)
        return self.tally(table.counters, self._rows[key.table][table.encode_key(key.matches)].counter)

    def _insert_entry(self, entry: TableEntry) -> None:
        table = self.layout.table(entry.table)
        if entry.is_default:
            assert isinstance(entry.action, ActionCall)
            self._defaults[entry.table].modify(entry.action)
            return
        if entry.table in self._ternary:
            self._insert_ternary(entry, table)
            return
        rows, key = self._rows[entry.table], table.encode_key(entry.matches)
        is_new = key not in rows or not rows[key].is_there
        row = rows.setdefault(key, _Row(entry.action, len(rows) + 1 if table.indices else 0))
        row.action, row.is_there = entry.action, True
        self._write_beside(table, row.counter, entry, is_new=is_new)
        if table.selector is None:
            assert isinstance(entry.action, ActionCall)
            value = table.encode_value(entry.action, row.counter)
        else:
            value = table.encode_group(self._slice(table, row))
        held, place = table.place(key)
        self.map(held.name).update(place, value)

    def _ternary_maps(self) -> dict[str, TernaryMap]:
        """The device's own hands for tables with masks; how entries become places is not for this module."""
        found: dict[str, TernaryMap] = {}
        for table in self.layout.tables:
            if table.masks is not None and table.mask_map is not None:
                maps = (self.map(table.map.name), self.map(table.mask_map.name))
                counters = self.map(table.counters.name) if table.counters is not None else None
                found[table.table] = TernaryMap(table, table.masks, *maps, counters, self._side, self._undo)
        return found

    def _default_maps(self) -> dict[str, DefaultMap]:
        found: dict[str, DefaultMap] = {}
        for table in self.layout.tables:
            if table.default is not None:
                counters = self.map(table.counters.name) if table.counters is not None else None
                initial = next(t.default_call for t in self.pipeline.tables if t.name == table.table)
                held = self.map(table.default.map.name)
                found[table.table] = DefaultMap(table.default, initial, held, counters, self._side, self._undo)
        return found

    def _insert_ternary(self, entry: TableEntry, table: TableLayout) -> None:
        rows, named = self._ternary_rows[entry.table], with_priority(entry.matches, entry.priority)
        is_new = named not in rows
        row = rows.setdefault(named, _Row(entry.action, 0))
        row.action = entry.action
        value = entry.action if isinstance(entry.action, ActionCall) else self._slice(table, row)
        (self._ternary[entry.table].insert if is_new else self._ternary[entry.table].modify)(named, value)

    def _write_beside(self, table: TableLayout, index: int, entry: TableEntry, *, is_new: bool) -> None:
        """What lies beside an entry, by its index."""
        meter = self._meters.get(direct_meter_name(entry.table))
        if meter is not None and is_new:
            meter.begin(index, entry.meter)
        elif meter is not None:
            meter.configure(index, entry.meter)
        if table.seen is not None and is_new:
            self.map(table.seen.name).update(_U32.pack(index), _U64.pack(self._now_ns // NS_PER_MS))

    def _insert_member(self, member: Member) -> None:
        selector = next(t.selector for t in self.layout.tables if t.selector and t.selector.name == member.selector)
        held = self._selectors[member.selector]
        if member.id not in held.index:
            held.index[member.id] = held.given_out
            held.given_out += 1
        at, number = _U32.pack(held.index[member.id]), held.index[member.id] + 1 if selector.counts_in else 0
        self.map(selector.members.name).update(at, selector.member.encode(member.action, number))

    def _slice(self, table: TableLayout, row: _Row) -> GroupSlice:
        """Write the ring of an entry's group or member, where its last one was if it fits."""
        assert table.selector is not None
        held, ring = self._selectors[table.selector.name], self.map(table.selector.ring.name)
        in_turn = table.selector.turns is not None
        match row.action:
            case GroupRef(group_id=group_id):
                slots = living_slots(held.groups[group_id].members, (), in_turn=in_turn)
            case MemberRef(member_id=member_id):
                slots = slots_of_one(member_id, in_turn=in_turn)
            case ActionCall():
                raise AssertionError("a table with a selector has no actions of its own")
        size = len(slots.members)
        if size > len(row.ring):
            row.ring = range(held.used, held.used + size)
            held.used = row.ring.stop
        for at, member in zip(row.ring, slots.members, strict=False):
            ring.update(_U32.pack(at), _U32.pack(held.index[member]))
        return GroupSlice(offset=row.ring.start, size=size, cycle=slots.cycle_size, counter=row.counter)

    def _delete_entry(self, entry: TableEntry) -> None:
        store = next((s for s in self.layout.stores if entry.table in (t.table for t in s.tables)), None)
        if store is not None:
            self._delete_learned(entry, store)
            return
        table = self.layout.table(entry.table)
        if entry.table in self._ternary:
            named = with_priority(entry.matches, entry.priority)
            self._ternary[entry.table].delete(named)
            del self._ternary_rows[entry.table][named]
            return
        key = table.encode_key(entry.matches)
        self._remove(*table.place(key))
        self._rows[entry.table][key].is_there = False
        if table.counters is not None:
            self._zero(table.counters, self._rows[entry.table][key].counter)

    def _delete_learned(self, entry: TableEntry, store: StoreLayout) -> None:
        """With its pair, as a device does in a batch: it ends, then it goes."""
        program = self._object.program(store_programs(store.store.name).end_key)
        key = tuple(match.value for match in entry.matches if isinstance(match, Exact))
        for context in (end_context(store, entry.table, key, 0), remove_ended_context(store, entry.table, key)):
            deleted = read_delete(run_syscall(program.fd, context).context)
            assert not deleted.busy
        assert deleted.removed

    def _write_rings(self, group: Group) -> None:
        """Of the entries that lead to a changed group."""
        for table in self.layout.tables:
            if table.selector is not None and table.selector.name == group.selector:
                for key, row in self._rows[table.table].items():
                    if row.action == GroupRef(group_id=group.id):
                        value = table.encode_group(self._slice(table, row))
                        self.map(table.map.name).update(key, value)
                for named, row in self._ternary_rows[table.table].items():
                    if row.action == GroupRef(group_id=group.id):
                        self._ternary[table.table].modify(named, self._slice(table, row))

    def _remove(self, held: MapLayout, key: bytes) -> None:
        if held.kind is MapKind.ARRAY:
            self.map(held.name).update(key, bytes(held.value_size))
        else:
            self.map(held.name).delete(key)

    def _zero(self, held: MapLayout, index: int) -> None:
        counters = self.map(held.name)
        counters.update(_U32.pack(index), bytes(counters.details.buffer_size))
