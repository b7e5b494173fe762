"""Learned entries: reading slots, and the programs that sweep and end them (ebpf/include/turnout/flow_programs.h)."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable, Container, Iterator, Mapping

from compiler.ir.entries import ActionCall, EntryKey, Exact
from compiler.ir.hashing import mix64
from compiler.printers.layout import Slot, StoreLayout
from compiler.printers.store_programs import (
    end_context,
    ended_mark,
    go_on_context,
    read_delete,
    read_sweep,
    remove_ended_context,
    sweep_context,
    without_mark,
)
from runtime.bpf.errors import BpfError
from runtime.bpf.maps import Map
from runtime.bpf.program import Program
from runtime.bpf.testrun import run_syscall
from runtime.device.refusals import Code, RefusedError
from runtime.device.target import LearnedRow
from runtime.device.undo import UndoLog

LOG = logging.getLogger("turnout.device")
ATTEMPTS = 50
_MS_MASK = (1 << 32) - 1


def clock_ms() -> int:
    """The data plane's clock (clock_ns_to_ms in clock.h)."""
    return (time.monotonic_ns() >> 19) * 8796093 >> 24


def now_ms() -> int:
    """Its low 32 bits, as slots keep them."""
    return clock_ms() & _MS_MASK


def idle_ms(now: int, seen: int) -> int:
    """Milliseconds between two 32-bit times; packets may be a tick ahead of us."""
    age = (now - seen) & _MS_MASK
    return 0 if age >> 31 else age


