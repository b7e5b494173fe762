"""A tiny store twice: as the IR's model, and as the flow table's C in the kernel, with one way to look at both.

`Kernel` runs tests/unit/flow_table/programs/tiny.bpf.c; `TINY` is what that program states in C.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from compiler.ir.entries import ActionCall
from compiler.ir.expressions import MetaRef
from compiler.ir.interpreter.learning import Slot, SlotStore
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Action, ActionRef, Key, Param, Profile, Store, Table, Transition
from compiler.printers.layout_store import StoreLayout, store_layout
from compiler.printers.layout_values import action_layout
from compiler.printers.store_programs import (
    Deleted,
    StoreEvent,
    Swept,
    delete_slot_context,
    end_context,
    read_delete,
    read_sweep,
    remove_ended_context,
    store_programs,
    sweep_context,
)
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.testrun import run_syscall
from runtime.bpf.toolchain import Compiler, compile_c

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "unit" / "flow_table" / "programs" / "tiny.bpf.c"
INCLUDE = [ROOT / "ebpf" / "include"]
SEED = 0x5EED_0123_4567_89AB
COUNTED = 7
"""The number of the member that a connection counts for."""
FULL, LEARNED, KNOWN = range(3)
OPERATION = struct.Struct("<4Q" + 2 * "IHHQ" + "4I" + "2I" + "IHHQ")

NEW, ESTABLISHED, CLOSING, SHORT = 1, 2, 3, 4
EVENTS = ("data", "close", "reopen")
TINY = Store(
    name="tiny",
    size=8,
    ways=4,
    profiles=(
        Profile(name="new", id=NEW, timeout_ms=60, rank=0),
        Profile(name="established", id=ESTABLISHED, timeout_ms=1000, rank=2),
        Profile(name="closing", id=CLOSING, timeout_ms=120, rank=1, is_over=True),
        Profile(name="short", id=SHORT, timeout_ms=30, rank=0),
    ),
    events=EVENTS,
    transitions=(
        Transition(current="new", event="data", other="short", next="short", other_next="established"),
        Transition(current="new", event="data", next="established"),
        Transition(current="short", event="data", next="closing"),
        Transition(current="new", event="close", next="closing"),
        Transition(current="established", event="close", other="closing", next="short", other_next="short"),
        Transition(current="established", event="close", next="closing"),
        Transition(current="short", event="close", next="short", other_next="closing"),
        Transition(current="closing", event="reopen", next="new"),
    ),
)
Words = tuple[int, int]
Arguments = tuple[int, int, int, int]


def _table(number: int) -> Table:
    keys = tuple(Key(name=name, id=i, expr=MetaRef(name=name, width_bits=64)) for i, name in enumerate("ab", 1))
    return Table(
        name=f"table_{number}",
        id=number,
        keys=keys,
        actions=(ActionRef(name="use"),),
        default_action="miss",
        size=8,
        store=TINY.name,
    )


TABLES = (_table(1), _table(2))
USE = Action(
    name="use",
    id=1,
    params=tuple(
        Param(name=name, id=i, width_bits=width)
        for i, (name, width) in enumerate((("address", 32), ("port", 16), ("nexthop", 16), ("mark", 64)), 1)
    ),
)


def tiny_layout() -> StoreLayout:
    """The layout that printers would give the tiny store."""
    pipeline = Pipeline(
        name="tiny",
        version="1",
        header_types=(),
        headers=(),
        metadata=(),
        parser=(),
        actions=(USE,),
        stores=(TINY,),
        tables=TABLES,
        counters=(),
        drop_counter="",
        drop_reasons=(),
        controls=(),
        main="",
    )
    return store_layout(TINY, pipeline, {"use": action_layout(USE)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A slot in use, as both sides can tell it. `pair` is the index of the other half, `seen_ms` its low 32 bits."""

    table: str
    key: tuple[int, ...]
    arguments: tuple[int, ...]
    profile: int
    seen_ms: int
    packets: int
    bytes: int
    pair: int | None


def elf(compiler: Compiler | None = None) -> bytes:
    """The test program, compiled."""
    return compile_c(SOURCE.read_text(), name=SOURCE.name, include_dirs=INCLUDE, compiler=compiler)


