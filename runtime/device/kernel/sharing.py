"""Which maps of one pipeline mean the same in another, so that its program can go on with them as they are. Pure.

Learned entries and counters: packets write these, and a copy would miss what is written meanwhile. Entries that
controllers write are filled in anew, from what the device knows of them.
"""

from __future__ import annotations

from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Store
from compiler.printers.layout import MapLayout, StoreLayout, layout
from compiler.printers.store_programs import store_programs


def shared_maps(old: Pipeline, new: Pipeline) -> frozenset[str]:
    """Names of the maps."""
    return frozenset({*shared_stores(old, new).values(), *shared_counters(old, new)} | _beside_stores(old, new))


def shared_stores(old: Pipeline, new: Pipeline) -> dict[str, str]:
    """The map of each store whose slots mean the same in both, by the store's name."""
    before = {store.store.name: store for store in layout(old).stores}
    found = ((store, before.get(store.store.name)) for store in layout(new).stores)
    return {one.store.name: one.map.name for one, other in found if other is not None and _slots_mean_same(other, one)}


def shared_counters(old: Pipeline, new: Pipeline) -> frozenset[str]:
    """Maps of indexed counters and of tables' direct counters that have the same cells in both."""
    return frozenset(one.name for one in _counter_maps(old) & _counter_maps(new))


def _counter_maps(pipeline: Pipeline) -> frozenset[MapLayout]:
    plan = layout(pipeline)
    direct = (table.counters for table in plan.tables if table.counters is not None)
    return frozenset((*(counter.map for counter in plan.counters), *direct))


def _beside_stores(old: Pipeline, new: Pipeline) -> set[str]:
    """What belongs to a store's slots: its tags, and what it has counted."""
    programs = (store_programs(name) for name in shared_stores(old, new))
    return {name for one in programs for name in (one.tags, one.events.name)}


def _slots_mean_same(old: StoreLayout, new: StoreLayout) -> bool:
    return _shape(old) == _shape(new) and _profiles(old.store) <= _profiles(new.store)


def _shape(store: StoreLayout) -> tuple[object, ...]:
    arguments = tuple((member.name, member.width_bits, member.offset) for member in store.arguments.members)
    tables = tuple((table.table, table.index, table.action.name) for table in store.tables)
    return store.map, store.store.ways, store.key_names, store.key_widths, arguments, tables


def _profiles(store: Store) -> frozenset[tuple[int, str]]:
    return frozenset((profile.id, profile.name) for profile in store.profiles)
