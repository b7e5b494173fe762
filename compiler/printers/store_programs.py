"""What a device exchanges with the programs of a flow table: names, contexts and counted events. Pure.

The C side is `ebpf/include/turnout/flow_programs.h`; how slots lie in their map is `compiler.printers.layout_store`.
Called by the device, which runs the programs while packets pass.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from compiler.printers.layout_maps import MapKind, MapLayout
from compiler.printers.layout_store import StoreLayout

MAX_PROFILES = 32
MAX_RANKS = 8
SWEEP_SLOTS = 4096
"""Slots that one run of the sweep program looks at, at most."""

BEFORE_TABLES = 8
"""Of a store before this one: its tables, from 1."""
MAX_BEFORE_WAYS = 4

_SWEEP_IN = struct.Struct("<II")
_SWEEP = struct.Struct(f"<IIII{MAX_PROFILES}I{MAX_PROFILES}I")
_DELETE_SLOT = struct.Struct("<IIII")
_REMOVED = struct.Struct("<II")
_BRING = struct.Struct("<IIII")
_END = struct.Struct("<BBB5xII")
_MARK, _REMOVE = 0, 1
_ENDED_ON_SIDE_0 = 0x40


class StoreEvent(IntEnum):
    """What happened to entries, as index in the store's map of events; victims of rank n are EVICTED + n.

    All count entries, both halves of a pair, but FULL, which counts packets. LEARNED is the sum of those that are
    there and of all that left.
    """

    LEARNED = 0
    WITHDRAWN = 1
    EXPIRED = 2
    DUPLICATE = 3
    DELETED = 4
    FULL = 5
    EVICTED_EXPIRED = 6
    EVICTED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a run of the sweep program found; counts of entries by profile id.

    `next_slot` is where the next run goes on. `busy` slots were left alone because a packet was changing them.
    """

    next_slot: int
    busy: int
    live: tuple[int, ...]
    removed: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """Entries that a deletion removed, with their pairs; when `busy`, nothing is done and it should be tried again."""

    removed: int
    busy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeNames:
    """Of what a program knows of the store before its own (flow_before.h): the map of its slots, and the constants."""

    map: str
    slots: str
    ways: str
    bytes: str
    ended: str
    tables: str
    profiles: str
    places: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePrograms:
    """Names of a store's programs and of its map of events, in the printed C."""

    sweep: str
    bring_all: str
    before: BeforeNames
    end_key: str
    delete_slot: str
    events: MapLayout
    tags: str
    """The map of tags, a word for each set: who empties the slots empties it as well."""


def store_programs(store: str) -> StorePrograms:
    """The names for the store called `store`."""
    events = MapLayout(
        name=f"{store}_events",
        kind=MapKind.PERCPU_ARRAY,
        key_size=4,
        value_size=8,
        max_entries=StoreEvent.EVICTED + MAX_RANKS,
    )
    return StorePrograms(
        sweep=f"{store}_sweep",
        bring_all=f"{store}_bring_all",
        before=BeforeNames(
            map=f"{store}_before",
            slots=f"{store}_before_slots",
            ways=f"{store}_before_ways",
            bytes=f"{store}_before_bytes",
            ended=f"{store}_before_ended",
            tables=f"{store}_before_tables",
            profiles=f"{store}_before_profiles",
            places=f"{store}_before_places",
        ),
        end_key=f"{store}_end_key",
        delete_slot=f"{store}_delete_slot",
        events=events,
        tags=f"{store}_tags",
    )


def maps_beside(layout: StoreLayout) -> tuple[MapLayout, ...]:
    """The maps without which the slots of a store say nothing that is true: tags, events, and for whom entries count.

    Tags are a word for each set.
    """
    programs = store_programs(layout.store.name)
    tags = MapLayout(
        name=programs.tags, kind=MapKind.ARRAY, key_size=4, value_size=8, max_entries=layout.sets, mmapable=True
    )
    return (tags, programs.events, *((layout.counts,) if layout.counts is not None else ()))


def event_name(index: int) -> str:
    """`learned`, ..., `evicted_expired`, `evicted_rank_0`, ..."""
    if index < StoreEvent.EVICTED:
        return StoreEvent(index).name.lower()
    return f"evicted_rank_{index - StoreEvent.EVICTED}"


def sweep_context(first: int, count: int = SWEEP_SLOTS) -> bytes:
    """The context that sweeps `count` slots from `first` on."""
    return _SWEEP_IN.pack(first, count).ljust(_SWEEP.size, b"\0")


def read_sweep(context: bytes) -> Swept:
    """What the sweep program left in its context."""
    _, _, next_slot, busy, *counts = _SWEEP.unpack(context)
    live, removed = tuple(counts[:MAX_PROFILES]), tuple(counts[MAX_PROFILES:])
    return Swept(next_slot=next_slot, busy=busy, live=live, removed=removed)


def bring_context(first: int) -> bytes:
    """The context that brings what the next slots of the store before hold, from `first` on."""
    return _BRING.pack(first, SWEEP_SLOTS, 0, 0)


def read_bring(context: bytes) -> tuple[int, int]:
    """Where the next run goes on, and how many entries have ended, since they have no place."""
    _, _, next_slot, left = _BRING.unpack(context)
    return next_slot, left


def argument_bytes(layout: StoreLayout) -> int:
    """Of the arguments in a slot, filled up to whole words."""
    return -(-layout.arguments.size // 8) * 8


def delete_slot_context(slot: int, version: int) -> bytes:
    """The context that deletes what was read in a slot. If the slot has another version by then, it is left alone."""
    return _DELETE_SLOT.pack(slot, version, 0, 0)


def ended_mark(side: int) -> int:
    """What stands in `table`, over the table's number, of an entry that has ended for packets of a side."""
    return _ENDED_ON_SIDE_0 << side


def without_mark(table: int) -> int:
    """The table's number alone."""
    return table & (_ENDED_ON_SIDE_0 - 1)


def end_context(layout: StoreLayout, table: str, key: tuple[int, ...], side: int) -> bytes:
    """The context by which a table's entry, and its pair, end for packets of a side. Nothing is removed yet.

    Raises ValueError when a value does not fit.
    """
    return _end_context(layout, table, key, _MARK, ended_mark(side))


def go_on_context(layout: StoreLayout, table: str, key: tuple[int, ...]) -> bytes:
    """The opposite."""
    return _end_context(layout, table, key, _MARK, 0)


def remove_ended_context(layout: StoreLayout, table: str, key: tuple[int, ...]) -> bytes:
    """The context that removes a table's entry and its pair if it has ended; `read_delete` tells."""
    return _end_context(layout, table, key, _REMOVE, 0)


def _end_context(layout: StoreLayout, table: str, key: tuple[int, ...], what: int, mark: int) -> bytes:
    return layout.encode_key(key) + _END.pack(what, mark, layout.learned_table(table).index, 0, 0)


def read_delete(context: bytes) -> Deleted:
    """What a program that removes has left in its context."""
    removed, busy = _REMOVED.unpack(context[-_REMOVED.size :])
    return Deleted(removed=removed, busy=bool(busy))
