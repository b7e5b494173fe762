"""Which places and slices of a selector's pinned maps its members and groups have.

The maps do not say which member an action is, or which group a slice: entries that lead to a slice say whose it is, and
the slots of a ring whose place is whose. What does not fit in every respect is not kept, but written anew elsewhere.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from compiler.ir.entries import ActionCall, Group, GroupRef, Member, MemberRef
from compiler.ir.ranks import rank
from compiler.ir.turns import Slots, living_slots, slots_of_one
from compiler.printers.layout import GroupSlice, SelectorLayout, TableLayout
from compiler.printers.layout_values import RANK, VALUE_HEAD
from runtime.device.contents import TableContents
from runtime.device.kernel.slices import Slice
from runtime.device.records import ActionSet
from runtime.device.updates import hidden_group

Target = MemberRef | GroupRef


class Ring(Protocol):
    """The map of a ring."""

    def lookup_slots(self, first: int, count: int) -> bytes: ...


@dataclass(slots=True)
class Wanted:
    """What a selector is to hold, and which entries lead where: by their keys, in a table with masks by their ranks."""

    members: dict[int, Member]
    groups: dict[int, Group]
    entries: dict[Target, list[bytes]]


def wanted(table: TableLayout, contents: TableContents) -> Wanted:
    """Of a table that has a selector."""
    if contents.selector is None:
        return Wanted({}, {}, {})
    made = Wanted(dict(contents.selector.members), dict(contents.selector.groups), {})
    name = contents.selector.selector.name
    for row in contents.rows.values():
        if isinstance(row.action, ActionSet):
            group = hidden_group(name, row, row.action)
            made.groups[group.id] = group
            for one, weighted in zip(group.members, row.action.actions, strict=True):
                made.members[one.member_id] = Member(selector=name, id=one.member_id, action=weighted.call)
        entry = contents.codec.entry(row)
        if isinstance(entry.action, MemberRef | GroupRef):
            masked = table.masks is not None
            key = RANK.pack(rank(entry.matches, entry.priority)) if masked else table.encode_key(entry.matches)
            made.entries.setdefault(entry.action, []).append(key)
    return made


@dataclass(slots=True)
class Pinned:
    """A selector's maps as packets read them: ring and members, and the slice of each entry, by key or rank."""

    layout: SelectorLayout
    ring: Ring
    members: bytes
    entries: Mapping[bytes, GroupSlice]
    _slots: dict[Slice, Sequence[int]] = field(default_factory=dict[Slice, Sequence[int]])

    def slice_of(self, key: bytes) -> Slice | None:
        """None where there is nothing that could be read."""
        found = self.entries.get(key)
        if found is None or not found.size or found.offset + found.size > self.layout.ring.max_entries:
            return None
        return Slice(offset=found.offset, size=found.size, cycle=found.cycle)

    def slots(self, used: Slice) -> Sequence[int]:
        """Raises `KernelRefusal`."""
        if used not in self._slots:
            raw = self.ring.lookup_slots(used.offset, used.size)
            self._slots[used] = struct.unpack(f"={used.size}I", raw)
        return self._slots[used]

    def read_slots(self) -> None:
        """All that `slots` will be asked for, while the ring can still be read. Raises `KernelRefusal`."""
        for used in map(self.slice_of, self.entries):
            if used is not None:
                self.slots(used)

    def number_at(self, place: int, action: ActionCall) -> int | None:
        """The number of a member with this action (`countednumbers`), 0 where none has one; None: it has another."""
        size = self.layout.members.value_size
        raw = self.members[place * size : (place + 1) * size]
        number = VALUE_HEAD.unpack_from(raw)[1] if raw else 0
        return number if raw == self.layout.member.encode(action, number) else None


@dataclass(slots=True)
class Kept:
    """What goes on: the slice of each target, the place of each member, by id.

    `read` and `led_to` are all slices and places that packets use.
    """

    slices: dict[Target, Slice] = field(default_factory=dict[Target, Slice])
    places: dict[int, int] = field(default_factory=dict[int, int])
    numbers: dict[int, int] = field(default_factory=dict[int, int])
    """Of these members, in the same way."""
    read: list[Slice] = field(default_factory=list[Slice])
    led_to: set[int] = field(default_factory=set[int])


def kept(pinned: Pinned, wanted: Wanted, down_ports: Container[int]) -> Kept:
    """`down_ports` are those that members do not count while they watch them."""
    made = Kept()
    for key in pinned.entries:
        used = pinned.slice_of(key)
        if used is not None:
            made.read.append(used)
            made.led_to.update(pinned.slots(used))
    taken, owners = bytearray(pinned.layout.ring.max_entries), dict[int, int]()
    for target, keys in wanted.entries.items():
        used = next((found for found in map(pinned.slice_of, keys) if found is not None), None)
        if used is None or any(taken[used.offset : used.offset + used.size]):
            continue
        slots = _slots_of(target, wanted, down_ports, in_turn=pinned.layout.turns is not None)
        places = dict(zip(slots.members, pinned.slots(used), strict=False))
        if _claim(pinned, wanted, made, owners, places, slots, used):
            taken[used.offset : used.offset + used.size] = b"\1" * used.size
            made.slices[target] = used
    return made


def _slots_of(target: Target, wanted: Wanted, down_ports: Container[int], *, in_turn: bool) -> Slots:
    if isinstance(target, MemberRef):
        return slots_of_one(target.member_id, in_turn=in_turn)
    group = wanted.groups.get(target.group_id)
    return Slots(members=()) if group is None else living_slots(group.members, down_ports, in_turn=in_turn)


def _claim(
    pinned: Pinned,
    wanted: Wanted,
    made: Kept,
    owners: dict[int, int],
    places: Mapping[int, int],
    slots: Slots,
    used: Slice,
) -> bool:
    """Have members their places, if the slots of a slice are a ring of theirs and no one else has those places."""
    if (len(slots.members), slots.cycle_size) != (used.size, used.cycle):
        return False
    if list(map(places.__getitem__, slots.members)) != list(pinned.slots(used)):
        return False
    numbers: dict[int, int] = {}
    for member_id, place in places.items():
        member = wanted.members.get(member_id)
        if member is None or made.places.get(member_id, place) != place or owners.get(place, member_id) != member_id:
            return False
        number = pinned.number_at(place, member.action)
        if number is None or bool(number) != bool(pinned.layout.counts_in):
            return False
        numbers[member_id] = number
    if len(set(places.values())) != len(places):
        return False
    if pinned.layout.counts_in and not _are_numbers(numbers, made.numbers):
        return False
    made.places |= places
    made.numbers |= numbers
    owners |= {place: member_id for member_id, place in places.items()}
    return True


def _are_numbers(found: Mapping[int, int], others: Mapping[int, int]) -> bool:
    """Whether each member has a number of its own."""
    taken = {number: member for member, number in others.items()}
    return all(taken.setdefault(number, member) == member for member, number in found.items())
