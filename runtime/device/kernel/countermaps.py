"""Counters in per-CPU arrays: sums over CPUs, and the indices that direct counters are given."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

from compiler.printers.layout import TableLayout
from runtime.bpf.maps import Map, possible_cpus
from runtime.device.kernel.mapfaults import refusals_of
from runtime.device.records import ZERO, Tally
from runtime.device.refusals import RefusedError, exhausted
from runtime.device.undo import UndoLog

_CELL = struct.Struct("<QQ")
_MASK = (1 << 64) - 1
FEW = 64
"""Up to so many values are read one by one, more with one call for the whole map."""


class CounterMap:
    """An array of {packets, bytes} for each CPU."""

    def __init__(self, values: Map) -> None:
        self._map = values

    @property
    def size(self) -> int:
        return self._map.details.max_entries

    def read(self, index: int) -> Tally:
        with self._refusals():
            raw = self._map.lookup(_key(index))
        return ZERO if raw is None else _sum(raw, 0, len(raw))

    def read_many(self, indices: Sequence[int]) -> list[Tally]:
        """In the order of `indices`."""
        return list(self.read_each(indices))

    def read_each(self, indices: Sequence[int]) -> Iterable[Tally]:
        """What they are now. Of many, only their sums over CPUs are left for when they are taken."""
        if len(indices) <= FEW:
            return [self.read(index) for index in indices]
        with self._refusals():
            _, values = self._map.lookup_batch()
        step = self._map.details.buffer_size
        return (_sum(values, index * step, (index + 1) * step) for index in indices)

    def write(self, index: int, tally: Tally) -> None:
        """All of it to the first CPU's cell. A packet that is counted at this instant may be lost."""
        self._write_raw((index,), _spread(tally))

    def replace(self, first: int, count: int, tally: Tally) -> Callable[[], None]:
        """The same for cells from `first` on. Returns how to undo it; what was counted in between is lost then."""
        cells = range(first, first + count)
        old = self._raw(cells)
        self._write_raw(cells, _spread(tally) * count)
        return partial(self._write_raw, cells, old)

    def clear(self, indices: Sequence[int]) -> None:
        self._write_raw(indices, _spread(ZERO) * len(indices))

    def clear_all_but(self, kept: Collection[int]) -> None:
        """Zero every cell but these. Those are left alone: packets may be counted in them meanwhile."""
        with self._refusals():
            _, values = self._map.lookup_batch()
        step, zero = self._map.details.buffer_size, bytes(self._map.details.buffer_size)
        for index in range(self.size):
            if values[index * step : (index + 1) * step] != zero and index not in kept:
                self.write(index, ZERO)

    def _raw(self, cells: range) -> bytes:
        """What all CPUs hold, one cell after the other."""
        with self._refusals():
            if len(cells) <= FEW:
                return b"".join(self._map.lookup(_key(index)) or b"" for index in cells)
            _, values = self._map.lookup_batch()
        step = self._map.details.buffer_size
        return values[cells.start * step : cells.stop * step]

    def _write_raw(self, indices: Sequence[int], values: bytes) -> None:
        with self._refusals():
            if len(indices) == 1:
                self._map.update(_key(indices[0]), values)
            else:
                self._map.update_batch(struct.pack(f"={len(indices)}I", *indices), values)

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals_of(f"counter {self._map.details.name}")


class LostPackets:
    """Packets that the device itself has dropped, by reason: it cannot add to the kernel's counter without a loss."""

    def __init__(self) -> None:
        self._tallies: dict[int, Tally] = {}

    def count(self, reason: int, length: int) -> None:
        before = self._tallies.get(reason, ZERO)
        self._tallies[reason] = Tally(before.packets + 1, before.bytes + length)

    def added(self, tallies: Sequence[Tally], first: int) -> list[Tally]:
        """Values of the counter of drops from index `first` on, with these."""
        lost = (self._tallies.get(index, ZERO) for index in range(first, first + len(tallies)))
        return [Tally(t.packets + more.packets, t.bytes + more.bytes) for t, more in zip(tallies, lost, strict=True)]

    def forget(self, first: int, count: int) -> Callable[[], None]:
        """Returns how to undo it."""
        lost = {index: self._tallies.pop(index) for index in range(first, first + count) if index in self._tallies}
        return partial(self._tallies.update, lost)


class Uncounted:
    """Stands for the counters of a table that has none, but whose entries have indices."""

    def __init__(self, size: int) -> None:
        self.size = size

    def read_many(self, indices: Sequence[int]) -> list[Tally]:
        return [ZERO] * len(indices)

    def read_each(self, indices: Sequence[int]) -> Iterable[Tally]:
        return self.read_many(indices)

    def replace(self, first: int, count: int, tally: Tally) -> None:
        """There is nothing to replace."""

    def write(self, index: int, tally: Tally) -> None:
        """Nor to write."""

    def clear_all_but(self, kept: Collection[int]) -> None:
        """Nor to clear."""

    def clear(self, indices: Sequence[int]) -> None:
        """Nor to clear."""


