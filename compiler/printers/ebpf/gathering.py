"""Which maps lie in an array of maps, so that the program names one instead of many.

A program may name 64 maps (MAX_USED_MAPS of the kernel), and a pipeline with both IP families has more. Maps of one
shape whose tables only the first packet of a connection asks are found by one look-up more. Nothing else changes: each
keeps its name, and devices write it as they write any other. Maps of hot tables are named by the program itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compiler.ir.nodes import Pipeline
from compiler.ir.walking import hot_tables
from compiler.printers.layout import Layout, MapKind, MapLayout, TableLayout

_OF_ONE_SIZE = MapKind.PERCPU_ARRAY
"""Linux 6.10 and later compile the number of elements of the pattern into look-ups, whatever the map that is found has,
and let no flag say that it differs. For arrays there is one (`MapLayout.may_be_inner`); hashes may be of any size."""
_INNER = (MapKind.HASH, MapKind.LPM_TRIE, _OF_ONE_SIZE)
WIDE_KEY = 16
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """An array of maps. `members` are the maps' names, in the order of their places; `shape` is that of each."""

    name: str
    shape: MapLayout
    members: tuple[str, ...]

    @property
    def max_entries(self) -> int:
        """Of the pattern that the kernel is given for the maps in the array."""
        return self.shape.max_entries if self.shape.kind is _OF_ONE_SIZE else 1

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(place_constant(name) for name in self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All arrays of maps of a pipeline, and the C by which a map is reached, whether it is in one or not."""

    gatherings: tuple[Gathering, ...]
    hot: frozenset[str]
    """Tables that packets of known connections ask."""

    def makes_key(self, table: TableLayout) -> bool:
        """Whether a table's key is made in the scratch memory.

        On the stack the kernel wants every write aligned, and gaps of a key written; and 512 bytes are all that a chain
        of calls has, so wide keys of cold tables are not there either.
        """
        is_wide = table.map.kind is MapKind.HASH and table.map.key_size > WIDE_KEY and table.table not in self.hot
        return is_wide or table.map.kind is MapKind.LPM_TRIE or table.masks is not None

    def map(self, name: str) -> str:
        """C of a pointer to a map; what it points to may be missing if the map is in an array."""
        found = self._gathering(name)
        return f"&{name}" if found is None else f"map_in(&{found.name}, {place_constant(name)})"

    def entry(self, name: str, key: str) -> str:
        """C of a look-up: the value, or 0. `key` is a pointer."""
        found = self._gathering(name)
        if found is None:
            return f"bpf_map_lookup_elem(&{name}, {key})"
        return f"entry_in(&{found.name}, {place_constant(name)}, {key})"

    def _gathering(self, name: str) -> Gathering | None:
        return next((one for one in self.gatherings if name in one.members), None)


def gathered(pipeline: Pipeline, laid: Layout) -> Gathered:
    """Maps of tables that no hot control asks, where there are several of a shape."""
    hot = hot_tables(pipeline)
    by_shape: dict[tuple[object, ...], list[MapLayout]] = {}
    for table in laid.tables:
        if table.table not in hot:
            for held in _maps(laid, table):
                by_shape.setdefault(_shape(held), []).append(held)
    found = (_gathering(maps) for maps in by_shape.values() if len(maps) > 1)
    return Gathered(gatherings=tuple(found), hot=hot)


def place_constant(name: str) -> str:
    return f"AT_{name.upper()}"


def _gathering(maps: list[MapLayout]) -> Gathering:
    shape = maps[0]
    flags = "_sparse" * shape.no_prealloc + "_mmapable" * shape.mmapable
    size = f"_of_{shape.max_entries}" if shape.kind is _OF_ONE_SIZE else ""
    name = f"{shape.kind.value}_maps_{shape.key_size}_{shape.value_size}{size}{flags}"
    return Gathering(name=name, shape=shape, members=tuple(held.name for held in maps))


def _maps(laid: Layout, table: TableLayout) -> Iterator[MapLayout]:
    selector = table.selector.maps if table.selector is not None else ()
    meter = laid.direct_meter(table.table)
    # A meter's maps are all made for it or none is: not where packets of known connections are counted as well.
    metered = meter.maps if meter is not None and meter.words.may_be_inner else ()
    for held in (table.map, table.mask_map, table.counters, *selector, *metered):
        if held is not None and (held.kind in _INNER or held.may_be_inner):
            yield held


def _shape(held: MapLayout) -> tuple[object, ...]:
    size = held.max_entries if held.kind is _OF_ONE_SIZE else 0
    return held.kind, held.key_size, held.value_size, held.no_prealloc, held.mmapable, size
