"""Actions as the values of BPF maps, and the maps of selectors, whose members are such values. Pure.

A value is `{u32 action, u32 counter, arguments}`: the action's number, the index in the table's map of direct counters
(from 1, 0 for none), and the arguments of that action. In a table whose entries have priorities a rank stands before
the arguments (`layout_ternary`). Unused bytes are zero.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from compiler.ir.entries import ActionCall
from compiler.ir.expressions import width_bits
from compiler.ir.maglev import SLOTS_PER_MEMBER
from compiler.ir.tables import Action, Selector, Turns
from compiler.printers.layout_maps import MapKind, MapLayout
from compiler.printers.layout_struct import StructLayout, natural

ACTION_BITS = 24
"""The P4Runtime prefix of an action id is left out of the number."""
VALUE_HEAD = struct.Struct("<II")
RANK = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLayout:
    """An action as values hold it."""

    name: str
    number: int
    arguments: StructLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLayout:
    """The value of a table or of a selector's member: a head, then the arguments of one of `actions`."""

    name: str
    size: int
    actions: tuple[ActionLayout, ...]
    has_rank: bool = False

    @property
    def arguments_offset(self) -> int:
        return VALUE_HEAD.size + (RANK.size if self.has_rank else 0)

    def encode(self, call: ActionCall, counter: int = 0, rank: int = 0) -> bytes:
        """Raises ValueError when an argument does not fit or the action is not one of the table's."""
        action = next((a for a in self.actions if a.name == call.action), None)
        if action is None:
            raise ValueError(f"{self.name} holds no action {call.action}")
        head = VALUE_HEAD.pack(action.number, counter) + (RANK.pack(rank) if self.has_rank else b"")
        return (head + action.arguments.encode(call.arguments)).ljust(self.size, b"\0")

    def decode(self, raw: bytes) -> tuple[ActionCall, int] | None:
        """The action and the counter's index; None for the empty slot of an array."""
        number, counter = VALUE_HEAD.unpack_from(raw)
        if number == 0:
            return None
        action = next((a for a in self.actions if a.number == number), None)
        if action is None:
            raise ValueError(f"{self.name} holds no action with number {number:#x}")
        at = self.arguments_offset
        end = at + action.arguments.size
        arguments = action.arguments.decode(raw[at:end]) if action.arguments.members else ()
        return ActionCall(action=action.name, arguments=arguments), counter


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorLayout:
    """The maps of a selector, shared by all groups.

    `ring` holds member indices; a group is a slice of it. `members` holds the action of each member at the index that
    the device gave it. The slot of a packet is offset + (hash >> 32) % ring, `hash` the 64 bits of `mix64`, and `ring`
    the slots before the cycle. Where members have turns, `turns` has the numbers of 32 bits that packets change, and
    the slot is offset + ring + number % cycle. Where entries count for members, a member's value has its number, from
    1, in the place of the counter's index, and `counts_in` is the store of these entries.
    """

    name: str
    ring: MapLayout
    members: MapLayout
    member: ValueLayout
    turns: MapLayout | None = None
    counts_in: str = ""

    @property
    def maps(self) -> tuple[MapLayout, ...]:
        return (self.ring, self.members, *(() if self.turns is None else (self.turns,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSlice:
    """The value of a selector table: a slice of the ring; size 0 is a miss (no entry, or a group without members).

    The last `cycle` slots are the cycle of turns.
    """

    offset: int
    size: int
    cycle: int = 0
    counter: int = 0
    rank: int = 0


GROUP_WORDS: tuple[str, ...] = ("group_offset", "ring_size", "cycle_size", "counter", "rank")
"""What the value of a selector table may hold, of which each table has some."""


def group_words(group: GroupSlice, counter: int) -> tuple[int, ...]:
    """Those of a slice, in the order of `GROUP_WORDS`."""
    return group.offset, group.size - group.cycle, group.cycle, counter, group.rank


def action_layout(action: Action) -> ActionLayout:
    arguments = natural(action.name, ((p.name, p.width_bits) for p in action.params))
    return ActionLayout(name=action.name, number=action.id & (1 << ACTION_BITS) - 1, arguments=arguments)


def value_layout(
    name: str, actions: tuple[ActionLayout, ...], *, has_rank: bool = False, least: int = 0
) -> ValueLayout:
    """`least` is what its size is at least, in bytes."""
    words = [action.arguments.size for action in actions]
    head = VALUE_HEAD.size + (RANK.size if has_rank else 0)
    size = max(least, head + -(-max(words, default=0) // 8) * 8)
    return ValueLayout(name=name, size=size, actions=actions, has_rank=has_rank)


def selector_layout(selector: Selector, actions: tuple[ActionLayout, ...]) -> SelectorLayout:
    member = value_layout(f"{selector.name}_member", actions)
    slots = 1 << (selector.size * SLOTS_PER_MEMBER - 1).bit_length()
    return SelectorLayout(
        name=selector.name,
        ring=MapLayout(
            name=f"{selector.name}_ring",
            kind=MapKind.ARRAY,
            key_size=4,
            value_size=4,
            max_entries=slots,
            mmapable=True,
            may_be_inner=True,
        ),
        members=MapLayout(
            name=f"{selector.name}_member",
            kind=MapKind.ARRAY,
            key_size=4,
            value_size=member.size,
            max_entries=selector.size,
            may_be_inner=True,
        ),
        member=member,
        turns=_turns_map(selector.name, selector.turns) if selector.turns is not None else None,
        counts_in=selector.fewest.store if selector.fewest is not None else "",
    )


def _turns_map(name: str, turns: Turns) -> MapLayout:
    cells = 1 << width_bits(turns.cell)
    return MapLayout(
        name=f"{name}_turns",
        kind=MapKind.ARRAY,
        key_size=4,
        value_size=4,
        max_entries=cells,
        mmapable=True,  # as the ring, so that one array of maps can hold both
        may_be_inner=True,
    )
