"""Read requests: which codes may be answered, and what is returned. Sections "Read RPC", "Wildcard Reads"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from finsy.proto import p4r

from tests.conformance.oracle.entries import decode_key
from tests.conformance.oracle.judgement import UNKNOWN_ID, Code, Judgement
from tests.conformance.oracle.meters import check_index
from tests.conformance.oracle.program import Cells, Table
from tests.conformance.oracle.state import NOTHING_METERED, Array, Cell, Forwarding, Row, Tally, counter_data
from tests.conformance.oracle.values import decode_matches, encode_matches

T = TypeVar("T")


@dataclass(slots=True)
class Expected(Judgement):
    """`entities` are what is returned when the request is accepted."""

    entities: list[p4r.Entity] = field(default_factory=list[p4r.Entity])


def expect(state: Forwarding, asked: p4r.Entity) -> Expected:
    found = Expected()
    match asked.WhichOneof("entity"):
        case None:
            found.refuse(Code.INVALID_ARGUMENT)
        case "table_entry":
            found.entities = [p4r.Entity(table_entry=one) for one in _entries(state, asked.table_entry, found)]
        case "action_profile_member":
            found.entities = list(_members(state, asked.action_profile_member, found))
        case "action_profile_group":
            found.entities = list(_groups(state, asked.action_profile_group, found))
        case "counter_entry":
            found.entities = list(_counters(state, asked.counter_entry, found))
        case "meter_entry":
            found.entities = list(_meters(state, asked.meter_entry, found))
        case "direct_counter_entry":
            found.entities = list(_direct_counters(state, asked.direct_counter_entry, found))
        case "direct_meter_entry":
            found.entities = list(_direct_meters(state, asked.direct_meter_entry, found))
        case "packet_replication_engine_entry":
            found.entities = list(_replication(state, asked.packet_replication_engine_entry, found))
        case "digest_entry":
            found.entities = list(_digests(state, asked.digest_entry, found))
        case kind:
            if getattr(asked, kind).ByteSize():
                found.refuse(*UNKNOWN_ID, Code.UNIMPLEMENTED, Code.OUT_OF_RANGE)
    return found


# table entries


def _entries(state: Forwarding, asked: p4r.TableEntry, found: Expected) -> list[p4r.TableEntry]:
    if not asked.table_id:
        if _has_filter(asked):
            found.refuse(Code.INVALID_ARGUMENT)  # "no other filter can be used"
        return [one for table in state.known.tables.values() for one in _all_rows(state, table, asked)]
    table = state.known.tables.get(asked.table_id)
    if table is None:
        found.refuse(*UNKNOWN_ID)
        return []
    _check_resources(table, asked, found)
    if asked.is_default_action:
        return _default(state, table, asked, found)
    rows = _filtered(state, table, asked, found)
    return [row.encoded(table, asked) for row in rows]


def _all_rows(state: Forwarding, table: Table, asked: p4r.TableEntry) -> Iterator[p4r.TableEntry]:
    for row in state.rows[table.id].values():
        yield row.encoded(table, asked)


def _has_filter(asked: p4r.TableEntry) -> bool:
    filters = (asked.match, asked.priority, asked.metadata, asked.is_default_action, _cookie(asked))
    return any(filters) or asked.HasField("action")


def _check_resources(table: Table, asked: p4r.TableEntry, found: Expected) -> None:
    if asked.HasField("counter_data") and not table.counter:
        found.allow(Code.INVALID_ARGUMENT)
    if (asked.HasField("meter_config") or asked.HasField("meter_counter_data")) and not table.meter:
        found.allow(Code.INVALID_ARGUMENT)
    if asked.HasField("time_since_last_hit") and not table.has_timeout:
        found.refuse(Code.INVALID_ARGUMENT)
    if asked.idle_timeout_ns and not table.has_timeout:
        found.allow(Code.INVALID_ARGUMENT)


def _default(state: Forwarding, table: Table, asked: p4r.TableEntry, found: Expected) -> list[p4r.TableEntry]:
    row = state.defaults[table.id]
    if asked.match or asked.priority:
        found.refuse(Code.INVALID_ARGUMENT)
    if asked.idle_timeout_ns or asked.HasField("time_since_last_hit"):
        found.allow(Code.INVALID_ARGUMENT)  # "Idle-timeout": neither belongs to a default entry
    if asked.metadata or _cookie(asked):
        found.allow(Code.INVALID_ARGUMENT)
    rows = _by_action(table, asked, [row], found)
    return [one.encoded(table, asked) for one in _by_metadata(asked, rows)]


def _filtered(state: Forwarding, table: Table, asked: p4r.TableEntry, found: Expected) -> list[Row]:
    rows = list(state.rows[table.id].values())
    if asked.match:
        match = decode_matches(table, asked.match, found)
        rows = [row for row in rows if row.match == match]
        if not table.has_priority and asked.priority:
            found.allow(Code.INVALID_ARGUMENT)
    if asked.priority < 0:
        found.allow(Code.INVALID_ARGUMENT)
    if asked.priority:
        rows = [row for row in rows if row.priority == asked.priority]
        if not table.has_priority:
            found.allow(Code.INVALID_ARGUMENT)
    return _by_metadata(asked, _by_action(table, asked, rows, found))


def _by_metadata(asked: p4r.TableEntry, rows: list[Row]) -> list[Row]:
    if asked.metadata:
        rows = [row for row in rows if row.metadata == asked.metadata]
    return [row for row in rows if row.cookie == _cookie(asked)] if _cookie(asked) else rows


def _by_action(table: Table, asked: p4r.TableEntry, rows: list[Row], found: Expected) -> list[Row]:
    """By the id of a direct table's action; nothing else can be asked for."""
    if not asked.HasField("action"):
        return rows
    kind, number = asked.action.WhichOneof("type"), asked.action.action.action_id
    if kind is None:
        found.allow(Code.INVALID_ARGUMENT)
        return rows
    if kind != "action" or table.profile:
        found.refuse(Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)
    if not number:
        found.allow(Code.INVALID_ARGUMENT)
        return rows
    if number not in table.scopes:
        found.refuse(*UNKNOWN_ID)
    return [row for row in rows if row.action.action.action_id == number]


