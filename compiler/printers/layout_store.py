"""How the slots of a store lie in its BPF map, and the codec between slots and learned entries. Pure.

A slot is one cache line (two for wide keys): the packed key, a head that `ebpf/include/turnout/flow_table.h` works
on, and the arguments of the table's action. `table` counts the store's tables from 1, so an all-zero slot is free.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from compiler.ir.expressions import width_bits
from compiler.ir.hashing import pack_words
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Store, Table
from compiler.ir.turns import MAX_COUNTED
from compiler.printers.layout_maps import MapKind, MapLayout
from compiler.printers.layout_struct import StructLayout, natural, round_up
from compiler.printers.layout_values import ActionLayout
from compiler.span import InternalError

CACHE_LINE = 64
WORD_BITS = 64
_HEAD_MEMBERS = (
    ("version", 32),
    ("table", 8),
    ("profile", 8),
    ("counted", 16),
    ("seen_ms", 32),
    ("pair", 32),
    ("packets", 64),
    ("bytes", 64),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedTableLayout:
    """A table of a store; `index` is what its slots hold in `table`."""

    table: str
    index: int
    action: ActionLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotHead:
    """What a slot holds besides key and arguments.

    `version` is odd while the slot is written, `seen_ms` the low 32 bits of the clock, `pair` the index of the other
    half's slot plus 1, 0 for none. `counted` is the number of the member that the entry counts for, 0 for none.
    """

    version: int = 0
    table: int
    profile: int
    counted: int = 0
    seen_ms: int
    pair: int = 0
    packets: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A slot in use: the values of the table's keys, the action's arguments, and the head."""

    table: LearnedTableLayout
    key: tuple[int, ...]
    arguments: tuple[int, ...]
    head: SlotHead


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLayout:
    """A store: one array of slots. Slot n of set s is entry s * ways + n."""

    store: Store
    map: MapLayout
    key_names: tuple[str, ...]
    key_widths: tuple[int, ...]
    key_words: int
    head: StructLayout
    arguments: StructLayout
    """The arguments, laid out alike for every table of the store."""
    tables: tuple[LearnedTableLayout, ...]
    counts: MapLayout | None
    """Entries that count for each member of a selector, by its number; None where none counts."""
    key_codec: struct.Struct = field(compare=False, repr=False)

    @property
    def head_offset(self) -> int:
        return 8 * self.key_words

    @property
    def arguments_offset(self) -> int:
        return self.head_offset + self.head.size

    @property
    def sets(self) -> int:
        return self.store.size // self.store.ways

    def learned_table(self, name: str) -> LearnedTableLayout:
        return next(t for t in self.tables if t.table == name)

    def encode_key(self, key: tuple[int, ...]) -> bytes:
        """The packed words of the key fields. Raises ValueError when a value does not fit."""
        for value, width in zip(key, self.key_widths, strict=True):
            if value < 0 or value >> width:
                raise ValueError(f"{value} does not fit a key field of {self.store.name}, {width} bits")
        return self.key_codec.pack(*pack_words(zip(key, self.key_widths, strict=True)))

    def decode_key(self, raw: bytes) -> tuple[int, ...]:
        whole = 0
        for word in self.key_codec.unpack(raw):
            whole = whole << WORD_BITS | word
        left = WORD_BITS * self.key_words
        values: list[int] = []
        for width in self.key_widths:
            left -= width
            values.append(whole >> left & (1 << width) - 1)
        return tuple(values)

    def encode_slot(self, slot: Slot) -> bytes:
        """The bytes of a slot, as the data plane would write it."""
        h = slot.head
        head = (h.version, h.table, h.profile, h.counted, h.seen_ms, h.pair, h.packets, h.bytes)
        raw = self.encode_key(slot.key) + self.head.encode(head) + self.arguments.encode(slot.arguments)
        return raw.ljust(self.map.value_size, b"\0")

    def decode_slot(self, raw: bytes) -> Slot | None:
        """The learned entry in a slot; None when it is free, being written, or of a table that is not known."""
        head_at, arguments_at = self.head_offset, self.arguments_offset
        version, table, profile, counted, seen_ms, pair, packets, count = self.head.decode(raw[head_at:arguments_at])
        if version & 1 or not 1 <= table <= len(self.tables):
            return None
        head = SlotHead(
            version=version,
            table=table,
            profile=profile,
            counted=counted,
            seen_ms=seen_ms,
            pair=pair,
            packets=packets,
            bytes=count,
        )
        arguments = self.arguments.decode(raw[arguments_at : arguments_at + self.arguments.size])
        return Slot(table=self.tables[table - 1], key=self.decode_key(raw[:head_at]), arguments=arguments, head=head)


def store_layout(store: Store, pipeline: Pipeline, actions: dict[str, ActionLayout]) -> StoreLayout:
    """The layout of a store; its tables are numbered in the pipeline's order."""
    tables = tuple(table for table in pipeline.tables if table.store == store.name)
    learned = tuple(_learned(table, index, actions) for index, table in enumerate(tables, 1))
    widths = _one_shape(store, [tuple(width_bits(key.expr) for key in table.keys) for table in tables])
    _one_shape(store, [tuple(m.size for m in t.action.arguments.members) for t in learned])
    words = -(-sum(widths) // WORD_BITS)
    head = natural("slot", _HEAD_MEMBERS)
    arguments = learned[0].action.arguments
    size = round_up(8 * words + head.size + arguments.size, CACHE_LINE)
    return StoreLayout(
        store=store,
        map=MapLayout(name=store.name, kind=MapKind.ARRAY, key_size=4, value_size=size, max_entries=store.size),
        key_names=tuple(key.name for key in tables[0].keys),
        key_widths=widths,
        key_words=words,
        head=head,
        arguments=arguments,
        tables=learned,
        counts=_counts_map(store.name) if _is_counted(store, pipeline) else None,
        key_codec=struct.Struct(f"<{words}Q"),
    )


def _is_counted(store: Store, pipeline: Pipeline) -> bool:
    selectors = (table.selector for table in pipeline.tables if table.selector is not None)
    return any(selector.fewest is not None and selector.fewest.store == store.name for selector in selectors)


def _counts_map(store: str) -> MapLayout:
    return MapLayout(name=f"{store}_counts", kind=MapKind.ARRAY, key_size=4, value_size=4, max_entries=MAX_COUNTED + 1)


def _learned(table: Table, index: int, actions: dict[str, ActionLayout]) -> LearnedTableLayout:
    offered = [ref.name for ref in table.actions if ref.in_entries]
    if len(offered) != 1:
        raise InternalError(f"table {table.name}: a learned table of the eBPF target has one action for entries")
    return LearnedTableLayout(table=table.name, index=index, action=actions[offered[0]])


def _one_shape(store: Store, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    if len(set(shapes)) != 1:
        raise InternalError(f"store {store.name}: its tables have keys or arguments of different shapes")
    return shapes[0]
