"""Learned entries: reading slots, and the programs that sweep and delete (ebpf/include/turnout/flow_programs.h)."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator

from compiler.ir.entries import ActionCall, EntryKey, Exact
from compiler.ir.hashing import mix64
from compiler.printers.layout import Slot, StoreLayout
from compiler.printers.store_programs import delete_key_context, read_delete, read_sweep, sweep_context
from runtime.bpf.maps import Map
from runtime.bpf.program import Program
from runtime.bpf.testrun import run_syscall
from runtime.device.refusals import Code, RefusedError
from runtime.device.target import LearnedRow

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
    """One store: its slots, and its two programs."""

    def __init__(self, store: StoreLayout, slots: Map, sweep: Program, delete: Program, hash_seed: int) -> None:
        self._layout = store
        self._map = slots
        self._sweep = sweep
        self._delete = delete
        self._seed = hash_seed
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

    def delete(self, key: EntryKey) -> None:
        """Remove an entry, if it is there, and its pair. Raises UNAVAILABLE when packets do not let go of it."""
        context = delete_key_context(self._layout, _values(key))
        for _ in range(ATTEMPTS):
            if self.find(key) is None:
                return
            done = read_delete(run_syscall(self._delete.fd, context).context)
            if not done.busy:
                return
        raise RefusedError(Code.UNAVAILABLE, f"table {key.table}: packets are changing the entry; try again")

    def sweep(self) -> bool:
        """Remove what has had its time. Returns whether anything is left."""
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


def _values(key: EntryKey) -> tuple[int, ...]:
    return tuple(match.value for match in key.matches if isinstance(match, Exact))