# members and groups


def _profiles(state: Forwarding, number: int, key: int, found: Expected) -> list[int]:
    """Ids of the profiles that are asked for."""
    if not number:
        if key:
            found.refuse(*UNKNOWN_ID)
        return list(state.known.profiles)
    if number not in state.known.profiles:
        found.refuse(*UNKNOWN_ID)
        return []
    return [number]


def _members(state: Forwarding, asked: p4r.ActionProfileMember, found: Expected) -> Iterator[p4r.Entity]:
    for number in _profiles(state, asked.action_profile_id, asked.member_id, found):
        for member_id, action in _chosen(state.members[number], asked.member_id, found):
            made = p4r.ActionProfileMember(action_profile_id=number, member_id=member_id, action=action)
            yield p4r.Entity(action_profile_member=made)


def _groups(state: Forwarding, asked: p4r.ActionProfileGroup, found: Expected) -> Iterator[p4r.Entity]:
    for number in _profiles(state, asked.action_profile_id, asked.group_id, found):
        for group_id, group in _chosen(state.groups[number], asked.group_id, found):
            made = p4r.ActionProfileGroup(
                action_profile_id=number, group_id=group_id, members=group.members, max_size=group.max_size
            )
            yield p4r.Entity(action_profile_group=made)


def _chosen(there: dict[int, T], number: int, found: Expected) -> Iterable[tuple[int, T]]:
    """One by its id, or all; nothing is said of one that is not there."""
    if not number:
        return list(there.items())
    if number not in there:
        found.allow(Code.NOT_FOUND)
        return []
    return [(number, there[number])]


# counters and meters


def _cells(
    cells: Mapping[int, Cells],
    arrays: dict[int, Array],
    number: int,
    asked: p4r.CounterEntry | p4r.MeterEntry,
    found: Expected,
) -> Iterator[tuple[int, int, Cell]]:
    """Id, index and value of what is asked for."""
    if not number:
        if asked.HasField("index"):
            found.allow(Code.INVALID_ARGUMENT)
        for known in cells:
            yield from ((known, index, value) for index, value in arrays[known].cells(None))
        return
    if number not in cells:
        found.refuse(*UNKNOWN_ID, *(() if cells else (Code.UNIMPLEMENTED,)))
        return
    check_index(cells[number], asked, found)
    if not found.is_refused:
        index = asked.index.index if asked.HasField("index") else None
        yield from ((number, at, value) for at, value in arrays[number].cells(index))


def _counters(state: Forwarding, asked: p4r.CounterEntry, found: Expected) -> Iterator[p4r.Entity]:
    chosen = _cells(state.known.counters, state.counters, asked.counter_id, asked, found)
    for number, index, value in chosen:
        made = p4r.CounterEntry(counter_id=number, index=p4r.Index(index=index), data=counter_data(_tally(value)))
        yield p4r.Entity(counter_entry=made)


def _tally(value: Cell) -> Tally:
    assert isinstance(value, tuple)
    return value


