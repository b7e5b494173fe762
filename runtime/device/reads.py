"""Read requests: what is asked for, in pieces of a bounded size.

`Reader.answer` takes a snapshot (records are immutable, so it is a list of references) and hands back an iterator that
encodes it piece by piece. So a slow client neither holds up writers nor sees half of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from finsy.proto import p4r

from compiler.ir.entries import Group, Member
from compiler.ir.tables import Counter, Selector
from runtime.device.cells import checked_index
from runtime.device.contents import Contents
from runtime.device.digestentries import DigestReader
from runtime.device.metercodec import encode_color_tallies, encode_meter_config
from runtime.device.meterreads import MeterReader, the_one
from runtime.device.records import ColorTallies, Row, RowKey, Tally
from runtime.device.refusals import invalid, unimplemented
from runtime.device.replicationentries import ReplicationReader
from runtime.device.schema import Schema, TableCodec, cookie_of
from runtime.device.target import Instance, LearnedRow
from runtime.device.watching import encode_watch

PIECE = 1000
"""Entities in one ReadResponse at most: well under gRPC's default limit of 4 MiB."""
NS_PER_MS = 1_000_000
T = TypeVar("T")

_NONE_HERE = frozenset({"extern_entry", "value_set_entry", "register_entry"})


class Reader:
    """Answers read requests about one pipeline."""

    def __init__(self, schema: Schema, contents: Contents, instance: Instance) -> None:
        self._schema = schema
        self._contents = contents
        self._instance = instance
        self._meters = MeterReader(schema, contents, instance, self._one_table)
        self._digests = DigestReader(schema, contents)
        self._replication = ReplicationReader(schema.pipeline, contents)

    def answer(self, request: p4r.Entity) -> Iterator[list[p4r.Entity]]:
        """Pieces of at most `PIECE` entities. Raises `RefusedError` at once, never later."""
        kind = request.WhichOneof("entity")
        match kind:
            case None:
                raise invalid("the read request has no entity: a wildcard names its kind at least")
            case "table_entry":
                return _pieces(self._table_entries(request.table_entry))
            case "action_profile_member":
                return _pieces(self._members(request.action_profile_member))
            case "action_profile_group":
                return _pieces(self._groups(request.action_profile_group))
            case "counter_entry":
                return _pieces(self._counters(request.counter_entry))
            case "direct_counter_entry":
                return _pieces(self._direct_counters(request.direct_counter_entry))
            case "digest_entry":
                return _pieces(self._digests.entries(request.digest_entry))
            case "packet_replication_engine_entry":
                return _pieces(self._replication.entries(request.packet_replication_engine_entry))
            case "meter_entry":
                return _pieces(self._meters.cells(request.meter_entry))
            case "direct_meter_entry":
                return _pieces(self._meters.of_entries(request.direct_meter_entry))
            case _:
                return self._absent(kind, request)

    def _absent(self, kind: str, request: p4r.Entity) -> Iterator[list[p4r.Entity]]:
        """Kinds of which this device can have none: all of them are none, a certain one is refused."""
        if getattr(request, kind).ListFields():
            raise unimplemented(f"{kind}: this device has none")
        return iter(())

    # table entries

    def _table_entries(self, request: p4r.TableEntry) -> Iterator[p4r.Entity]:
        if request.table_id == 0:
            return self._all_tables(request)
        codec = self._schema.table(request.table_id)
        self._check_asked(request, codec)
        return self._one_table(request, codec)

    def _all_tables(self, request: p4r.TableEntry) -> Iterator[p4r.Entity]:
        filtered = request.match or request.priority or request.metadata or request.is_default_action
        if filtered or cookie_of(request) or request.HasField("action"):
            raise invalid("a read of all tables (table id 0) takes no other filter")
        return _chained([self._one_table(request, codec) for codec in self._schema.tables.values()])

    def _check_asked(self, request: p4r.TableEntry, codec: TableCodec) -> None:
        if request.HasField("counter_data") and codec.table.counter_id is None:
            raise invalid(f"table {codec.name} has no direct counter")
        if (request.HasField("meter_config") or request.HasField("meter_counter_data")) and not codec.table.meter:
            raise invalid(f"table {codec.name} has no direct meter")
        if request.HasField("time_since_last_hit") and not (codec.is_learned or codec.table.idle_timeout):
            raise invalid(f"table {codec.name} has no idle timeout")
        if request.is_default_action:
            codec.check_default_key(request)

    def _one_table(self, request: p4r.TableEntry, codec: TableCodec) -> Iterator[p4r.Entity]:
        action_id = self._action_filter(request, codec)
        if request.is_default_action:
            return self._default(request, codec, action_id)
        if codec.is_learned:
            return self._learned(request, codec, action_id)
        rows = self._rows(request, codec)
        if action_id:
            rows = [row for row in rows if codec.encode(row).action.action.action_id == action_id]
        return _encoded_rows(codec, rows, self._beside(request, codec, rows))

    def _beside(self, request: p4r.TableEntry, codec: TableCodec, rows: list[Row]) -> _Beside:
        """What was asked for that lies beside the entries."""
        table, instance = codec.table, self._instance
        counted = request.HasField("counter_data") and table.counter_id is not None
        colored = request.HasField("meter_counter_data") and table.meter is not None
        aged = request.HasField("time_since_last_hit") and table.idle_timeout
        keys = [codec.entry_key(row.key) for row in rows] if counted or colored or aged else []
        return _Beside(
            tallies=instance.direct_tallies(codec.name, keys) if counted else None,
            colors=instance.direct_meter_tallies(codec.name, keys) if colored else None,
            idle_ms=instance.idle_ms(codec.name, keys) if aged else None,
            has_meters=request.HasField("meter_config"),
            const_keys=self._contents.tables[codec.name].const_keys,
        )

    def _default(self, request: p4r.TableEntry, codec: TableCodec, action_id: int) -> Iterator[p4r.Entity]:
        found = codec.encode_default(None if codec.is_learned else self._contents.tables[codec.name].default)
        if request.HasField("counter_data") and codec.counts_misses:
            _set_tally(found.counter_data, self._instance.direct_tallies(codec.name, [codec.default_key])[0])
        wanted = (action_id or found.action.action.action_id, request.metadata or found.metadata)
        cookie = cookie_of(request) or cookie_of(found)
        is_wanted = (*wanted, cookie) == (found.action.action.action_id, found.metadata, cookie_of(found))
        return iter([p4r.Entity(table_entry=found)] if is_wanted else [])

    def _action_filter(self, request: p4r.TableEntry, codec: TableCodec) -> int:
        """The action id asked for, 0 for any."""
        kind = request.action.WhichOneof("type")
        if kind is None:
            return 0
        if kind != "action" or codec.table.selector is not None:
            raise invalid(f"table {codec.name}: a read can be filtered by the action of a direct table only")
        return codec.choice.id_of(request.action.action)

    def _rows(self, request: p4r.TableEntry, codec: TableCodec) -> list[Row]:
        rows = self._contents.tables[codec.name].rows
        if request.match:
            if codec.has_priority and not request.priority:
                matches = codec.decode_matches(request.match)
                found = [row for row in rows.values() if codec.keys.matches_of(row.key) == matches]
            else:
                row = rows.get(codec.decode_key(request))
                found = [] if row is None else [row]
        elif request.priority:
            found = [row for row in rows.values() if codec.keys.priority_of(row.key) == request.priority]
        else:
            found = list(rows.values())
        metadata, cookie = request.metadata, cookie_of(request)
        if metadata:
            found = [row for row in found if row.metadata == metadata]
        return [row for row in found if row.controller_metadata == cookie] if cookie else found

    def _learned(self, request: p4r.TableEntry, codec: TableCodec, action_id: int) -> Iterator[p4r.Entity]:
        if request.match:
            found = self._instance.find_learned(codec.entry_key(codec.decode_key(request)))
            rows: Iterable[LearnedRow] = [] if found is None else [found]
        else:
            rows = self._instance.learned(codec.name)
        if request.priority or request.metadata or cookie_of(request):
            rows = []
        if action_id:
            rows = [row for row in rows if codec.choice.by_name[row.action.action].id == action_id]
        return _encoded_learned(codec, rows, request)

    # members and groups

    def _selectors(self, profile_id: int) -> list[tuple[Selector, TableCodec]]:
        if profile_id:
            return [self._schema.selector(profile_id)]
        return [self._schema.selector(known) for known in self._schema.selectors]

    def _members(self, request: p4r.ActionProfileMember) -> Iterator[p4r.Entity]:
        if request.member_id and not request.action_profile_id:
            raise invalid(f"member {request.member_id}: a member is named together with its action profile")
        parts: list[Iterator[p4r.Entity]] = []
        for selector, codec in self._selectors(request.action_profile_id):
            members = self._contents.selectors[selector.name].members
            parts.append(_encoded_members(selector, codec, _chosen(members, request.member_id)))
        return _chained(parts)

    def _groups(self, request: p4r.ActionProfileGroup) -> Iterator[p4r.Entity]:
        if request.group_id and not request.action_profile_id:
            raise invalid(f"group {request.group_id}: a group is named together with its action profile")
        parts: list[Iterator[p4r.Entity]] = []
        for selector, codec in self._selectors(request.action_profile_id):
            groups = self._contents.selectors[selector.name].groups
            parts.append(_encoded_groups(selector, codec, _chosen(groups, request.group_id)))
        return _chained(parts)

    # counters

    def _counters(self, request: p4r.CounterEntry) -> Iterator[p4r.Entity]:
        if request.counter_id == 0:
            if request.HasField("index"):
                raise invalid("an index is named together with its counter")
            return _chained([self._cells(counter, 0, counter.size) for counter in self._schema.counters.values()])
        counter = self._schema.counter(request.counter_id)
        if request.HasField("index"):
            return self._cells(counter, checked_index(f"counter {counter.name}", counter.size, request.index.index), 1)
        return self._cells(counter, 0, counter.size)

    def _cells(self, counter: Counter, first: int, count: int) -> Iterator[p4r.Entity]:
        return _encoded_cells(counter, first, self._instance.tallies(counter.name, first, count))

    def _direct_counters(self, request: p4r.DirectCounterEntry) -> Iterator[p4r.Entity]:
        asked = request.table_entry
        if asked.is_default_action:
            return self._default_cell(asked)
        if asked.table_id == 0:
            if asked.match or asked.priority:
                raise invalid("match fields are named together with their table")
            codecs = [codec for codec in self._schema.tables.values() if codec.table.counter_id is not None]
            return _chained([self._direct_cells(asked, codec) for codec in codecs])
        codec = self._schema.table(asked.table_id)
        if codec.table.counter_id is None:
            raise invalid(f"table {codec.name} has no direct counter")
        return self._direct_cells(asked, codec)

    def _default_cell(self, asked: p4r.TableEntry) -> Iterator[p4r.Entity]:
        codec = self._schema.table(asked.table_id)
        if not codec.counts_misses:
            raise unimplemented(f"table {codec.name}: packets that miss are not counted")
        self._check_asked(asked, codec)
        named = p4r.TableEntry(table_id=codec.table.id, is_default_action=True)
        made = p4r.DirectCounterEntry(table_entry=named)
        _set_tally(made.data, self._instance.direct_tallies(codec.name, [codec.default_key])[0])
        return iter([p4r.Entity(direct_counter_entry=made)])

    def _direct_cells(self, asked: p4r.TableEntry, codec: TableCodec) -> Iterator[p4r.Entity]:
        wanted = p4r.TableEntry(
            table_id=codec.table.id, match=asked.match, priority=asked.priority, counter_data=p4r.CounterData()
        )
        entries = self._one_table(wanted, codec)
        if not asked.match:
            return map(_direct_cell, entries)
        return iter([_direct_cell(the_one(entries, codec, asked))])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    """Of the rows of an answer, in their order; None for what was not asked for."""

    tallies: list[Tally] | None
    colors: list[ColorTallies] | None
    idle_ms: list[int] | None
    has_meters: bool
    const_keys: frozenset[RowKey]


