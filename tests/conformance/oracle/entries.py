"""Table entries: INSERT, MODIFY, DELETE. Section "TableEntry" and those below it."""

from __future__ import annotations

from dataclasses import replace

from finsy.proto import p4r

from tests.conformance.oracle.judgement import UNKNOWN_ID, Code, Judgement
from tests.conformance.oracle.meters import check_colors, check_executed, check_meter, check_meter_of_default
from tests.conformance.oracle.profiles import decode_reference
from tests.conformance.oracle.program import Table
from tests.conformance.oracle.state import ZERO, Forwarding, Row, RowKey, Tally, initial_default
from tests.conformance.oracle.values import check_restriction, decode_action, decode_matches, encode_matches

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE


def judge_entry(state: Forwarding, kind: int, given: p4r.TableEntry) -> Judgement:
    found = Judgement()
    table = state.known.tables.get(given.table_id)
    if given.is_const:
        found.refuse(Code.INVALID_ARGUMENT)
    if table is None:
        found.refuse(*UNKNOWN_ID)
    elif given.is_default_action:
        _judge_default(state, kind, table, given, found)
    else:
        _judge_row(state, kind, table, given, found)
    return found


def decode_key(table: Table, given: p4r.TableEntry, found: Judgement) -> RowKey:
    if table.has_priority:
        if given.priority == 0:
            found.refuse(Code.INVALID_ARGUMENT)
        elif given.priority < 0:
            found.allow(Code.INVALID_ARGUMENT)  # only "non-zero" is asked for
    elif given.priority:
        found.refuse(Code.INVALID_ARGUMENT)
    return decode_matches(table, given.match, found), given.priority


def _judge_row(state: Forwarding, kind: int, table: Table, given: p4r.TableEntry, found: Judgement) -> None:
    of_key = Judgement()
    key = decode_key(table, given, of_key)
    is_named = found.include(of_key)
    old = state.rows[table.id].get(key) if is_named else None
    if not table.fields:
        found.refuse(Code.INVALID_ARGUMENT)
    if table.id in state.declared.learned:
        _judge_learned(kind, found)
    elif kind == INSERT:
        if is_named:
            check_restriction(table, key[0], key[1], found)
            row = _decode_content(state, table, given, None, Judgement())
            if row is not None:
                state.check_wanted(table.id, encode_matches(table, key[0]), row.action, found)
        _judge_insert(state, table, given, key, old, found)
    elif is_named and old is None:
        found.refuse(Code.NOT_FOUND, *((Code.PERMISSION_DENIED,) if table.is_const else ()))
        if kind == MODIFY:
            _decode_content(state, table, given, None, found)
    elif kind == MODIFY:
        _judge_modify(state, table, given, old, found)
    elif old is not None:
        if table.is_const or old.is_const:
            found.refuse(Code.PERMISSION_DENIED)
        else:
            state.check_unused(table, old, found)
        found.change = lambda: _drop(state, table, key)


def _judge_learned(kind: int, found: Judgement) -> None:
    """The specification knows such tables only as volatile: a controller takes entries away, and they may be gone."""
    if kind == DELETE:
        found.allow(Code.NOT_FOUND)
    else:
        found.refuse(Code.PERMISSION_DENIED)


def _judge_insert(
    state: Forwarding, table: Table, given: p4r.TableEntry, key: RowKey, old: Row | None, found: Judgement
) -> None:
    if table.is_const:
        found.refuse(Code.PERMISSION_DENIED)
    if old is not None:
        found.refuse(Code.ALREADY_EXISTS)
    elif len(state.rows[table.id]) >= table.size:
        found.refuse(Code.RESOURCE_EXHAUSTED)
    elif state.declared.may_run_out:
        found.allow(Code.RESOURCE_EXHAUSTED)
    if not given.HasField("action"):
        found.refuse(Code.INVALID_ARGUMENT)
    row = _decode_content(state, table, given, None, found)
    if row is not None:
        made = replace(row, match=key[0], priority=key[1])
        found.change = lambda: state.rows[table.id].update({key: made})


