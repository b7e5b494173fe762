"""Everything in one device that outlives a packet: entries, selectors, learned entries, counters, meters.

What a P4Runtime server writes and reads, and the interpreter looks up and counts in. Pure Python, no clock of its own:
times are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.entries import (
    ActionCall,
    EntryKey,
    Exact,
    Group,
    GroupRef,
    Member,
    MemberRef,
    MeterConfig,
    TableEntry,
)
from compiler.ir.interpreter.entrycheck import (
    check_entry,
    check_group,
    check_matches,
    check_member,
    find_selector,
    find_table,
)
from compiler.ir.interpreter.errors import InvalidEntry, NotFound, PermissionDenied
from compiler.ir.interpreter.learning import Slot, SlotStore
from compiler.ir.interpreter.matching import MatchTable, Row
from compiler.ir.interpreter.meters import Cell, MeterCells, Tally
from compiler.ir.interpreter.replication import Replication
from compiler.ir.interpreter.selection import Selection
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedEntry:
    """A learned entry as it is read: `matches` has an `Exact` for each key of the table, `profile` is a name."""

    table: str
    matches: tuple[Exact, ...]
    action: ActionCall
    profile: str
    seen_ms: int
    packets: int
    bytes: int

    @property
    def key(self) -> EntryKey:
        return EntryKey(table=self.table, matches=self.matches)


Change = TableEntry | Member | Group


class Model:
    """The state of one device. A refused change raises a `ModelError` and changes nothing."""

    def __init__(self, pipeline: Pipeline, *, hash_seed: int = 0) -> None:
        self.pipeline = pipeline
        self.names = Names(pipeline)
        self.hash_seed = hash_seed
        self._tables = {table.name: MatchTable(table) for table in pipeline.tables if table.store is None}
        self._down_ports: set[int] = set()
        self._selections = {
            name: Selection(selector, self._down_ports) for name, selector in self.names.selectors.items()
        }
        self._stores = {
            store.name: SlotStore(store, [t for t in pipeline.tables if t.store == store.name], hash_seed)
            for store in pipeline.stores
        }
        self._meters = {meter.name: MeterCells(meter) for meter in pipeline.meters}
        self._tallies: dict[tuple[str, int], Tally] = {}
        self.replication = Replication(self._down_ports)

    def insert(self, change: Change, *, now_ns: int = 0) -> None:
        """The time is for entries with a meter or an idle timeout, which begin now."""
        match change:
            case TableEntry():
                check_entry(self.names, change)
                table = self._match_table(change.table)
                table.check_new(change.key)
                self._check_reference(change)
                table.insert(change, now_ns)
                self._refer(change)
            case Member():
                check_member(self.names, change)
                self._selections[change.selector].insert_member(change)
            case Group():
                check_group(self.names, change)
                self._selections[change.selector].insert_group(change)

    def modify(self, change: Change, *, now_ns: int = 0) -> None:
        match change:
            case TableEntry():
                check_entry(self.names, change, is_there=True)
                table = self._match_table(change.table)
                old = table.row(change.key).entry
                _refuse_const(table, change.key)
                self._check_reference(change)
                table.modify(change, now_ns)
                self._release(old)
                self._refer(change)
            case Member():
                check_member(self.names, change)
                self._selections[change.selector].modify_member(change)
            case Group():
                check_group(self.names, change)
                self._selections[change.selector].modify_group(change)

    def set_port(self, port: int, *, is_up: bool) -> None:
        """All are up at first. Members of groups that watch the port live while it is up, and backups replace it."""
        (self._down_ports.discard if is_up else self._down_ports.add)(port)
        for selection in self._selections.values():
            selection.follow(port)

    def delete(self, change: Change | EntryKey) -> None:
        """Only what names the thing counts: key and priority of an entry, id of a member or group."""
        match change:
            case TableEntry():
                self.delete(change.key)
            case EntryKey():
                table = find_table(self.names, change.table)
                check_matches(table, change.matches, change.priority)
                if table.store is not None:
                    self.delete_learned(change)
                else:
                    _refuse_const(self._match_table(change.table), change)
                    self._release(self._match_table(change.table).delete(change))
            case Member():
                self._selection(change.selector).delete_member(change.id)
            case Group():
                self._selection(change.selector).delete_group(change.id)

    def restore(self, row: Row) -> None:
        """Put an entry back that was deleted, with its counter, its meter, and when it was last met."""
        self.insert(row.entry)
        made = self._match_table(row.entry.table).row(row.entry.key)
        made.set_tally(row.packets, row.bytes)
        made.meter, made.seen_ms = row.meter, row.seen_ms

    def entries(self, table: str) -> tuple[TableEntry, ...]:
        """The entries of a table that is not learned, in the order in which they were added."""
        return self._match_table(table).entries()

    def members(self, selector: str) -> tuple[Member, ...]:
        return self._selection(selector).members()

    def groups(self, selector: str) -> tuple[Group, ...]:
        return self._selection(selector).groups()

    def learned(self, table: str) -> tuple[LearnedEntry, ...]:
        """The entries of a learned table, in the order of their slots."""
        store = self.store_of(table)
        return tuple(_learned_entry(slot) for slot in store.slots() if slot.table == table)

    def delete_learned(self, key: EntryKey) -> None:
        """Take a learned entry out; its pair leaves with it."""
        store = self.store_of(key.table)
        check_matches(find_table(self.names, key.table), key.matches, key.priority)
        slot = store.find(tuple(match.value for match in key.matches if isinstance(match, Exact)))
        if slot is None or slot.table != key.table:
            raise NotFound(f"table {key.table} has no such entry")
        store.remove(slot)

    def sweep(self, now_ms: int) -> tuple[LearnedEntry, ...]:
        """Remove the learned entries that have expired; returns them."""
        return tuple(_learned_entry(slot) for store in self._stores.values() for slot in store.sweep(now_ms))

    def direct_counter(self, key: EntryKey) -> Tally:
        """What the table's direct counter says of an entry, learned or not."""
        table = self._counted_table(key.table)
        if table.store is None:
            row = self._match_table(key.table).row(key)
            return Tally(row.packets, row.bytes)
        slot = self.store_of(key.table).find(tuple(m.value for m in key.matches if isinstance(m, Exact)))
        if slot is None or slot.table != key.table:
            raise NotFound(f"table {key.table} has no such entry")
        return Tally(slot.packets, slot.bytes)

    def set_direct_counter(self, key: EntryKey, tally: Tally) -> None:
        """Write the counter of an entry that is not learned."""
        if self._counted_table(key.table).store is not None:
            raise PermissionDenied(f"table {key.table} is learned: its counters are only read")
        row = self._match_table(key.table).row(key)
        row.packets, row.bytes = tally

    def indexed_counter(self, counter: str, index: int) -> Tally:
        self._check_index(counter, index)
        return self._tallies.get((counter, index), Tally(0, 0))

    def set_indexed_counter(self, counter: str, index: int, tally: Tally) -> None:
        self._check_index(counter, index)
        self._tallies[counter, index] = tally

    def counted(self, counter: str) -> tuple[int, ...]:
        """The indices at which a counter has counted something, in order."""
        return tuple(sorted(index for name, index in self._tallies if name == counter))

    def count(self, counter: str, index: int, length: int) -> None:
        """Count a packet; an index outside the counter counts nothing, as in P4."""
        if index < self.names.counters[counter].size:
            packets, octets = self._tallies.get((counter, index), Tally(0, 0))
            self._tallies[counter, index] = Tally(packets + 1, octets + length)

    def meter(self, meter: str) -> MeterCells:
        """An indexed meter. Raises `NotFound`."""
        if meter not in self._meters:
            raise NotFound(f"the pipeline has no meter '{meter}'")
        return self._meters[meter]

    def configure_meter(self, meter: str, index: int, config: MeterConfig | None, *, now_ns: int) -> None:
        """None makes the cell say green again."""
        self.meter_cell(meter, index).configure(config, now_ns)

    def meter_cell(self, meter: str, index: int) -> Cell:
        size = self.meter(meter).meter.size
        if not 0 <= index < size:
            raise InvalidEntry(f"meter {meter} has no index {index}, only 0 to {size - 1}")
        return self.meter(meter).cell(index)

    def direct_meter(self, key: EntryKey) -> Cell:
        """The meter of an entry; its configuration is the entry's own."""
        cell = self._match_table(key.table).row(key).meter
        if cell is None:
            raise InvalidEntry(f"table {key.table} has no meter")
        return cell

    def seen_ms(self, key: EntryKey) -> int:
        """When a packet last met an entry that is not learned, or it was inserted."""
        return self._match_table(key.table).row(key).seen_ms

    def match_table(self, table: str) -> MatchTable:
        return self._tables[table]

    def selection(self, selector: str) -> Selection:
        return self._selections[selector]

    def slots_of(self, store: str) -> SlotStore:
        """A store by its name."""
        return self._stores[store]

    def store_of(self, table: str) -> SlotStore:
        """The store of a learned table."""
        store = find_table(self.names, table).store
        if store is None:
            raise InvalidEntry(f"table {table} is not learned")
        return self._stores[store]

    def _match_table(self, name: str) -> MatchTable:
        if find_table(self.names, name).store is not None:
            raise InvalidEntry(f"table {name} is learned")
        return self._tables[name]

    def _selection(self, name: str) -> Selection:
        find_selector(self.names, name)
        return self._selections[name]

    def _selection_of(self, table: str) -> Selection | None:
        selector = self.names.tables[table].selector
        return None if selector is None else self._selections[selector.name]

    def _check_reference(self, entry: TableEntry) -> None:
        selection = self._selection_of(entry.table)
        if selection is not None and not isinstance(entry.action, ActionCall):
            selection.check_reference(entry.action)

    def _refer(self, entry: TableEntry) -> None:
        selection = self._selection_of(entry.table)
        if selection is not None and isinstance(entry.action, MemberRef | GroupRef):
            selection.refer(entry.action)

    def _release(self, entry: TableEntry) -> None:
        selection = self._selection_of(entry.table)
        if selection is not None and isinstance(entry.action, MemberRef | GroupRef):
            selection.release(entry.action)

    def _counted_table(self, name: str) -> Table:
        table = find_table(self.names, name)
        if table.counter_id is None:
            raise InvalidEntry(f"table {name} has no counter")
        return table

    def _check_index(self, counter: str, index: int) -> None:
        if counter not in self.names.counters:
            raise NotFound(f"the pipeline has no counter '{counter}'")
        size = self.names.counters[counter].size
        if not 0 <= index < size:
            raise InvalidEntry(f"counter {counter} has no index {index}, only 0 to {size - 1}")


def _refuse_const(table: MatchTable, key: EntryKey) -> None:
    if table.is_const(key):
        raise PermissionDenied(f"table {table.table.name}: the entry is constant")


def _learned_entry(slot: Slot) -> LearnedEntry:
    return LearnedEntry(
        table=slot.table,
        matches=tuple(Exact(value=value) for value in slot.key),
        action=slot.action,
        profile=slot.profile.name,
        seen_ms=slot.seen_ms,
        packets=slot.packets,
        bytes=slot.bytes,
    )