class Kernel:
    """The tiny store in the kernel. Close it."""

    def __init__(self, *, test_mode: bool = True, hammered_keys: int = 1) -> None:
        constants: dict[str, int | bytes] = {"hash_seed": SEED, "test_mode": test_mode, "hammered_keys": hammered_keys}
        self.object: Object = load(elf(), LoadSettings(constants=constants))
        self.layout = tiny_layout()
        self.names = store_programs("tiny")
        self.slots_memory: mmap.mmap = self.object.map("tiny").memory()
        self.counts_memory: mmap.mmap = self.object.map("tiny_counts").memory()

    def close(self) -> None:
        self.counts_memory.close()
        self.slots_memory.close()
        self.object.close()

    def clear(self) -> None:
        """Forget all entries and events."""
        size = self.layout.map.value_size * TINY.size
        self.slots_memory[:size] = bytes(size)
        self.counts_memory[:] = bytes(len(self.counts_memory))
        events = self.object.map(self.names.events.name)
        for index in range(self.names.events.max_entries):
            events.update(struct.pack("=I", index), bytes(events.details.buffer_size))

    def set_clock(self, now_ms: int) -> None:
        self.object.map("test_clock").update(bytes(4), struct.pack("=Q", now_ms))

    def find(self, key: Words, event: int, length: int) -> tuple[int, Arguments] | None:
        """Table number and arguments of a hit, which counts `length` bytes and tells `event` (0 none, or + 1)."""
        values = self._run("find", (key, (0, 0)), ((0, 0, 0, 0), (0, 0, 0, 0)), 0, 0, event, length)
        *_, hit, table, address, port, nexthop, mark = values
        return (table, (address, port, nexthop, mark)) if hit else None

    def learn(self, keys: tuple[Words, ...], arguments: tuple[Arguments, ...], profile: int) -> tuple[int, ...]:
        """What each of one or two Learns of a packet came to."""
        values = self._run("learn", (keys[0], keys[-1]), (arguments[0], arguments[-1]), len(keys), profile, 0, 0)
        return values[16 : 16 + len(keys)]

    def sweep(self, first: int = 0, count: int = TINY.size) -> Swept:
        return read_sweep(self._syscall(self.names.sweep, sweep_context(first, count)))

    def delete_key(self, key: Words) -> Deleted:
        """End it and remove it, as the device does with packets in between; of whichever table it is."""
        tables = [table.table for table in self.layout.tables]
        ended = [self._end(end_context(self.layout, table, key, 0)) for table in tables]
        if any(one.busy for one in ended):
            return Deleted(removed=0, busy=True)
        return self.remove_ended(key)

    def remove_ended(self, key: Words) -> Deleted:
        """Remove it if it was ended, and somebody was at it then."""
        tables = [table.table for table in self.layout.tables]
        removed = [self._end(remove_ended_context(self.layout, table, key)) for table in tables]
        return Deleted(removed=sum(one.removed for one in removed), busy=any(one.busy for one in removed))

    def _end(self, context: bytes) -> Deleted:
        return read_delete(self._syscall(self.names.end_key, context))

    def delete_slot(self, slot: int, version: int) -> Deleted:
        return read_delete(self._syscall(self.names.delete_slot, delete_slot_context(slot, version)))

    def raw_slot(self, index: int) -> bytes:
        size = self.layout.map.value_size
        return self.slots_memory[index * size : (index + 1) * size]

    def version(self, index: int) -> int:
        return struct.unpack_from("<I", self.raw_slot(index), self.layout.head_offset)[0]

    def slots(self) -> dict[int, Seen]:
        """Slots in use by index."""
        decoded = {index: self.layout.decode_slot(self.raw_slot(index)) for index in range(TINY.size)}
        return {
            index: Seen(
                table=slot.table.table,
                key=slot.key,
                arguments=slot.arguments,
                profile=slot.head.profile,
                seen_ms=slot.head.seen_ms,
                packets=slot.head.packets,
                bytes=slot.head.bytes,
                pair=slot.head.pair - 1 if slot.head.pair else None,
            )
            for index, slot in decoded.items()
            if slot is not None
        }

    def counts(self) -> Counter[int]:
        """What the kernel says how many entries count for each number, those with none left out."""
        words = struct.unpack("=16Q", self.counts_memory[: 16 * 8])
        return Counter({number: count for number, count in enumerate(words) if count})

    def true_counts(self) -> Counter[int]:
        """How many it is by the slots."""
        decoded = (self.layout.decode_slot(self.raw_slot(index)) for index in range(TINY.size))
        heads = (slot.head for slot in decoded if slot is not None)
        return Counter(head.counted for head in heads if head.counted and head.profile != CLOSING)

    def events(self) -> Counter[int]:
        """Counted events by number, those that never happened left out."""
        events = self.object.map(self.names.events.name)
        found: Counter[int] = Counter()
        for key, value in events.items():
            total = sum(struct.unpack("=Q", each)[0] for each in events.split_per_cpu(value))
            if total:
                found[struct.unpack("=I", key)[0]] = total
        return found

    def _run(
        self,
        program: str,
        keys: tuple[Words, Words],
        arguments: tuple[Arguments, Arguments],
        halves: int,
        profile: int,
        event: int,
        length: int,
    ) -> tuple[int, ...]:
        context = OPERATION.pack(
            *keys[0], *keys[1], *arguments[0], *arguments[1], halves, profile, event, length, 0, 0, 0, 0, 0, 0
        )
        return OPERATION.unpack(self._syscall(program, context))

    def _syscall(self, program: str, context: bytes) -> bytes:
        return run_syscall(self.object.program(program).fd, context).context