def _judge_modify(state: Forwarding, table: Table, given: p4r.TableEntry, old: Row | None, found: Judgement) -> None:
    if (table.is_const or (old is not None and old.is_const)) and given.HasField("action"):
        found.refuse(Code.PERMISSION_DENIED)
    if state.declared.may_run_out:
        found.allow(Code.RESOURCE_EXHAUSTED)
    row = _decode_content(state, table, given, old, found)
    if row is not None and old is not None:
        state.check_wanted(table.id, encode_matches(table, old.match), row.action, found)
    if row is not None and old is not None:
        made = replace(row, match=old.match, priority=old.priority, is_const=old.is_const)
        found.change = lambda: state.rows[table.id].update({old.key: made})


def _drop(state: Forwarding, table: Table, key: RowKey) -> None:
    del state.rows[table.id][key]


def _decode_content(
    state: Forwarding, table: Table, given: p4r.TableEntry, old: Row | None, found: Judgement
) -> Row | None:
    """Everything but the key. A MODIFY without an action changes direct resources alone ("Action Specification")."""
    _check_timeout(table, given, found)
    tally = _decode_tally(table, given, old, found)
    meter = check_meter(state.known, table.meter, given, found)
    check_colors(table.meter, given, found)
    if not given.HasField("action"):
        if old is not None:
            check_executed(state, old.action, meter, found)
        return None if old is None else replace(old, tally=tally, meter=meter)
    if table.profile:
        action = decode_reference(state, table, given.action, old, found)
    elif given.action.WhichOneof("type") == "action":
        chosen = decode_action(state.known, table.scopes, given.action.action, found)
        action = p4r.TableAction(action=chosen)
    else:
        found.refuse(Code.INVALID_ARGUMENT)
        return None
    check_executed(state, action, meter, found)
    return Row(
        action=action,
        metadata=given.metadata,
        cookie=_cookie(given),
        idle_timeout_ns=given.idle_timeout_ns,
        tally=tally,
        meter=meter,
    )


def _check_timeout(table: Table, given: p4r.TableEntry, found: Judgement) -> None:
    if not table.has_timeout and (given.idle_timeout_ns or given.HasField("time_since_last_hit")):
        found.refuse(Code.INVALID_ARGUMENT)
    if table.has_timeout and (given.idle_timeout_ns < 0 or given.HasField("time_since_last_hit")):
        found.allow(Code.INVALID_ARGUMENT)


def _decode_tally(table: Table, given: p4r.TableEntry, old: Row | None, found: Judgement) -> Tally:
    if not given.HasField("counter_data"):
        return ZERO if old is None else old.tally
    if not table.counter:
        found.refuse(Code.INVALID_ARGUMENT)
    return decode_counter_data(given.counter_data, found)


def decode_counter_data(given: p4r.CounterData, found: Judgement) -> Tally:
    if given.packet_count < 0 or given.byte_count < 0:
        found.allow(Code.INVALID_ARGUMENT)  # nothing is said of counts below 0
    return given.packet_count, given.byte_count


def _judge_default(state: Forwarding, kind: int, table: Table, given: p4r.TableEntry, found: Judgement) -> None:
    if kind != MODIFY or given.match or given.priority:
        found.refuse(Code.INVALID_ARGUMENT)
    if kind == DELETE:
        return
    if given.idle_timeout_ns or given.HasField("time_since_last_hit"):
        found.refuse(Code.INVALID_ARGUMENT)
    if table.const_default or table.profile:
        found.refuse(Code.PERMISSION_DENIED)
    old = state.defaults[table.id]
    if not given.HasField("action"):
        found.change = lambda: state.defaults.update({table.id: initial_default(table)})
        old = initial_default(table)
    tally = _decode_tally(table, given, old, found)
    check_meter_of_default(table.meter, given, found)
    if not given.HasField("action"):
        return
    if given.action.WhichOneof("type") != "action":
        found.refuse(Code.INVALID_ARGUMENT)
        return
    action = decode_action(state.known, table.scopes, given.action.action, found, as_default=True)
    made = Row(
        action=p4r.TableAction(action=action),
        metadata=given.metadata,
        cookie=_cookie(given),
        tally=tally,
        is_default=True,
    )
    state.check_wanted(table.id, (), made.action, found)
    found.change = lambda: state.defaults.update({table.id: made})


def _cookie(entry: p4r.TableEntry) -> int:
    return entry.controller_metadata  # pyright: ignore[reportDeprecated]
