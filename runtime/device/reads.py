"""Read requests: what is asked for, in pieces of a bounded size.

`Reader.answer` takes a snapshot (records are immutable, so it is a list of references) and hands back an iterator that
encodes it piece by piece. So a slow client neither holds up writers nor sees half of one. What is taken beside records,
the counters of entries, is taken in slices, with writers away: it is work for each entry. A piece is a
`p4.v1.ReadResponse` in its wire form: most entries go there without ever being a message (`runtime.device.wirerows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from finsy.proto import p4r

from compiler.ir.entries import ActionCall
from compiler.ir.tables import Counter, Selector
from runtime.device.cells import checked_index
from runtime.device.contents import Contents
from runtime.device.digestentries import DigestReader
from runtime.device.entities import (
    Beside,
    direct_cell,
    encoded_cells,
    encoded_groups,
    encoded_learned,
    encoded_members,
    encoded_rows,
    set_tally,
)
from runtime.device.meterreads import MeterReader, the_one
from runtime.device.records import Row, Tally
from runtime.device.refusals import invalid, unimplemented
from runtime.device.replicationentries import ReplicationReader
from runtime.device.schema import Schema, TableCodec, cookie_of
from runtime.device.slices import Steps, at_once
from runtime.device.target import Instance, LearnedRow
from runtime.device.wirerows import RowForm, counter_data, read_response

PIECE = 1000
"""Entities in one ReadResponse at most: well under gRPC's default limit of 4 MiB."""
T = TypeVar("T")

_NONE_HERE = frozenset({"extern_entry", "value_set_entry", "register_entry"})