class DirectCounters:
    """The direct counters of one table: every entry has an index of its own, from 1, but for the last `reserved`."""

    def __init__(self, values: CounterMap | Uncounted, table: str, undo: UndoLog, *, reserved: int = 0) -> None:
        self._counters = values
        self._end = values.size - reserved
        self._table = table
        self._undo = undo
        self._next = 1
        self._free: deque[int] = deque()
        self._resting: deque[int] = deque()
        """Given back in this batch, or while packets may still hold the index."""
        self._sealed = 0
        """How many of those that rest, from the left, the next release frees."""
        self._expected: dict[bytes, int] = {}
        self._kept: set[int] = set()

    def expect(self, indices: Mapping[bytes, int]) -> None:
        """By key, entries that have an index already and are about to come; before any is taken.

        What cannot be the index of an entry is passed over, and one that two have goes to the first.
        """
        first = {index: key for key, index in reversed(list(indices.items())) if 1 <= index < self._end}
        taken = set(first)
        self._counters.clear_all_but(taken | set(range(self._end, self._counters.size)))
        self._expected = {key: index for index, key in first.items()}
        self._next = max(taken, default=0) + 1
        self._free = deque(sorted(set(range(1, self._next)) - taken))

    def stop_expecting(self) -> None:
        """Those that have not come will not."""
        self._resting.extend(self._expected.values())
        self._expected.clear()
        self._kept.clear()

    def is_kept(self, index: int) -> bool:
        """Until `stop_expecting`: whether the entry of an index had it before, with all that lies beside it."""
        return index in self._kept

    def take(self, key: bytes = b"") -> int:
        """The index that the entry of a key has, or a fresh one, its counter zero. Raises RESOURCE_EXHAUSTED."""
        if key in self._expected:
            index = self._undo.pop(self._expected, key)
            self._kept.add(index)
            return index
        source = self._free or self._resting
        if self._next < self._end:
            index, self._next = self._next, self._next + 1
        elif source:
            # One that rests is that of an entry that packets still meet: it may begin with a few of theirs.
            index = source.popleft()
            self._undo.at_commit(partial(self._counters.write, index, ZERO))
        else:
            raise exhausted(f"table {self._table}: all {self._end - 1} direct counters are taken")
        self._undo.note(partial(source.appendleft, index))
        return index

    def take_many(self, keys: Sequence[bytes]) -> list[int]:
        """As `take` for each of these; fewer when there are no more."""
        if not self._expected:
            return self._take_fresh(len(keys))
        if not all(key in self._expected for key in keys):
            return self._take_each(keys)
        taken = [self._expected.pop(key) for key in keys]
        self._kept.update(taken)
        self._undo.note(partial(self._expected.update, zip(keys, taken, strict=True)))
        return taken

    def _take_each(self, keys: Sequence[bytes]) -> list[int]:
        taken: list[int] = []
        for key in keys:
            try:
                taken.append(self.take(key))
            except RefusedError:
                break
        return taken

    def _take_fresh(self, count: int) -> list[int]:
        """Their counters are zero; fewer when there are no more."""
        fresh = range(self._next, min(self._next + count, self._end))
        self._next = fresh.stop
        used = [self._free.popleft() for _ in range(min(count - len(fresh), len(self._free)))]
        if used:
            self._undo.at_commit(partial(self._counters.clear, used))
        taken = [*fresh, *used]
        self._undo.note(lambda: self._free.extendleft(reversed(taken)))
        return taken

    def give_back(self, index: int) -> None:
        self._resting.append(index)
        self._undo.note(self._resting.pop)

    def seal(self) -> None:
        self._sealed = len(self._resting)

    def release(self) -> None:
        for _ in range(min(self._sealed, len(self._resting))):
            self._free.append(self._resting.popleft())
        self._sealed = 0

    def give_back_many(self, indices: Sequence[int]) -> None:
        self._resting.extend(indices)
        self._undo.note(lambda: [self._resting.pop() for _ in indices])

    def read_many(self, indices: Sequence[int]) -> list[Tally]:
        return self._counters.read_many(indices)

    def read_each(self, indices: Sequence[int]) -> Iterable[Tally]:
        return self._counters.read_each(indices)

    def set(self, index: int, tally: Tally) -> None:
        """At the end of the batch."""
        self._undo.at_commit(partial(self._counters.replace, index, 1, tally))


def direct_counters(table: TableLayout, values: Map | None, undo: UndoLog) -> DirectCounters | None:
    """The indices of a table's entries, and what is counted by them; None where entries have no index.

    The last counter is that of the default entry, where that may be modified.
    """
    if not table.indices:
        return None
    if values is None:
        return DirectCounters(Uncounted(table.indices), table.table, undo)
    return DirectCounters(CounterMap(values), table.table, undo, reserved=int(table.default is not None))


def _key(index: int) -> bytes:
    return struct.pack("=I", index)


def _spread(tally: Tally) -> bytes:
    return _CELL.pack(tally.packets, tally.bytes) + bytes(_CELL.size * (possible_cpus() - 1))


def _sum(raw: bytes, start: int, end: int) -> Tally:
    packets = octets = 0
    for at in range(start, end, _CELL.size):
        one, other = _CELL.unpack_from(raw, at)
        packets, octets = packets + one, octets + other
    return Tally(packets & _MASK >> 1, octets & _MASK >> 1)  # the wire has signed 64 bits