def _encoded_rows(codec: TableCodec, rows: list[Row], beside: _Beside) -> Iterator[p4r.Entity]:
    for at, row in enumerate(rows):
        entity = p4r.Entity(table_entry=codec.encode(row))
        entry = entity.table_entry
        if beside.const_keys and row.key in beside.const_keys:
            entry.is_const = True
        if beside.has_meters and row.meter is not None:
            entry.meter_config.CopyFrom(encode_meter_config(row.meter))
        if beside.tallies is not None:
            _set_tally(entry.counter_data, beside.tallies[at])
        if beside.colors is not None:
            entry.meter_counter_data.CopyFrom(encode_color_tallies(beside.colors[at]))
        if beside.idle_ms is not None:
            entry.time_since_last_hit.elapsed_ns = beside.idle_ms[at] * NS_PER_MS
        yield entity


def _encoded_learned(codec: TableCodec, rows: Iterable[LearnedRow], request: p4r.TableEntry) -> Iterator[p4r.Entity]:
    counted = request.HasField("counter_data") and codec.table.counter_id is not None
    for row in rows:
        entity = p4r.Entity(table_entry=codec.encode(Row(codec.keys.key_of(row.matches), row.action)))
        entity.table_entry.idle_timeout_ns = row.timeout_ms * NS_PER_MS
        if request.HasField("time_since_last_hit"):
            entity.table_entry.time_since_last_hit.elapsed_ns = row.idle_ms * NS_PER_MS
        if counted:
            _set_tally(entity.table_entry.counter_data, Tally(row.packets, row.bytes))
        yield entity


