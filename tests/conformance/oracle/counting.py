"""Counters, and direct counters and meters by themselves. Section "CounterEntry & DirectCounterEntry" and the next."""

from __future__ import annotations

from dataclasses import replace

from finsy.proto import p4r

from tests.conformance.oracle.entries import decode_counter_data, decode_key
from tests.conformance.oracle.judgement import UNKNOWN_ID, Code, Judgement
from tests.conformance.oracle.meters import check_cleared, check_executed, check_index, checked_config
from tests.conformance.oracle.program import Table
from tests.conformance.oracle.state import Forwarding, Row

MODIFY = p4r.Update.MODIFY


def judge_counter(state: Forwarding, kind: int, given: p4r.CounterEntry) -> Judgement:
    found = Judgement()
    counter = state.known.counters.get(given.counter_id)
    if kind != MODIFY:
        found.refuse(Code.INVALID_ARGUMENT)
    if counter is None:
        found.refuse(*UNKNOWN_ID)
        return found
    check_index(counter, given, found)
    if given.HasField("data"):
        tally = decode_counter_data(given.data, found)
        index = given.index.index if given.HasField("index") else None
        found.change = lambda: state.counters[counter.id].set(index, tally)
    return found


def judge_direct_counter(state: Forwarding, kind: int, given: p4r.DirectCounterEntry) -> Judgement:
    found = Judgement()
    table = state.known.tables.get(given.table_entry.table_id)
    if kind != MODIFY:
        found.refuse(Code.INVALID_ARGUMENT)
    row = _find(state, table, given.table_entry, found)
    if table is None:
        return found
    if not table.counter:
        found.refuse(Code.INVALID_ARGUMENT)
    if given.HasField("data"):
        tally = decode_counter_data(given.data, found)
        if row is not None:
            found.change = lambda: put(state, table, replace(row, tally=tally))
    return found


def judge_direct_meter(state: Forwarding, kind: int, given: p4r.DirectMeterEntry) -> Judgement:
    found = Judgement()
    table = state.known.tables.get(given.table_entry.table_id)
    if not state.known.meter_types:
        found.allow(Code.UNIMPLEMENTED)
    if kind != MODIFY:
        found.refuse(Code.INVALID_ARGUMENT)
    row = _find(state, table, given.table_entry, found)
    if table is None or not table.meter:
        found.refuse(Code.INVALID_ARGUMENT)
        return found
    if given.HasField("counter_data"):
        check_cleared(given.counter_data, found)
    kind_of_meter = state.known.meter_types[table.meter]
    config = checked_config(kind_of_meter, given.config, found) if given.HasField("config") else None
    if row is not None:
        check_executed(state, row.action, config, found)
        found.change = lambda: put(state, table, replace(row, meter=config))
    return found


def _find(state: Forwarding, table: Table | None, given: p4r.TableEntry, found: Judgement) -> Row | None:
    """The entry that a direct resource belongs to."""
    if table is None:
        found.refuse(*UNKNOWN_ID)
        return None
    if given.is_default_action:
        if given.match or given.priority:
            found.refuse(Code.INVALID_ARGUMENT)
        found.allow(Code.UNIMPLEMENTED, Code.PERMISSION_DENIED)  # packets that miss need not be counted
        return state.defaults[table.id]
    if table.id in state.declared.learned:
        found.refuse(Code.PERMISSION_DENIED, Code.NOT_FOUND)
    of_key = Judgement()
    row = state.rows[table.id].get(decode_key(table, given, of_key))
    is_named = found.include(of_key)
    if row is None and (is_named or not table.fields):
        found.refuse(Code.NOT_FOUND)
    return row


def put(state: Forwarding, table: Table, row: Row) -> None:
    """Note an entry that is there in its new form."""
    if row.is_default:
        state.defaults[table.id] = row
    else:
        state.rows[table.id][row.key] = row