def _meters(state: Forwarding, asked: p4r.MeterEntry, found: Expected) -> Iterator[p4r.Entity]:
    for number, index, value in _cells(state.known.meters, state.meters, asked.meter_id, asked, found):
        made = p4r.MeterEntry(meter_id=number, index=p4r.Index(index=index))
        if isinstance(value, p4r.MeterConfig):
            made.config.CopyFrom(value)
        if asked.HasField("counter_data"):
            made.counter_data.CopyFrom(NOTHING_METERED)
        yield p4r.Entity(meter_entry=made)


def _direct(state: Forwarding, asked: p4r.TableEntry, tables: list[Table], found: Expected) -> list[tuple[Table, Row]]:
    """Entries whose direct resource is asked for: one by its key, those of a table, those of all tables."""
    if not asked.table_id:
        if asked.match or asked.priority or asked.is_default_action:
            found.refuse(Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)
        return [(table, row) for table in tables for row in state.rows[table.id].values()]
    table = state.known.tables.get(asked.table_id)
    if table is None:
        found.refuse(*UNKNOWN_ID)
        return []
    if table not in tables:
        found.refuse(Code.INVALID_ARGUMENT)
    if asked.is_default_action:
        if asked.match or asked.priority:
            found.refuse(Code.INVALID_ARGUMENT)
        found.allow(Code.UNIMPLEMENTED)
        return [(table, state.defaults[table.id])]
    if not asked.match:
        rows = list(state.rows[table.id].values())
        if asked.priority:
            found.allow(Code.INVALID_ARGUMENT)
            rows = [row for row in rows if row.priority == asked.priority]
        return [(table, row) for row in rows]
    of_key = Judgement()
    row = state.rows[table.id].get(decode_key(table, asked, of_key))
    if found.include(of_key) and row is None:
        found.refuse(Code.NOT_FOUND)
    return [] if row is None else [(table, row)]


def _direct_counters(state: Forwarding, asked: p4r.DirectCounterEntry, found: Expected) -> Iterator[p4r.Entity]:
    tables = [table for table in state.known.tables.values() if table.counter]
    for table, row in _direct(state, asked.table_entry, tables, found):
        made = p4r.DirectCounterEntry(table_entry=_named(table, row), data=counter_data(row.tally))
        yield p4r.Entity(direct_counter_entry=made)


def _direct_meters(state: Forwarding, asked: p4r.DirectMeterEntry, found: Expected) -> Iterator[p4r.Entity]:
    tables = [table for table in state.known.tables.values() if table.meter]
    if not tables:
        found.allow(Code.UNIMPLEMENTED)
    for table, row in _direct(state, asked.table_entry, tables, found):
        made = p4r.DirectMeterEntry(table_entry=_named(table, row))
        if row.meter is not None:
            made.config.CopyFrom(row.meter)
        if asked.HasField("counter_data"):
            made.counter_data.CopyFrom(NOTHING_METERED)
        yield p4r.Entity(direct_meter_entry=made)


def _named(table: Table, row: Row) -> p4r.TableEntry:
    return p4r.TableEntry(
        table_id=table.id,
        match=encode_matches(table, row.match),
        priority=row.priority,
        is_default_action=row.is_default,
    )


# the packet replication engine, digests


def _replication(state: Forwarding, asked: p4r.PacketReplicationEngineEntry, found: Expected) -> Iterator[p4r.Entity]:
    if asked.WhichOneof("type") is None:
        found.allow(Code.INVALID_ARGUMENT)
    number = asked.multicast_group_entry.multicast_group_id or asked.clone_session_entry.session_id
    if not state.declared.has_replication:
        if asked.ByteSize():
            found.allow(Code.UNIMPLEMENTED)
        return
    if not asked.HasField("clone_session_entry"):
        for _, group in _chosen(state.multicast, number, found):
            yield p4r.Entity(
                packet_replication_engine_entry=p4r.PacketReplicationEngineEntry(multicast_group_entry=group)
            )
    if not asked.HasField("multicast_group_entry"):
        for _, session in _chosen(state.clones, number, found):
            yield p4r.Entity(
                packet_replication_engine_entry=p4r.PacketReplicationEngineEntry(clone_session_entry=session)
            )


def _digests(state: Forwarding, asked: p4r.DigestEntry, found: Expected) -> Iterator[p4r.Entity]:
    if asked.digest_id and asked.digest_id not in state.known.digests:
        found.refuse(*UNKNOWN_ID, Code.UNIMPLEMENTED)
    elif not asked.digest_id and asked.ByteSize():
        found.allow(Code.UNIMPLEMENTED, Code.INVALID_ARGUMENT)
    for _, entry in _chosen(state.digests, asked.digest_id, found):
        yield p4r.Entity(digest_entry=entry)


def _cookie(entry: p4r.TableEntry) -> int:
    return entry.controller_metadata  # pyright: ignore[reportDeprecated]