def _encoded_members(selector: Selector, codec: TableCodec, members: list[Member]) -> Iterator[p4r.Entity]:
    for member in members:
        made = p4r.ActionProfileMember(
            action_profile_id=selector.id, member_id=member.id, action=codec.choice.encode(member.action)
        )
        yield p4r.Entity(action_profile_member=made)


def _encoded_groups(selector: Selector, codec: TableCodec, groups: list[Group]) -> Iterator[p4r.Entity]:
    for group in groups:
        made = p4r.ActionProfileGroup(action_profile_id=selector.id, group_id=group.id, max_size=group.max_size)
        for member in group.members:
            added = made.members.add(member_id=member.member_id, weight=member.weight)
            encode_watch(member.watch, added, codec.ports)
        yield p4r.Entity(action_profile_group=made)


def _encoded_cells(counter: Counter, first: int, tallies: list[Tally]) -> Iterator[p4r.Entity]:
    for index, tally in enumerate(tallies, first):
        made = p4r.CounterEntry(counter_id=counter.id, index=p4r.Index(index=index))
        _set_tally(made.data, tally)
        yield p4r.Entity(counter_entry=made)


def _direct_cell(entity: p4r.Entity) -> p4r.Entity:
    entry = entity.table_entry
    named = p4r.TableEntry(table_id=entry.table_id, match=entry.match, priority=entry.priority)
    return p4r.Entity(direct_counter_entry=p4r.DirectCounterEntry(table_entry=named, data=entry.counter_data))


def _set_tally(into: p4r.CounterData, tally: Tally) -> None:
    into.SetInParent()
    into.packet_count, into.byte_count = tally.packets, tally.bytes


def _chosen(known: dict[int, T], wanted: int) -> list[T]:
    """One by id, none when it is unknown, all for 0."""
    if not wanted:
        return list(known.values())
    return [known[wanted]] if wanted in known else []


def _chained(parts: list[Iterator[T]]) -> Iterator[T]:
    return (one for part in parts for one in part)


def _pieces(entities: Iterator[p4r.Entity]) -> Iterator[list[p4r.Entity]]:
    while piece := list(islice(entities, PIECE)):
        yield piece
