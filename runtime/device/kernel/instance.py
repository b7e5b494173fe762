"""One pipeline in the kernel: a loaded ELF, its maps by the layout, and nothing on any port until it is activated."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from compiler.ir.entries import (
    ActionCall,
    CloneSession,
    EntryKey,
    Group,
    GroupRef,
    Member,
    MemberRef,
    MeterConfig,
    MulticastGroup,
    TableEntry,
)
from compiler.ir.interpreter.matching import initial_entry
from compiler.ir.nodes import Pipeline
from compiler.printers.layout import Layout, TableLayout, layout
from compiler.span import InternalError
from runtime.bpf.chains import Hook
from runtime.bpf.errors import BpfError
from runtime.bpf.maps import Map
from runtime.bpf.object import Object
from runtime.device.contents import Contents
from runtime.device.filling import fill
from runtime.device.findings import Found
from runtime.device.kernel.bringing import Bringing
from runtime.device.kernel.explaining import explained
from runtime.device.kernel.failover import Failover
from runtime.device.kernel.grace import GracePeriods
from runtime.device.kernel.openmaps import open_maps
from runtime.device.kernel.predecessor import Predecessor
from runtime.device.kernel.replicationmap import ReplicationMap
from runtime.device.kernel.selectorpins import Pinned, kept, wanted
from runtime.device.kernel.sides import SIDE_MAP, Sides
from runtime.device.kernel.succession import CellCopy, Succession
from runtime.device.kernel.tablemaps import Matches, TableMap, packed, packed_keys
from runtime.device.kernel.ternarymaps import with_priority
from runtime.device.kernel.translation import Translation
from runtime.device.kernel.upcallrings import Send, UpcallRings
from runtime.device.kernel.variants import LoadVariant, Variants
from runtime.device.portstates import PortStates
from runtime.device.records import ZERO, ColorTallies, Row, Tally
from runtime.device.refusals import Code, RefusedError, aborted, internal
from runtime.device.schema import TableCodec
from runtime.device.slices import PAUSE, Steps
from runtime.device.target import (
    Advance,
    Hearer,
    LearnedRow,
    PipelineRefusedError,
    UnderWay,
    done_one_by_one,
    unwatched,
)
from runtime.device.undo import UndoLog

LOG = logging.getLogger("turnout.device")
READ_AT_ONCE = 1000
"""Entries whose counters are found without a pause."""


def _sends_nothing(port: int, frame: bytes) -> None:
    raise RefusedError(Code.UNAVAILABLE, f"port {port}: a frame of {len(frame)} bytes cannot be sent")


class KernelInstance:
    """Closing it closes descriptors only: the PROG_ARRAY holds the program that packets pass, and it its maps."""

    def __init__(
        self,
        pipeline: Pipeline,
        loaded: Object,
        hash_seed: int,
        load_variant: LoadVariant,
        activate: Callable[[Object], None],
        ports: PortStates | None = None,
        send: Send = _sends_nothing,
        *,
        indices: Mapping[str, Map] | None = None,
        takes_over: bool = False,
    ) -> None:
        """Take over `loaded` and `indices` (`indexpins`); `takes_over`: its maps are an earlier process's, see `Sides`.

        Raises `UnknownName` when the ELF is not that of the pipeline.
        """
        Hook.TC.first(loaded)
        self.undo = UndoLog()
        self._grace = GracePeriods()
        self._sides = Sides(loaded.map(SIDE_MAP), self.undo, self._grace.wait, takes_over=takes_over)
        self._takes_over = takes_over
        self._pipeline = pipeline
        self._loaded = loaded
        self._ports = PortStates(()) if ports is None else ports
        self._variants = Variants(pipeline, loaded, load_variant, activate)
        self._held: Counter[str] = Counter()
        self._indices = indices or {}
        maps = open_maps(pipeline, loaded, hash_seed, self._sides, self.undo, self._ports, self._indices)
        self._maps = maps
        self._copies: list[CellCopy] = []
        self._counting_before: dict[TableLayout, Pinned] = {}
        """Selectors of the pipeline before, by their tables, for whose members learned entries count that go on."""
        self._tables, self._defaults, self._besides = maps.tables, maps.defaults, maps.besides
        self._selectors, self._selectors_by_name = maps.selectors, maps.selectors_by_name
        self._meters, self._counters, self._stores = maps.meters, maps.counters, maps.stores
        self._of_many = {
            name: table
            for name, table in self._tables.items()
            if isinstance(table, TableMap) and table.takes_many and name not in self._besides
        }
        """Tables that take many entries at once, and that have nothing beside them."""
        self._replication = maps.replication
        self._failover = Failover(maps.followers, self._ports, self.undo, self._sides.commit)
        self._send = send
        self._upcalls: UpcallRings | None = None
        self._place, self._unpin = "", _nothing_pinned
        self._bringing: Bringing | None = None
        self._is_closed = False

    def write_initial(self) -> None:
        """The entries that tables have from the start; behind `follow`, which says what counters they have."""
        for table in self._pipeline.tables:
            for entry in table.entries:
                self.insert_entry(initial_entry(table, entry))
        self.undo.clear()

    def pinned_at(self, place: str, unpin: Callable[[str], None]) -> None:
        """Its maps are pinned there, for whoever comes after this process."""
        self._place, self._unpin = place, unpin

    def follow(self, predecessor: Predecessor) -> None:
        """Entries that the other pipeline's maps hold go on with what lies beside them there, learned ones too.

        Raises `RefusedError`.
        """
        shared = self._loaded.maps if self._takes_over else predecessor.shared_with(self._pipeline)
        if not self._takes_over:
            self._sides.begin_beside(predecessor.side)
        self._stores.inherit(shared, predecessor.side, self._grace.wait)
        succession = Succession(self._pipeline, self._maps, self._loaded.maps, predecessor)
        self._copies = succession.copies
        succession.prepare()
        if not self._takes_over:
            self._counting_before = succession.counting_selectors()

    def bring(self, translations: Sequence[Translation]) -> None:
        """Learned entries are to be brought over when it is activated."""
        if translations:
            self._bringing = Bringing(self._loaded, translations, self._grace.wait)

    @property
    def pipeline(self) -> Pipeline:
        return self._pipeline

    def counted(self) -> dict[str, Mapping[int, int]]:
        found = ((name, selector.counts()) for name, selector in self._selectors_by_name.items())
        return {name: counts for name, counts in found if counts is not None}

    def activate(self) -> None:
        try:
            self._copy_cells()
            if self._takes_over:
                self._variants.activate()
                self.commit()
            else:
                self._sides.activate(self._variants.activate)
        except (BpfError, RefusedError) as problem:
            raise PipelineRefusedError(str(problem)) from problem
        if self._bringing is not None:
            self._bringing.go_on()

    def settle(self) -> None:
        """Wait until nothing of what was written is on its way to packets any more. Raises `RefusedError`."""
        self._failover.between_batches(self._sides.settle)

    @property
    def lag(self) -> int:
        return self._sides.lag

    @property
    def unfinished(self) -> list[str]:
        told = [f"{self.lag} changes are written to the other side of the tables"] if self.lag else []
        return told if self._bringing is None else [*told, "learned entries are looked for in their earlier layout"]

    @property
    def goes_on(self) -> bool:
        return self._takes_over

    @property
    def place(self) -> str:
        return self._place

    def adopt(self, contents: Contents, under_way: UnderWay | None = None, advance: Advance = unwatched) -> list[Found]:
        """As `Instance`. What packets met otherwise is mended by `activate`, or by the next commit."""
        plan = layout(self._pipeline)
        if self._takes_over:
            self._expect_selections(plan, contents)
        for was, pinned in self._counting_before.items():
            found = kept(pinned, wanted(was, contents.tables[was.table]), self._ports.down)
            self._selectors[was.table].expect_numbers(found.numbers)
        with self._failover.held(), self._sides.unseen():
            fill(self, contents, advance)
            before = self._sides.differences() if under_way is not None else None
            if under_way is not None:
                under_way.finish()
        for table in self._tables.values():
            table.stop_expecting()
        for meter in (*self._meters.values(), *(beside.meter for beside in self._besides.values())):
            if meter is not None:
                meter.stop_expecting()
        if not self._takes_over:
            return []
        changed = frozenset[str]() if under_way is None else under_way.tables
        found = explained(plan, contents, self._sides.find(before), changed)
        if not found:
            LOG.info("pipeline %s: the kernel holds what the journal says, and goes on with it", self._pipeline.name)
        return found

    def _expect_selections(self, plan: Layout, contents: Contents) -> None:
        pinned = Predecessor(pipeline=self._pipeline, maps=self._loaded.maps)
        for table in plan.tables:
            if table.selector is not None:
                chosen = wanted(table, contents.tables[table.table])
                found = kept(pinned.pinned(table, table.selector), chosen, self._ports.down)
                self._selectors[table.table].expect(found)

    def _copy_cells(self) -> None:
        copies, self._copies = self._copies, []
        for one in copies:
            with one.old:
                one.run()

    def listen(self, hearer: Hearer) -> None:
        self._upcalls = UpcallRings(self._pipeline, self._loaded, hearer, self._send)

    def close(self) -> None:
        self._is_closed = True
        for one in self._copies:
            one.old.close()
        self._failover.close()
        if self._upcalls is not None:
            self._upcalls.close()
        self._maps.close()
        self._sides.close()
        self._grace.close()
        self._variants.close()
        self._loaded.close()
        for held in self._indices.values():
            held.close()

    def remove(self) -> None:
        self.close()
        self._unpin(self._place)

    def commit(self) -> None:
        self._failover.commit()

    def has_port(self, port: int) -> bool:
        return port in self._ports.ports

    def insert_entry(self, entry: TableEntry) -> None:
        if not self._held[entry.table]:
            self._need(entry.table)
        self._insert(entry)
        if entry.table in self._besides:
            index, counters = self._index_of(entry), self._tables[entry.table].counters
            is_kept = counters is not None and counters.is_kept(index)
            self._besides[entry.table].begin(index, entry.meter, is_kept=is_kept)
        self._hold(entry.table, 1)

    def _held_tables(self) -> frozenset[str]:
        return frozenset(table for table, held in self._held.items() if held)

    def _need(self, table: str) -> None:
        try:
            self._variants.need(self._held_tables() | {table})
        except BpfError as problem:
            raise internal(f"table {table}: {problem}") from problem

    def _insert(self, entry: TableEntry) -> None:
        match entry.action:
            case ActionCall():
                self._tables[entry.table].insert(_named(entry), entry.action)
            case MemberRef() | GroupRef():
                self._selectors[entry.table].insert_entry(_named(entry), entry.action)

    def modify_entry(self, entry: TableEntry) -> None:
        match entry.action:
            case ActionCall() if entry.is_default:
                self._defaults[entry.table].modify(entry.action)
            case ActionCall():
                self._tables[entry.table].modify(_named(entry), entry.action)
            case MemberRef() | GroupRef():
                self._selectors[entry.table].modify_entry(_named(entry), entry.action)
        if entry.table in self._besides and not entry.is_default:
            self._besides[entry.table].change(self._index_of(entry), entry.meter)

    def _index_of(self, key: TableEntry | EntryKey) -> int:
        return self._tables[key.table].index_of(_named(key))

    def delete_entry(self, key: EntryKey) -> None:
        if key.table in self._selectors:
            self._selectors[key.table].delete_entry(_named(key))
        else:
            self._tables[key.table].delete(_named(key))
        self._hold(key.table, -1)

    def _hold(self, table: str, step: int) -> None:
        self._held[table] += step
        self.undo.note(partial(self._held.subtract, {table: step}))

    def takes_many(self, table: str) -> bool:
        return table in self._of_many

    def insert_rows(self, codec: TableCodec, rows: Sequence[Row]) -> int:
        table = self._of_many.get(codec.name)
        if table is None:
            return done_one_by_one(lambda row: self.insert_entry(codec.entry(row)), rows, self.undo)
        if not self._held[codec.name]:
            try:
                self._need(codec.name)
            except RefusedError:
                return 0
        done = table.insert_many(*packed(table, rows))
        self._hold(codec.name, done)
        return done

    def modify_rows(self, codec: TableCodec, rows: Sequence[Row]) -> int:
        table = self._of_many.get(codec.name)
        if table is None:
            return done_one_by_one(lambda row: self.modify_entry(codec.entry(row)), rows, self.undo)
        table.modify_many(*packed(table, rows))
        return len(rows)

    def delete_rows(self, codec: TableCodec, old: Sequence[Row]) -> int:
        table = self._of_many.get(codec.name)
        if table is None:
            return done_one_by_one(lambda row: self.delete_entry(codec.entry_key(row.key)), old, self.undo)
        table.delete_many(packed_keys(table, old))
        self._hold(codec.name, -len(old))
        return len(old)

    def insert_member(self, member: Member) -> None:
        self._selectors_by_name[member.selector].insert_member(member)

    @property
    def takes_many_members(self) -> bool:
        return True

    def insert_members(self, members: Sequence[Member]) -> int:
        return self._selectors_by_name[members[0].selector].insert_members(members)

    def modify_member(self, member: Member) -> None:
        self._selectors_by_name[member.selector].modify_member(member)

    def delete_member(self, selector: str, member_id: int) -> None:
        self._selectors_by_name[selector].delete_member(member_id)

    def insert_group(self, group: Group) -> None:
        self._selectors_by_name[group.selector].insert_group(group)

    def modify_group(self, group: Group) -> None:
        self._selectors_by_name[group.selector].modify_group(group)

    def delete_group(self, selector: str, group_id: int) -> None:
        self._selectors_by_name[selector].delete_group(group_id)

    def put_replication(self, given: MulticastGroup | CloneSession) -> None:
        self._replicating.put(given)

    def delete_replication(self, given: MulticastGroup | CloneSession) -> None:
        self._replicating.remove(given)

    @property
    def _replicating(self) -> ReplicationMap:
        if self._replication is None:
            raise InternalError(f"pipeline {self._pipeline.name} makes no copies of packets")
        return self._replication

    def direct_tallies(self, table: str, keys: Sequence[EntryKey]) -> list[Tally]:
        if any(key.is_default for key in keys):
            return [self._defaults[table].tally() for _ in keys]
        return self._tables[table].tallies([_named(key) for key in keys])

    def row_tallies(self, codec: TableCodec, rows: Sequence[Row]) -> Steps[Iterable[Tally]]:
        many = self._of_many.get(codec.name)
        indices: list[int] = []
        for at in range(0, len(rows), READ_AT_ONCE):
            piece = rows[at : at + READ_AT_ONCE]
            if many is not None:
                indices += many.indices_of(packed_keys(many, piece))
            else:
                indices += [self._index_of(codec.entry_key(row.key)) for row in piece]
            yield PAUSE
            if self._is_closed:
                raise aborted(
                    f"table {codec.name}: another pipeline took over while its counters were read; read again"
                )
        counters = self._tables[codec.name].counters
        return [ZERO] * len(rows) if counters is None else counters.read_each(indices)

    def set_direct_tally(self, key: EntryKey, tally: Tally) -> None:
        if key.is_default:
            self._defaults[key.table].set_tally(tally)
            return
        self._tables[key.table].set_tally(_named(key), tally)

    def tallies(self, counter: str, first: int, count: int) -> list[Tally]:
        tallies = self._counters[counter].read_many(range(first, first + count))
        if self._upcalls is None or counter != self._pipeline.drop_counter:
            return tallies
        return self._upcalls.lost.added(tallies, first)

    def set_tallies(self, counter: str, first: int, count: int, tally: Tally) -> None:
        self.undo.at_commit(partial(self._counters[counter].replace, first, count, tally))
        if self._upcalls is not None and counter == self._pipeline.drop_counter:
            self.undo.at_commit(partial(self._upcalls.lost.forget, first, count))

    def configure_meter(self, meter: str, first: int, count: int, config: MeterConfig | None) -> None:
        self._meters[meter].configure_all(range(first, first + count), config)

    def meter_tallies(self, meter: str, first: int, count: int) -> list[ColorTallies]:
        return self._meters[meter].tallies(range(first, first + count))

    def clear_meter_tallies(self, meter: str, first: int, count: int) -> None:
        self._meters[meter].clear(first, count)

    def direct_meter_tallies(self, table: str, keys: Sequence[EntryKey]) -> list[ColorTallies]:
        meter = self._besides[table].meter
        if meter is None:
            raise InternalError(f"table {table} has no meter")
        return meter.tallies([self._index_of(key) for key in keys])

    def clear_direct_meter_tallies(self, key: EntryKey) -> None:
        meter = self._besides[key.table].meter
        if meter is not None:
            meter.clear(self._index_of(key), 1)

    def idle_ms(self, table: str, keys: Sequence[EntryKey]) -> list[int]:
        seen = self._besides[table].seen
        if seen is None:
            raise InternalError(f"table {table} has no idle timeout")
        return seen.idle_ms([self._index_of(key) for key in keys])

    def learned(self, table: str) -> Iterable[LearnedRow]:
        return self._stores.of(table).rows(table)

    def find_learned(self, key: EntryKey) -> LearnedRow | None:
        return self._stores.of(key.table).find(key)

    def delete_learned(self, key: EntryKey) -> None:
        self._stores.of(key.table).delete(key)

    def tick(self) -> None:
        self._end_bringing()
        learned = self._stores.sweep()
        self._sides.tick()
        self._failover.catch_up()
        if self._upcalls is not None:
            self._upcalls.tick()
        self._variants.settle(self._held_tables() | learned)

    def _end_bringing(self) -> None:
        """A program that need not look into a store before its own takes over."""
        if self._bringing is None or not self._bringing.go_on():
            return
        try:
            if not self._variants.renew():
                return
        except BpfError as problem:
            LOG.warning("the program that looks into an earlier store goes on: %s", problem)
        else:
            self._bringing.let_go()
        self._bringing = None


def _nothing_pinned(place: str) -> None:
    del place


def _named(key: TableEntry | EntryKey) -> Matches:
    """What names an entry within its table; only tables with masks have priorities."""
    return with_priority(key.matches, key.priority) if key.priority else key.matches
