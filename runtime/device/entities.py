"""Entities of an answer, made of what a device holds. For `runtime.device.reads`, which says what is asked for.

Entries that `runtime.device.wirerows` can write are not among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finsy.proto import p4r

from compiler.ir.entries import Group, Member
from compiler.ir.tables import Counter, Selector
from runtime.device.metercodec import encode_color_tallies, encode_meter_config
from runtime.device.records import ColorTallies, Row, RowKey, Tally
from runtime.device.schema import TableCodec
from runtime.device.target import LearnedRow
from runtime.device.timers import NS_PER_MS
from runtime.device.watching import encode_watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Of the rows of an answer, in their order; None for what was not asked for."""

    tallies: Iterable[Tally] | None
    colors: list[ColorTallies] | None
    idle_ms: list[int] | None
    has_meters: bool
    const_keys: frozenset[RowKey]


def encoded_rows(codec: TableCodec, rows: list[Row], beside: Beside) -> Iterator[p4r.Entity]:
    tallies = iter(beside.tallies or ())
    for at, row in enumerate(rows):
        entity = p4r.Entity(table_entry=codec.encode(row))
        entry = entity.table_entry
        if beside.const_keys and row.key in beside.const_keys:
            entry.is_const = True
        if beside.has_meters and row.meter is not None:
            entry.meter_config.CopyFrom(encode_meter_config(row.meter))
        if beside.tallies is not None:
            set_tally(entry.counter_data, next(tallies))
        if beside.colors is not None:
            entry.meter_counter_data.CopyFrom(encode_color_tallies(beside.colors[at]))
        if beside.idle_ms is not None:
            entry.time_since_last_hit.elapsed_ns = beside.idle_ms[at] * NS_PER_MS
        yield entity


def encoded_learned(codec: TableCodec, rows: Iterable[LearnedRow], request: p4r.TableEntry) -> Iterator[p4r.Entity]:
    counted = request.HasField("counter_data") and codec.table.counter_id is not None
    for row in rows:
        entity = p4r.Entity(table_entry=codec.encode(Row(codec.keys.key_of(row.matches), row.action)))
        entity.table_entry.idle_timeout_ns = row.timeout_ms * NS_PER_MS
        if request.HasField("time_since_last_hit"):
            entity.table_entry.time_since_last_hit.elapsed_ns = row.idle_ms * NS_PER_MS
        if counted:
            set_tally(entity.table_entry.counter_data, Tally(row.packets, row.bytes))
        yield entity


def encoded_members(selector: Selector, codec: TableCodec, members: list[Member]) -> Iterator[p4r.Entity]:
    for member in members:
        made = p4r.ActionProfileMember(
            action_profile_id=selector.id, member_id=member.id, action=codec.choice.encode(member.action)
        )
        yield p4r.Entity(action_profile_member=made)


def encoded_groups(selector: Selector, codec: TableCodec, groups: list[Group]) -> Iterator[p4r.Entity]:
    for group in groups:
        made = p4r.ActionProfileGroup(action_profile_id=selector.id, group_id=group.id, max_size=group.max_size)
        for member in group.members:
            added = made.members.add(member_id=member.member_id, weight=member.weight)
            encode_watch(member.watch, added, codec.ports)
        yield p4r.Entity(action_profile_group=made)


def encoded_cells(counter: Counter, first: int, tallies: list[Tally]) -> Iterator[p4r.Entity]:
    for index, tally in enumerate(tallies, first):
        made = p4r.CounterEntry(counter_id=counter.id, index=p4r.Index(index=index))
        set_tally(made.data, tally)
        yield p4r.Entity(counter_entry=made)


def direct_cell(entity: p4r.Entity) -> p4r.Entity:
    entry = entity.table_entry
    named = p4r.TableEntry(table_id=entry.table_id, match=entry.match, priority=entry.priority)
    return p4r.Entity(direct_counter_entry=p4r.DirectCounterEntry(table_entry=named, data=entry.counter_data))


def set_tally(into: p4r.CounterData, tally: Tally) -> None:
    into.SetInParent()
    into.packet_count, into.byte_count = tally.packets, tally.bytes
