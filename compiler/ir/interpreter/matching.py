"""The entries of one table that a control plane fills, and which of them matches a key.

Exact and LPM tables find their entry in dictionaries, one for each prefix length in use; the others look at every
entry. Of several that match, the longest prefix wins, or the largest rank (`compiler.ir.ranks`): the largest priority,
and of equal ones the one that a hash over the match fields picks.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.entries import EntryKey, Exact, Lpm, MatchValue, Optional, Range, TableEntry, Ternary
from compiler.ir.expressions import width_bits
from compiler.ir.interpreter.errors import AlreadyExists, NotFound, TableFull
from compiler.ir.interpreter.meters import Cell
from compiler.ir.ranks import rank
from compiler.ir.tables import InitialEntry, MatchKind, Table

NS_PER_MS = 1_000_000
IDLE_GRANULARITY_MS = 100
"""When an entry was last hit is written down again only after so long, which spares CPUs a shared cache line."""
_Found = tuple[int, ...]
"""The key values that all entries of one prefix length agree to, shifted behind their prefix."""


@dataclass(slots=True)
class Row:
    """An entry with its direct counter and meter, and when a packet last met it. `rank` is 0 without priorities."""

    entry: TableEntry
    rank: int = 0
    packets: int = 0
    bytes: int = 0
    meter: Cell | None = None
    seen_ms: int = 0

    def see(self, now_ms: int, length: int) -> None:
        """A packet meets the entry. Times that differ by less than the granularity are one."""
        self.packets += 1
        self.bytes += length
        if now_ms - self.seen_ms >= IDLE_GRANULARITY_MS:
            self.seen_ms = now_ms

    def set_tally(self, packets: int, octets: int) -> None:
        self.packets, self.bytes = packets, octets


def initial_entry(table: Table, entry: InitialEntry) -> TableEntry:
    """An entry of the pipeline as one of a device."""
    return TableEntry(
        table=table.name, matches=entry.matches, action=entry.action, priority=entry.priority, span=entry.span
    )


class MatchTable:
    def __init__(self, table: Table) -> None:
        self.table = table
        self._rows: dict[EntryKey, Row] = {}
        self.default = Row(TableEntry(table=table.name, matches=(), action=table.default_call))
        self._is_indexed = not table.has_priority
        self._widths = tuple(width_bits(key.expr) for key in table.keys)
        self._lpm = next((i for i, key in enumerate(table.keys) if key.match is MatchKind.LPM), None)
        self._by_prefix: dict[int, dict[_Found, Row]] = {}
        for entry in table.entries:
            self.insert(initial_entry(table, entry))

    def entries(self) -> tuple[TableEntry, ...]:
        return tuple(row.entry for row in self._rows.values())

    def row(self, key: EntryKey) -> Row:
        """Raises `NotFound`."""
        if key.is_default:
            return self.default
        if key not in self._rows:
            raise NotFound(f"table {self.table.name} has no such entry")
        return self._rows[key]

    def check_new(self, key: EntryKey) -> None:
        """Raises `AlreadyExists` or `TableFull`."""
        if key in self._rows:
            raise AlreadyExists(f"table {self.table.name} has this entry already")
        if len(self._rows) >= self.table.size:
            message = f"table {self.table.name} is full: it holds {self.table.size} entries"
            raise TableFull(message, name=self.table.name, size=self.table.size)

    def insert(self, entry: TableEntry, now_ns: int = 0) -> None:
        """An entry counts as met when it is inserted."""
        self.check_new(entry.key)
        row = self._rows[entry.key] = Row(entry, 0 if self._is_indexed else rank(entry.matches, entry.priority))
        row.seen_ms = now_ns // NS_PER_MS
        if self.table.meter is not None:
            row.meter = Cell(self.table.meter)
            row.meter.configure(entry.meter, now_ns)
        if self._is_indexed:
            prefix_len, found = self._place(entry.matches)
            self._by_prefix.setdefault(prefix_len, {})[found] = row

    def modify(self, entry: TableEntry, now_ns: int = 0) -> None:
        """The entry's counter, meter and last hit go on."""
        row = self.row(entry.key)
        row.entry = entry
        if row.meter is not None:
            row.meter.configure(entry.meter, now_ns)

    def is_const(self, key: EntryKey) -> bool:
        """Whether an entry is one of the pipeline's that stay for ever."""
        return any(e.is_const and (e.matches, e.priority) == (key.matches, key.priority) for e in self.table.entries)

    def delete(self, key: EntryKey) -> TableEntry:
        entry = self.row(key).entry
        del self._rows[key]
        if self._is_indexed:
            prefix_len, found = self._place(key.matches)
            del self._by_prefix[prefix_len][found]
            if not self._by_prefix[prefix_len]:
                del self._by_prefix[prefix_len]
        return entry

    def lookup(self, values: tuple[int, ...]) -> Row | None:
        if not self._is_indexed:
            matching = (row for row in self._rows.values() if _matches(self._widths, row.entry.matches, values))
            return max(matching, key=lambda row: row.rank, default=None)
        for prefix_len in sorted(self._by_prefix, reverse=True):
            row = self._by_prefix[prefix_len].get(self._cut(values, prefix_len))
            if row is not None:
                return row
        return None

    def _cut(self, values: tuple[int, ...], prefix_len: int) -> _Found:
        if self._lpm is None:
            return values
        shift = self._widths[self._lpm] - prefix_len
        return tuple(value >> shift if i == self._lpm else value for i, value in enumerate(values))

    def _place(self, matches: tuple[MatchValue, ...]) -> tuple[int, _Found]:
        prefix_len = next((match.prefix_len for match in matches if isinstance(match, Lpm)), 0)
        values = tuple(match.value for match in matches if isinstance(match, Exact | Lpm))
        return prefix_len, self._cut(values, prefix_len)


def _matches(widths: tuple[int, ...], matches: tuple[MatchValue, ...], values: tuple[int, ...]) -> bool:
    return all(_match(width, match, value) for width, match, value in zip(widths, matches, values, strict=True))


def _match(width: int, wanted: MatchValue, value: int) -> bool:
    match wanted:
        case Exact(value=number):
            return value == number
        case Lpm(value=number, prefix_len=prefix_len):
            return (value ^ number) >> (width - prefix_len) == 0
        case Ternary(value=number, mask=mask):
            return value & mask == number
        case Range(low=low, high=high):
            return low <= value <= high
        case Optional(value=number):
            return number is None or value == number
