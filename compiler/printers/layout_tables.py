"""How the tables that controllers write lie in BPF maps, and the codecs of their keys and values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.entries import ActionCall, Exact, Lpm, MatchValue
from compiler.ir.expressions import width_bits
from compiler.ir.tables import MatchKind, Table
from compiler.printers.layout_maps import SIDE, SIDE_BITS, SIDES, U32, MapKind, MapLayout, counter_map, sided_array
from compiler.printers.layout_struct import Member, StructLayout, natural, packed, with_byte
from compiler.printers.layout_ternary import MASK_ID, MaskLayout, Place, has_masks, mask_layout, place_limit
from compiler.printers.layout_values import (
    GROUP_WORDS,
    ActionLayout,
    GroupSlice,
    SelectorLayout,
    ValueLayout,
    group_words,
    selector_layout,
    value_layout,
)
from compiler.span import InternalError

MAX_ARRAY_BITS = 16
MAX_DIRECT_BITS = 12
PREFIX_LEN = "prefix_len"
PREFIX_VALUE = 16
"""At least so many bytes has the value of a table with prefixes: tables with one or two short arguments and those with
none are of one shape then, and may lie in one array of maps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultLayout:
    """A default entry that may be modified: an array with one value a side."""

    map: MapLayout
    value: ValueLayout
    counter: int
    """Its direct counter, the last of the table's; 0 in a table without."""

    def encode(self, call: ActionCall) -> bytes:
        return self.value.encode(call, self.counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLayout:
    """A table that the control plane writes. Exactly one of `value` and `selector` is set."""

    table: str
    map: MapLayout
    key: StructLayout
    matches: tuple[MatchKind, ...]
    key_members: tuple[Member, ...]
    """Those members of `key` that hold the table's keys, in their order."""
    side_index: int
    """Which member of a hash's `key` is the side."""
    value: ValueLayout | None = None
    selector: SelectorLayout | None = None
    group: StructLayout | None = None
    counters: MapLayout | None = None
    """Direct counters, by the index that the device gives out from 1."""
    seen: MapLayout | None = None
    """When a packet last met each entry, by the same index: milliseconds of the device's clock."""
    indices: int = 0
    """One more than entries can have, for a counter, a meter or their last hit; 0 where they have none."""
    direct: MapLayout | None = None
    """An array, by the first key, for the entries whose other keys are all 0: such as those of untagged frames."""
    masks: MaskLayout | None = None
    """Of a table whose entries have priorities; `mask_map` holds the list."""
    mask_map: MapLayout | None = None
    default: DefaultLayout | None = None
    """Of a table whose default entry may be modified."""

    @property
    def maps(self) -> tuple[MapLayout, ...]:
        """The maps that hold entries."""
        default = self.default.map if self.default is not None else None
        return tuple(held for held in (self.map, self.direct, self.mask_map, default) if held is not None)

    def place(self, key: bytes) -> tuple[MapLayout, bytes]:
        """The map that holds the entry of an encoded key, and its key there."""
        first = self.key.members[0].size
        if self.direct is None or any(key[first:]):
            return self.map, key
        return self.direct, key[:first].ljust(self.direct.key_size, b"\0")

    def encode_key(self, matches: tuple[MatchValue, ...]) -> bytes:
        """On side 0. One match a key, of the kind that the table has. Raises ValueError for another or a wide value."""
        values: list[int] = []
        length = SIDE_BITS
        for kind, match, member in zip(self.matches, matches, self.key_members, strict=True):
            if kind is MatchKind.EXACT and isinstance(match, Exact):
                values.append(match.value)
                length += member.width_bits
            elif kind is MatchKind.LPM and isinstance(match, Lpm):
                values.append(match.value)
                length += match.prefix_len
            else:
                raise ValueError(f"table {self.table} has a key of kind {kind.value}, got {match}")
        return self.key.encode(self._with_side(values, length))

    def decode_key(self, raw: bytes) -> tuple[MatchValue, ...]:
        """Of whichever side."""
        values = dict(zip((member.name for member in self.key.members), self.key.decode(raw), strict=True))
        exact = sum(m.width_bits for m, k in zip(self.key_members, self.matches, strict=True) if k is MatchKind.EXACT)
        return tuple(
            Exact(value=values[member.name])
            if kind is MatchKind.EXACT
            else Lpm(value=values[member.name], prefix_len=values[PREFIX_LEN] - SIDE_BITS - exact)
            for kind, member in zip(self.matches, self.key_members, strict=True)
        )

    def encode_place(self, place: Place, mask_id: int) -> bytes:
        """The key on side 0 of one place of an entry, in a table with masks."""
        return self.key.encode(self._with_side([mask_id, *place.values], 0))

    def _with_side(self, values: list[int], length: int) -> list[int]:
        """The values of all members of `key`, in their order."""
        if self.map.kind is MapKind.ARRAY:
            return values
        if self.map.kind is MapKind.LPM_TRIE:
            return [length, 0, *values]
        return [*values[: self.side_index], 0, *values[self.side_index :]]

    def encode_value(self, call: ActionCall, counter: int = 0, rank: int = 0) -> bytes:
        """The value of a table without a selector; `counter` is the entry's index, 0 without."""
        if self.value is None:
            raise ValueError(f"table {self.table} holds groups, not actions")
        return self.value.encode(call, counter, rank)

    def decode_value(self, raw: bytes) -> tuple[ActionCall, int] | None:
        """The opposite; None for the empty slot of an array."""
        if self.value is None:
            raise ValueError(f"table {self.table} holds groups, not actions")
        return self.value.decode(raw)

    def encode_group(self, group: GroupSlice) -> bytes:
        """The value of a table with a selector."""
        words = dict(zip(GROUP_WORDS, group_words(group, group.counter), strict=True))
        return self._group().encode([words[member.name] for member in self._group().members])

    def decode_group(self, raw: bytes) -> GroupSlice:
        layout = self._group()
        words = dict(zip((member.name for member in layout.members), layout.decode(raw), strict=True))
        return GroupSlice(
            offset=words["group_offset"],
            size=words["ring_size"] + words.get("cycle_size", 0),
            cycle=words.get("cycle_size", 0),
            counter=words.get("counter", 0),
            rank=words.get("rank", 0),
        )

    def _group(self) -> StructLayout:
        if self.group is None:
            raise ValueError(f"table {self.table} holds actions, not groups")
        return self.group


def table_layout(table: Table, actions: dict[str, ActionLayout], *, is_opening: bool = False) -> TableLayout:
    """The layout of a table that is not learned. `is_opening`: known connections do not ask it, so its
    map may lie among others, for a look-up more."""
    kinds = tuple(key.match for key in table.keys)
    kind = _map_kind(table, kinds)
    masks = mask_layout(table.name, _named_widths(table)) if has_masks(kinds) else None
    key = _key(table, kind)
    size = table.size + (1 if table.has_const_default else 2)
    counters = counter_map(f"{table.name}_count", size) if table.counter_id is not None else None
    offered = tuple(actions[ref.name] for ref in table.actions if ref.in_entries)
    value = selector = group = None
    if table.selector is None:
        least = PREFIX_VALUE if kind is MapKind.LPM_TRIE else 0
        value = value_layout(table.name, offered, has_rank=masks is not None, least=least)
    else:
        selector = selector_layout(table.selector, offered)
        cycle = ("cycle_size",) if selector.turns is not None else ()
        words = ("group_offset", "ring_size", *cycle, *(("counter",) if has_index(table) else ()))
        rank = (("rank", 64),) if masks is not None else ()
        group = natural(table.name, (*((word, 32) for word in words), *rank))
    return TableLayout(
        table=table.name,
        map=_map(table, kind, key, value.size if value else group.size if group else 0, is_opening=is_opening),
        key=key,
        matches=kinds,
        key_members=tuple(member for member in key.members if member.name not in (PREFIX_LEN, SIDE, MASK_ID)),
        side_index=next((at for at, member in enumerate(key.members) if member.name == SIDE), 0),
        value=value,
        selector=selector,
        group=group,
        counters=counters,
        seen=_seen(table),
        indices=table.size + 1 if has_index(table) else 0,
        direct=_direct(table, kind, value) if masks is None else None,
        masks=masks,
        mask_map=sided_array(f"{table.name}_masks", masks.size, may_be_inner=True) if masks is not None else None,
        default=None if table.has_const_default else _default(table, actions),
    )


def _default(table: Table, actions: dict[str, ActionLayout]) -> DefaultLayout:
    name = f"{table.name}_default"
    value = value_layout(name, tuple(actions[action] for action in table.default_actions))
    counter = table.size + 1 if table.counter_id is not None else 0
    return DefaultLayout(map=sided_array(name, value.size), value=value, counter=counter)


def has_index(table: Table) -> bool:
    """Whether the entries of a table have something that lies beside them."""
    return table.counter_id is not None or table.meter is not None or table.idle_timeout


def _seen(table: Table) -> MapLayout | None:
    if not table.idle_timeout:
        return None
    return MapLayout(
        name=f"{table.name}_seen",
        kind=MapKind.ARRAY,
        key_size=U32.size,
        value_size=8,
        max_entries=table.size + 1,
        mmapable=True,
    )


def _direct(table: Table, kind: MapKind, value: ValueLayout | None) -> MapLayout | None:
    """For keys of a port's kind: a short first one, and so few bits behind it that 0 stands for "none"."""
    first, *others = (width_bits(key.expr) for key in table.keys)
    if kind is not MapKind.HASH or value is None or first > MAX_ARRAY_BITS or sum(others) > MAX_DIRECT_BITS:
        return None
    return sided_array(f"{table.name}_direct", value.size, 1 << first)


def _map_kind(table: Table, kinds: tuple[MatchKind, ...]) -> MapKind:
    if has_masks(kinds):
        return MapKind.HASH
    if MatchKind.LPM in kinds:
        if kinds[-1] is not MatchKind.LPM or kinds.count(MatchKind.LPM) > 1:
            raise InternalError(f"table {table.name}: eBPF wants one lpm key, the last one")
        return MapKind.LPM_TRIE
    return MapKind.ARRAY if len(kinds) == 1 and width_bits(table.keys[0].expr) <= MAX_ARRAY_BITS else MapKind.HASH


def _key(table: Table, kind: MapKind) -> StructLayout:
    name = f"{table.name}_key"
    widths = _named_widths(table)
    if not {PREFIX_LEN, SIDE, MASK_ID}.isdisjoint(name for name, _ in widths):
        raise InternalError(f"table {table.name}: eBPF has members of its own named {PREFIX_LEN}, {SIDE}, {MASK_ID}")
    if has_masks([k.match for k in table.keys]):
        return with_byte(natural(name, ((MASK_ID, 32), *widths)), SIDE)
    if kind is MapKind.LPM_TRIE:
        sided = ((PREFIX_LEN, 32, False), (SIDE, SIDE_BITS, True))
        return packed(name, (*sided, *((n, w, True) for n, w in widths)))
    if kind is MapKind.ARRAY:
        # An array's index is 32 bits wide whatever the key is.
        index = natural(name, ((widths[0][0], 32),))
        member = index.members[0]
        narrowed = type(member)(name=member.name, offset=0, size=4, width_bits=widths[0][1])
        return StructLayout(name=name, size=4, members=(narrowed,), codec=index.codec)
    return with_byte(natural(name, widths), SIDE)


def _named_widths(table: Table) -> tuple[tuple[str, int], ...]:
    return tuple((key.name, width_bits(key.expr)) for key in table.keys)


def _map(table: Table, kind: MapKind, key: StructLayout, value_size: int, *, is_opening: bool) -> MapLayout:
    entries = 1 << key.members[0].width_bits if kind is MapKind.ARRAY else table.size
    limit = place_limit([key.match for key in table.keys], table.size)
    entries = max(entries, limit) if kind is MapKind.HASH else entries
    side_at = None if kind is MapKind.ARRAY else key.member(SIDE).offset
    return MapLayout(
        name=table.name,
        kind=kind,
        key_size=key.size,
        value_size=value_size,
        max_entries=SIDES * entries,
        no_prealloc=kind is MapKind.LPM_TRIE or (kind is MapKind.HASH and limit > table.size),
        side_at=side_at,
        may_be_inner=kind is MapKind.ARRAY and (is_opening or table.selector is not None),
    )