class StoreMap:
    """One store: its slots, and its two programs.

    Entries that a batch takes away are a part of its one step (`sides`). First they are marked as ended for the packets
    that are to come; those that are under way still meet them. They are removed when the last of these has left.
    """

    def __init__(
        self, store: StoreLayout, slots: Map, sweep: Program, end: Program, hash_seed: int, undo: UndoLog
    ) -> None:
        self._layout = store
        self._map = slots
        self._sweep = sweep
        self._end = end
        self._seed = hash_seed
        self._undo = undo
        self._ending: dict[EntryKey, None] = {}
        self._ended: dict[EntryKey, None] = {}
        self._timeouts = {profile.id: profile.timeout_ms for profile in store.store.profiles}

    def rows(self, table: str) -> Iterator[LearnedRow]:
        """All entries of a table as they were when this was called; decoded as they are asked for."""
        size, version_at = self._layout.map.value_size, self._layout.head_offset
        index, table_at = self._layout.learned_table(table).index, version_at + 4
        with self._map.memory() as live:
            copy = live[: size * self._layout.map.max_entries]
            used = [slot * size for slot, number in enumerate(copy[table_at::size]) if number == index]
            # A slot that was written while it was copied has another version by now.
            whole = [
                at for at in used if copy[at + version_at : at + table_at] == live[at + version_at : at + table_at]
            ]
        now = now_ms()
        decoded = (self._layout.decode_slot(copy[at : at + size]) for at in whole)
        return (self._row(slot, now) for slot in decoded if slot is not None)

    def find(self, key: EntryKey) -> LearnedRow | None:
        values = _values(key)
        wanted, head_at = self._layout.encode_key(values), self._layout.head_offset
        for index in self._candidates(values):
            raw = self._map.lookup(struct.pack("=I", index))
            if raw is None or raw[:head_at] != wanted:
                continue
            slot = self._layout.decode_slot(raw)
            if slot is not None and slot.table.table == key.table:
                return self._row(slot, now_ms())
        return None

    @property
    def name(self) -> str:
        return self._layout.store.name

    def inherit(self, side: int, wait_for_packets: Callable[[], None]) -> None:
        """Of a pipeline whose packets are on `side`: what has ended for them is removed, what would have, goes on.

        A device that was killed leaves such marks. Raises `RefusedError`.
        """
        marked = list(self._marked())
        if marked:
            wait_for_packets()
        for slot, marks in marked:
            context = remove_ended_context if marks & ended_mark(side) else go_on_context
            self._run(slot.table.table, context(self._layout, slot.table.table, slot.key))

    def _marked(self) -> Iterator[tuple[Slot, int]]:
        """Entries with the byte of their table, which has marks."""
        size, table_at = self._layout.map.value_size, self._layout.head_offset + 4
        with self._map.memory() as live:
            copy = live[: size * self._layout.map.max_entries]
        for slot, table in enumerate(copy[table_at::size]):
            if table == without_mark(table):
                continue
            raw = bytearray(copy[slot * size : (slot + 1) * size])
            raw[table_at] = without_mark(table)
            found = self._layout.decode_slot(bytes(raw))
            if found is not None:
                yield found, table

    def delete(self, key: EntryKey) -> None:
        """Have an entry, if it is there, and its pair end with the batch."""
        self._undo.put(self._ending, key, None)

    @property
    def is_changed(self) -> bool:
        return bool(self._ending)

    @property
    def lag(self) -> int:
        return len(self._ended)

    def stage(self, side: int) -> None:
        for key in self._ending:
            self._run(key.table, end_context(self._layout, key.table, _values(key), side))

    def take_back(self, read: int) -> None:
        del read
        for key in self._ending:
            try:
                self._run(key.table, go_on_context(self._layout, key.table, _values(key)))
            except RefusedError as refusal:
                LOG.warning("an entry ends all the same: %s", refusal)

    def turn(self) -> None:
        self._ended, self._ending = self._ending, {}

    def catch_up(self, side: int) -> None:
        del side
        for key in self._ended:
            self._run(key.table, remove_ended_context(self._layout, key.table, _values(key)))
        self._ended = {}

    def catch_up_at_once(self, _side: int, /) -> bool:
        """Packets that are on the side still meet what ends."""
        return False

    def _run(self, table: str, context: bytes) -> None:
        """Raises UNAVAILABLE when packets do not let go of an entry."""
        for _ in range(ATTEMPTS):
            if not read_delete(run_syscall(self._end.fd, context).context).busy:
                return
        raise RefusedError(Code.UNAVAILABLE, f"table {table}: packets are changing the entry; try again")

    def sweep(self) -> bool:
        """Remove what has had its time. Returns whether anything is left."""
        if self._ending or self._ended:
            return True  # a step is under way, and packets of before may still meet what ends with it
        first, slots, left = 0, self._layout.map.max_entries, 0
        while first < slots:
            swept = read_sweep(run_syscall(self._sweep.fd, sweep_context(first)).context)
            left += sum(swept.live) + swept.busy
            if swept.next_slot <= first:
                return True
            first = swept.next_slot
        return left > 0

    def _candidates(self, values: tuple[int, ...]) -> Iterator[int]:
        """The slots where a key may be (docstring of `compiler.ir.tables.Store`)."""
        digest = mix64(self._seed, zip(values, self._layout.key_widths, strict=True))
        ways, sets = self._layout.store.ways, self._layout.sets
        for chosen in (digest % sets, (digest >> 32) % sets):
            yield from range(chosen * ways, chosen * ways + ways)

    def _row(self, slot: Slot, now: int) -> LearnedRow:
        return LearnedRow(
            table=slot.table.table,
            matches=tuple(Exact(value=value) for value in slot.key),
            action=ActionCall(action=slot.table.action.name, arguments=slot.arguments),
            idle_ms=idle_ms(now, slot.head.seen_ms),
            timeout_ms=self._timeouts.get(slot.head.profile, 0),
            packets=slot.head.packets,
            bytes=slot.head.bytes,
        )


class Stores:
    """Those of one pipeline, by the names of their tables."""

    def __init__(self, by_table: Mapping[str, StoreMap]) -> None:
        self._by_table = by_table

    def of(self, table: str) -> StoreMap:
        return self._by_table[table]

    def inherit(self, shared: Container[str], side: int, wait_for_packets: Callable[[], None]) -> None:
        """See `StoreMap.inherit`; `shared` are the names of maps."""
        for store in set(self._by_table.values()):
            if store.name in shared:
                store.inherit(side, wait_for_packets)

    def sweep(self) -> frozenset[str]:
        """The learned tables that may still hold entries; all of them when that cannot be told."""
        try:
            left = {store: store.sweep() for store in set(self._by_table.values())}
        except BpfError as problem:
            LOG.error("the sweep of learned entries failed: %s", problem)  # noqa: TRY400  the kernel's words say it all
            return frozenset(self._by_table)
        return frozenset(table for table, store in self._by_table.items() if left[store])


def _values(key: EntryKey) -> tuple[int, ...]:
    return tuple(match.value for match in key.matches if isinstance(match, Exact))
