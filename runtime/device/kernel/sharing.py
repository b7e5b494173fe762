"""Which maps of one pipeline mean the same in another, so that its program can go on with them as they are. Pure.

Learned entries, counters, the words of meters, last hits: packets write these, and a copy would miss what is written
meanwhile. Entries that controllers write are filled in anew, from what the device knows of them.
"""

from __future__ import annotations

from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Store
from compiler.printers.layout import MapLayout, MeterLayout, StoreLayout, TableLayout, layout
from compiler.printers.store_programs import maps_beside


def shared_maps(old: Pipeline, new: Pipeline) -> frozenset[str]:
    """Names of the maps."""
    return frozenset({*shared_stores(old, new).values(), *shared_cells(old, new)} | _beside_stores(old, new))


def shared_stores(old: Pipeline, new: Pipeline) -> dict[str, str]:
    """The map of each store whose slots mean the same in both, by the store's name."""
    before = {store.store.name: store for store in layout(old).stores}
    found = ((store, before.get(store.store.name)) for store in layout(new).stores)
    return {one.store.name: one.map.name for one, other in found if other is not None and _slots_mean_same(other, one)}


def shared_cells(old: Pipeline, new: Pipeline) -> frozenset[str]:
    """Maps of what packets write beside tables, and of indexed counters and meters, that have the same cells."""
    return frozenset(held.name for was, held in cell_maps(old, new) if was == held)


def cell_maps(old: Pipeline, new: Pipeline) -> list[tuple[MapLayout, MapLayout]]:
    """Such maps in both, if only their sizes differ."""
    before, after = layout(old), layout(new)
    counters = {counter.counter: counter.map for counter in before.counters}
    found = [(counters[one.counter], one.map) for one in after.counters if one.counter in counters]
    for was, table in same_keyed(old, new):
        found += [
            (one, other)
            for one, other in ((was.counters, table.counters), (was.seen, table.seen))
            if one is not None and other is not None
        ]
    for one, other in same_meters(old, new):
        found += [(one.words, other.words), (one.colors, other.colors)]
    return found


def same_keyed(old: Pipeline, new: Pipeline) -> list[tuple[TableLayout, TableLayout]]:
    """Tables whose entries are known by the same bytes in both."""
    before = {table.table: table for table in layout(old).tables}
    pairs = ((before[table.table], table) for table in layout(new).tables if table.table in before)
    return [(was, table) for was, table in pairs if _keys_of(was) == _keys_of(table)]


def same_meters(old: Pipeline, new: Pipeline) -> list[tuple[MeterLayout, MeterLayout]]:
    """Meters that mean the same in both, whatever their sizes."""
    before = {(meter.name, meter.type, meter.unit): meter for meter in layout(old).meters}
    direct = {table.table for _, table in same_keyed(old, new)}
    found = ((before.get((meter.name, meter.type, meter.unit)), meter) for meter in layout(new).meters)
    return [(was, meter) for was, meter in found if was is not None and (not meter.table or meter.table in direct)]


def _keys_of(table: TableLayout) -> tuple[object, ...]:
    return table.map.kind, table.key, table.matches, table.masks, table.direct is None


def _beside_stores(old: Pipeline, new: Pipeline) -> set[str]:
    """What belongs to a store's slots: its tags, what it has counted, and for whom its entries count."""
    shared = shared_stores(old, new)
    stores = (store for store in layout(new).stores if store.store.name in shared)
    return {held.name for store in stores for held in maps_beside(store)}


def _slots_mean_same(old: StoreLayout, new: StoreLayout) -> bool:
    return _shape(old) == _shape(new) and _profiles(old.store) <= _profiles(new.store)


def _shape(store: StoreLayout) -> tuple[object, ...]:
    arguments = tuple((member.name, member.width_bits, member.offset) for member in store.arguments.members)
    tables = tuple((table.table, table.index, table.action.name) for table in store.tables)
    return store.map, store.store.ways, store.key_names, store.key_widths, store.counts, arguments, tables


def _profiles(store: Store) -> frozenset[tuple[int, str]]:
    return frozenset((profile.id, profile.name) for profile in store.profiles)