class Reader:
    """Answers read requests about one pipeline."""

    def __init__(self, schema: Schema, contents: Contents, instance: Instance) -> None:
        self._schema = schema
        self._contents = contents
        self._instance = instance
        self._meters = MeterReader(schema, contents, instance)
        self._digests = DigestReader(schema, contents)
        self._replication = ReplicationReader(schema, contents)

    def answer(self, request: p4r.Entity) -> Iterator[bytes]:
        """As `steps`, where nobody else waits."""
        return at_once(self.steps(request))

    def steps(self, request: p4r.Entity) -> Steps[Iterator[bytes]]:
        """Messages of at most `PIECE` entities. Raises `RefusedError` within the steps, never later."""
        kind = request.WhichOneof("entity")
        match kind:
            case None:
                raise invalid("the read request has no entity: a wildcard names its kind at least")
            case "table_entry":
                return (yield from self._table_entries(request.table_entry))
            case "action_profile_member":
                return _pieces(self._members(request.action_profile_member))
            case "action_profile_group":
                return _pieces(self._groups(request.action_profile_group))
            case "counter_entry":
                return _pieces(self._counters(request.counter_entry))
            case "direct_counter_entry":
                return _pieces((yield from self._direct_counters(request.direct_counter_entry)))
            case "digest_entry":
                return _pieces(self._digests.entries(request.digest_entry))
            case "packet_replication_engine_entry":
                return _pieces(self._replication.entries(request.packet_replication_engine_entry))
            case "meter_entry":
                return _pieces(self._meters.cells(request.meter_entry))
            case "direct_meter_entry":
                return _pieces(self._meters.of_entries(request.direct_meter_entry, self._read_table))
            case _:
                return self._absent(kind, request)

    def _absent(self, kind: str, request: p4r.Entity) -> Iterator[bytes]:
        """Kinds of which this device can have none: all of them are none, a certain one is refused."""
        if getattr(request, kind).ListFields():
            raise unimplemented(f"{kind}: this device has none")
        return iter(())

    # table entries

    def _table_entries(self, request: p4r.TableEntry) -> Steps[Iterator[bytes]]:
        if request.table_id == 0:
            return (yield from self._all_tables(request))
        codec = self._schema.table(request.table_id)
        self._check_asked(request, codec)
        return (yield from self._written_table(request, codec))

    def _all_tables(self, request: p4r.TableEntry) -> Steps[Iterator[bytes]]:
        filtered = request.match or request.priority or request.metadata or request.is_default_action
        if filtered or cookie_of(request) or request.HasField("action"):
            raise invalid("a read of all tables (table id 0) takes no other filter")
        parts: list[Iterator[bytes]] = []
        for codec in self._schema.tables.values():
            parts.append((yield from self._written_table(request, codec)))
        return _chained(parts)

    def _check_asked(self, request: p4r.TableEntry, codec: TableCodec) -> None:
        if request.HasField("counter_data") and codec.table.counter_id is None:
            raise invalid(f"table {codec.name} has no direct counter")
        if (request.HasField("meter_config") or request.HasField("meter_counter_data")) and not codec.table.meter:
            raise invalid(f"table {codec.name} has no direct meter")
        if request.HasField("time_since_last_hit") and not (codec.is_learned or codec.table.idle_timeout):
            raise invalid(f"table {codec.name} has no idle timeout")
        if request.is_default_action:
            codec.check_default_key(request)

    def _written_table(self, request: p4r.TableEntry, codec: TableCodec) -> Steps[Iterator[bytes]]:
        if codec.rows is None or request.is_default_action:
            return _pieces((yield from self._one_table(request, codec)))
        rows = self._rows(request, codec)
        return _written(codec.rows, rows, (yield from self._tallies(request, codec, rows)))

    def _read_table(self, request: p4r.TableEntry, codec: TableCodec) -> Iterator[p4r.Entity]:
        return at_once(self._one_table(request, codec))

    def _one_table(self, request: p4r.TableEntry, codec: TableCodec) -> Steps[Iterator[p4r.Entity]]:
        if request.is_default_action:
            return self._default(request, codec)
        if codec.is_learned:
            return self._learned(request, codec)
        rows = self._rows(request, codec)
        return encoded_rows(codec, rows, (yield from self._beside(request, codec, rows)))

    def _beside(self, request: p4r.TableEntry, codec: TableCodec, rows: list[Row]) -> Steps[Beside]:
        """What was asked for that lies beside the entries."""
        table, instance = codec.table, self._instance
        colored = request.HasField("meter_counter_data") and table.meter is not None
        aged = request.HasField("time_since_last_hit") and table.idle_timeout
        keys = [codec.entry_key(row.key) for row in rows] if colored or aged else []
        tallies = yield from self._tallies(request, codec, rows)
        return Beside(
            tallies=tallies,
            colors=instance.direct_meter_tallies(codec.name, keys) if colored else None,
            idle_ms=instance.idle_ms(codec.name, keys) if aged else None,
            has_meters=request.HasField("meter_config"),
            const_keys=self._contents.tables[codec.name].const_keys,
        )

    def _tallies(self, request: p4r.TableEntry, codec: TableCodec, rows: list[Row]) -> Steps[Iterable[Tally] | None]:
        """Of these rows in their order, where they are asked for."""
        if not request.HasField("counter_data") or codec.table.counter_id is None:
            return None
        return (yield from self._instance.row_tallies(codec, rows))

    def _default(self, request: p4r.TableEntry, codec: TableCodec) -> Iterator[p4r.Entity]:
        action_id = self._action_filter(request, codec)
        found = codec.encode_default(None if codec.is_learned else self._contents.tables[codec.name].default)
        if request.HasField("counter_data") and codec.counts_misses:
            set_tally(found.counter_data, self._instance.direct_tallies(codec.name, [codec.default_key])[0])
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
        rows, action_id = self._contents.tables[codec.name].rows, self._action_filter(request, codec)
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
        if action_id:
            found = [row for row in found if _calls(row, codec, action_id)]
        return [row for row in found if row.controller_metadata == cookie] if cookie else found

    def _learned(self, request: p4r.TableEntry, codec: TableCodec) -> Iterator[p4r.Entity]:
        action_id = self._action_filter(request, codec)
        if request.match:
            found = self._instance.find_learned(codec.entry_key(codec.decode_key(request)))
            rows: Iterable[LearnedRow] = [] if found is None else [found]
        else:
            rows = self._instance.learned(codec.name)
        if request.priority or request.metadata or cookie_of(request):
            rows = []
        if action_id:
            rows = [row for row in rows if codec.choice.by_name[row.action.action].id == action_id]
        return encoded_learned(codec, rows, request)

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
            parts.append(encoded_members(selector, codec, _chosen(members, request.member_id)))
        return _chained(parts)

    def _groups(self, request: p4r.ActionProfileGroup) -> Iterator[p4r.Entity]:
        if request.group_id and not request.action_profile_id:
            raise invalid(f"group {request.group_id}: a group is named together with its action profile")
        parts: list[Iterator[p4r.Entity]] = []
        for selector, codec in self._selectors(request.action_profile_id):
            groups = self._contents.selectors[selector.name].groups
            parts.append(encoded_groups(selector, codec, _chosen(groups, request.group_id)))
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
        return encoded_cells(counter, first, self._instance.tallies(counter.name, first, count))

    def _direct_counters(self, request: p4r.DirectCounterEntry) -> Steps[Iterator[p4r.Entity]]:
        asked = request.table_entry
        if asked.is_default_action:
            return self._default_cell(asked)
        if asked.table_id == 0:
            if asked.match or asked.priority:
                raise invalid("match fields are named together with their table")
            codecs = [codec for codec in self._schema.tables.values() if codec.table.counter_id is not None]
            parts: list[Iterator[p4r.Entity]] = []
            for codec in codecs:
                parts.append((yield from self._direct_cells(asked, codec)))
            return _chained(parts)
        codec = self._schema.table(asked.table_id)
        if codec.table.counter_id is None:
            raise invalid(f"table {codec.name} has no direct counter")
        return (yield from self._direct_cells(asked, codec))

    def _default_cell(self, asked: p4r.TableEntry) -> Iterator[p4r.Entity]:
        codec = self._schema.table(asked.table_id)
        if not codec.counts_misses:
            raise unimplemented(f"table {codec.name}: packets that miss are not counted")
        self._check_asked(asked, codec)
        named = p4r.TableEntry(table_id=codec.table.id, is_default_action=True)
        made = p4r.DirectCounterEntry(table_entry=named)
        set_tally(made.data, self._instance.direct_tallies(codec.name, [codec.default_key])[0])
        return iter([p4r.Entity(direct_counter_entry=made)])

    def _direct_cells(self, asked: p4r.TableEntry, codec: TableCodec) -> Steps[Iterator[p4r.Entity]]:
        wanted = p4r.TableEntry(
            table_id=codec.table.id, match=asked.match, priority=asked.priority, counter_data=p4r.CounterData()
        )
        entries = yield from self._one_table(wanted, codec)
        if not asked.match:
            return map(direct_cell, entries)
        return iter([direct_cell(the_one(entries, codec, asked))])


def _chosen(known: dict[int, T], wanted: int) -> list[T]:
    """One by id, none when it is unknown, all for 0."""
    if not wanted:
        return list(known.values())
    return [known[wanted]] if wanted in known else []


def _chained(parts: list[Iterator[T]]) -> Iterator[T]:
    return (one for part in parts for one in part)


def _calls(row: Row, codec: TableCodec, action_id: int) -> bool:
    return isinstance(row.action, ActionCall) and codec.choice.by_name[row.action.action].id == action_id


def _pieces(entities: Iterator[p4r.Entity]) -> Iterator[bytes]:
    while piece := list(islice(entities, PIECE)):
        yield p4r.ReadResponse(entities=piece).SerializeToString()


def _written(form: RowForm, rows: list[Row], tallies: Iterable[Tally] | None) -> Iterator[bytes]:
    entries = map(form.write, rows) if tallies is None else map(form.write, rows, map(counter_data, tallies))
    while piece := list(islice(entries, PIECE)):
        yield read_response(piece)
