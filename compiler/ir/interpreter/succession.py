"""What a model goes on with of another one's that packets have written: learned entries, counters, tokens, last hits.

As RECONCILE_AND_COMMIT of the kernel target has it: entries are known by their keys where these are the same in both
pipelines, cells by their indices, learned entries go on also in a store of another layout. An argument goes on by its
name, one that is new is 0; what has no place ends.
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.ir.entries import ActionCall
from compiler.ir.expressions import width_bits
from compiler.ir.interpreter.learning import Slot, SlotStore
from compiler.ir.interpreter.matching import MatchTable, Row
from compiler.ir.interpreter.meters import Cell
from compiler.ir.interpreter.model import Model
from compiler.ir.tables import DirectMeter, Meter, Store, Table

Translate = Callable[[ActionCall], ActionCall]


class NoPlaceError(Exception):
    """Entries of a store cannot go on in another; the text says why."""


def succeed(new: Model, old: Model) -> list[str]:
    """`new` has its entries already, and has met no packet. Returns a sentence for each loss."""
    for counter in new.pipeline.counters:
        if counter.name in old.names.counters:
            for index in old.counted(counter.name):
                if index < counter.size:
                    new.set_indexed_counter(counter.name, index, old.indexed_counter(counter.name, index))
    for meter in new.pipeline.meters:
        before = next((one for one in old.pipeline.meters if one.name == meter.name), None)
        if before is not None and _says_same(before, meter):
            for index in old.meter(meter.name).met():
                if index < meter.size:
                    _go_on(new.meter_cell(meter.name, index), old.meter_cell(meter.name, index))
    tables = {table.name: table for table in old.pipeline.tables}
    for table in new.pipeline.tables:
        if table.store is None and table.name in tables and _keys(tables[table.name]) == _keys(table):
            _follow(new.match_table(table.name), old.match_table(table.name))
    return [loss for store in old.pipeline.stores for loss in _bring(store, new, old)]


def _says_same(old: Meter | DirectMeter | None, new: Meter | DirectMeter | None) -> bool:
    return old is not None and new is not None and (old.type, old.unit) == (new.type, new.unit)


def _go_on(new: Cell, old: Cell) -> None:
    """A cell with the configuration that it had keeps its tokens, and any cell what it has told."""
    if new.config == old.config:
        new.restore(old.state)
    new.set_tallies(old.tallies)


def _keys(table: Table) -> list[tuple[object, ...]]:
    return [(key.name, key.match, width_bits(key.expr)) for key in table.keys]


def _follow(new: MatchTable, old: MatchTable) -> None:
    _take(new.default, old.default)
    known = {entry.key for entry in old.entries()}
    for entry in new.entries():
        if entry.key in known:
            row, before = new.row(entry.key), old.row(entry.key)
            _take(row, before)
            row.seen_ms = before.seen_ms
            if row.meter is not None and before.meter is not None and _says_same(old.table.meter, new.table.meter):
                _go_on(row.meter, before.meter)


def _take(row: Row, before: Row) -> None:
    row.set_tally(before.packets, before.bytes)


def _bring(store: Store, new: Model, old: Model) -> list[str]:
    """The learned entries of one store."""
    after = next((one for one in new.pipeline.stores if one.name == store.name), None)
    if after is None:
        return [f"learned entries of store {store.name} end: the new pipeline has no such store"]
    source, target = old.slots_of(store.name), new.slots_of(store.name)
    try:
        _check_place(store, after, new, old)
    except NoPlaceError as reason:
        return [f"learned entries of store {store.name} end: {reason}"]
    left = 0
    for slot in source.slots():
        left += not _bring_pair(slot, source, target, lambda call: _translated(call, new, old))
    return [f"store {store.name}: {left} learned entries have no place in the new layout and end"] if left else []


def _bring_pair(slot: Slot, source: SlotStore, target: SlotStore, translated: Translate) -> bool:
    """One entry, and its pair unless that came before. Whether it has found a place."""
    pair = source.at(slot.pair) if slot.pair is not None else None
    made = target.find(slot.key) or target.bring(slot, translated(slot.action))
    if made is None:
        return False
    if pair is not None:
        other = target.find(pair.key) or target.bring(pair, translated(pair.action))
        if other is None:
            target.remove(made)
            return False
        made.pair, other.pair = other.index, made.index
    return True


def _translated(call: ActionCall, new: Model, old: Model) -> ActionCall:
    given = dict(zip((param.name for param in old.names.actions[call.action].params), call.arguments, strict=True))
    params = new.names.actions[call.action].params
    return ActionCall(action=call.action, arguments=tuple(given.get(param.name, 0) for param in params))


def _check_place(old: Store, new: Store, after: Model, before: Model) -> None:
    """Raises `NoPlaceError`."""
    keys = _store_keys(new, after), _store_keys(old, before)
    if keys[0] != keys[1]:
        raise NoPlaceError(f"its key is {keys[0]}, it was {keys[1]}")
    profiles = {profile.name for profile in new.profiles}
    for table in _tables(old, before):
        other = next((one for one in _tables(new, after) if one.name == table.name), None)
        if other is None:
            raise NoPlaceError(f"it has no table {table.name} any more")
        if not set(_actions(table)) <= set(_actions(other)):
            raise NoPlaceError(f"entries of table {table.name} have action {', '.join(_actions(other))} now")
    for profile in old.profiles:
        if profile.name not in profiles:
            raise NoPlaceError(f"it has no profile {profile.name} any more")
    for action in dict.fromkeys(name for table in _tables(old, before) for name in _actions(table)):
        _check_arguments(action, after, before)


def _check_arguments(action: str, after: Model, before: Model) -> None:
    widths = {param.name: param.width_bits for param in before.names.actions[action].params}
    for param in after.names.actions[action].params:
        if widths.get(param.name, 0) > param.width_bits:
            narrower = f"{widths[param.name]} bits to {param.width_bits}"
            raise NoPlaceError(f"argument {param.name} of action {action} goes from {narrower}")


def _actions(table: Table) -> list[str]:
    return [ref.name for ref in table.actions if ref.in_entries]


def _tables(store: Store, model: Model) -> list[Table]:
    return [table for table in model.pipeline.tables if table.store == store.name]


def _store_keys(store: Store, model: Model) -> str:
    first = next(iter(_tables(store, model)), None)
    return ", ".join(f"{key.name}:{width_bits(key.expr)}" for key in first.keys) if first is not None else ""