class Reference:
    """The same store in the IR's model, with the events that the kernel counts."""

    def __init__(self) -> None:
        self.store = SlotStore(TINY, TABLES, SEED)
        self.events: Counter[int] = Counter()

    def find(self, key: Words, event: int, length: int, now_ms: int) -> tuple[int, Arguments] | None:
        slot = self.store.find(key)
        if slot is None:
            return None
        self.store.touch(slot, now_ms, length)
        if event:
            self.store.advance(slot, EVENTS[event - 1])
        address, port, nexthop, mark = slot.action.arguments
        return int(slot.table.removeprefix("table_")), (address, port, nexthop, mark)

    def learn(
        self, keys: tuple[Words, ...], arguments: tuple[Arguments, ...], profile: int, now_ms: int
    ) -> tuple[int, ...]:
        kept: list[Slot] = []
        for table, key, values in zip(TABLES, keys, arguments, strict=False):
            ranks = {slot.index: self._standing(slot, now_ms) for slot in self.store.slots()}
            call = ActionCall(action="use", arguments=values)
            places, counted = [slot.index for slot in kept], COUNTED if table is TABLES[0] else None
            result = self.store.learn(table.name, key, call, profile, now_ms, places, counted)
            if result.left:
                self.events[ranks[result.left[0][0].index]] += len(result.left)
            if result.slot is None:
                self.events[StoreEvent.FULL] += 1
                self._withdraw(kept)
                return (*(LEARNED for _ in kept), FULL, *(0 for _ in keys))[: len(keys)]
            self.events[StoreEvent.LEARNED] += 1
            kept.append(result.slot)
        return tuple(LEARNED for _ in keys)

    def sweep(self, now_ms: int) -> int:
        removed = len(self.store.sweep(now_ms))
        self._count(StoreEvent.EXPIRED, removed)
        return removed

    def delete(self, slot: Slot | None) -> int:
        removed = len(self.store.remove(slot)) if slot is not None else 0
        self._count(StoreEvent.DELETED, removed)
        return removed

    def slot(self, index: int) -> Slot | None:
        return next((slot for slot in self.store.slots() if slot.index == index), None)

    def slots(self) -> dict[int, Seen]:
        return {
            slot.index: Seen(
                table=slot.table,
                key=slot.key,
                arguments=slot.action.arguments,
                profile=slot.profile.id,
                seen_ms=slot.seen_ms & 0xFFFFFFFF,
                packets=slot.packets,
                bytes=slot.bytes,
                pair=slot.pair,
            )
            for slot in self.store.slots()
        }

    def _standing(self, slot: Slot, now_ms: int) -> int:
        expired = now_ms - slot.seen_ms >= slot.profile.timeout_ms
        return StoreEvent.EVICTED_EXPIRED if expired else StoreEvent.EVICTED + slot.profile.rank

    def _withdraw(self, kept: list[Slot]) -> None:
        for slot in kept:
            self._count(StoreEvent.WITHDRAWN, len(self.store.remove(slot)))

    def _count(self, event: StoreEvent, entries: int) -> None:
        if entries:
            self.events[event] += entries
