"""Members and groups of a selector in its two maps: an array of member actions, and slices of Maglev rings.

Nothing that packets read is changed in place: a group gets a new slice, a changed member a new place, then the table's
entries are pointed there, then the old places rest until no packet can hold them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from compiler.ir.entries import Group, GroupRef, Member, MemberRef
from compiler.ir.maglev import build_ring
from compiler.printers.layout import GroupSlice, SelectorLayout
from runtime.bpf.maps import Map
from runtime.device.kernel.mapfaults import refusals_of
from runtime.device.kernel.slices import Slice, Slices
from runtime.device.kernel.tablemaps import Matches, TableMap
from runtime.device.refusals import exhausted

EMPTY = Slice(offset=0, size=0)
Target = MemberRef | GroupRef


class SelectorMaps:
    """One selector, and the table whose entries refer to it."""

    def __init__(self, selector: SelectorLayout, ring: Map, members: Map, table: TableMap) -> None:
        self._layout = selector
        self._ring = ring
        self._members = members
        self._table = table
        self._slots = Slices(selector.ring.max_entries)
        self._places = Slices(selector.members.max_entries)
        self._place_of: dict[int, Slice] = {}
        """Where in the array of members each one is, by member id."""
        self._groups: dict[int, Group] = {}
        self._slice_of: dict[Target, Slice] = {}
        self._entries: dict[Target, dict[Matches, None]] = {}
        """The entries that refer to a group or member, in the order of their coming."""
        self._reference_of: dict[Matches, Target] = {}

    # members and groups

    def insert_member(self, member: Member) -> None:
        self._place_of[member.id] = self._write_member(member)

    def modify_member(self, member: Member) -> None:
        """Every group that has it, and every entry that names it, is led to the new place; all of them or none."""
        old, new = self._place_of[member.id], self._write_member(member)
        self._place_of[member.id] = new
        rings: dict[Target, Slice] = {}
        try:
            for target in self._users_of(member.id):
                rings[target] = self._write_ring(self._ring_for(target))
        except BaseException:
            self._place_of[member.id] = old
            self._places.give_back(new)
            for ring in rings.values():
                self._give_back(ring)
            raise
        for target, ring in rings.items():
            self._lead_to(target, ring)
        self._places.give_back(old)

    def delete_member(self, member_id: int) -> None:
        self._places.give_back(self._place_of.pop(member_id))
        # Left over when an entry was to name the member and the table would not take it.
        unused = self._slice_of.pop(MemberRef(member_id=member_id), None)
        if unused is not None:
            self._give_back(unused)

    def insert_group(self, group: Group) -> None:
        target = GroupRef(group_id=group.id)
        self._slice_of[target] = self._write_ring(self._ring_of(group))
        self._groups[group.id] = group

    def modify_group(self, group: Group) -> None:
        ring = self._write_ring(self._ring_of(group))
        self._groups[group.id] = group
        self._lead_to(GroupRef(group_id=group.id), ring)

    def delete_group(self, group_id: int) -> None:
        del self._groups[group_id]
        self._give_back(self._slice_of.pop(GroupRef(group_id=group_id)))

    # entries of the table

    def insert_entry(self, matches: Matches, target: Target) -> None:
        self._table.insert(matches, _value(self._slice_for(target)))
        self._refer(matches, target)

    def modify_entry(self, matches: Matches, target: Target) -> None:
        self._table.modify(matches, _value(self._slice_for(target)))
        if self._reference_of[matches] != target:
            self._release(matches)
            self._refer(matches, target)

    def delete_entry(self, matches: Matches) -> None:
        self._table.delete(matches)
        self._release(matches)

    def tick(self) -> None:
        """About once a second."""
        self._slots.tick()
        self._places.tick()

    @property
    def free_slots(self) -> int:
        """Of the ring; those that rest are not free."""
        return self._slots.free_slots

    # how

    def _users_of(self, member_id: int) -> list[Target]:
        """What has a slice of the ring with this member in it."""
        alone = MemberRef(member_id=member_id)
        groups = (g for g in self._groups.values() if any(one.member_id == member_id for one in g.members))
        return [*([alone] if alone in self._slice_of else []), *(GroupRef(group_id=group.id) for group in groups)]

    def _ring_of(self, group: Group) -> tuple[int, ...]:
        """The ring as places in the array of members."""
        places = {one.member_id: self._place_of[one.member_id].offset for one in group.members}
        return tuple(map(places.__getitem__, build_ring([(one.member_id, one.weight) for one in group.members])))

    def _ring_for(self, target: Target) -> tuple[int, ...]:
        match target:
            case MemberRef():
                return (self._place_of[target.member_id].offset,)
            case GroupRef():
                return self._ring_of(self._groups[target.group_id])

    def _slice_for(self, target: Target) -> Slice:
        """The slice of a group, or the slice of one slot that an entry with a single member has."""
        if target not in self._slice_of:
            self._slice_of[target] = self._write_ring(self._ring_for(target))
        return self._slice_of[target]

    def _lead_to(self, target: Target, ring: Slice) -> None:
        """Lead all entries to a new slice, and let the old one rest."""
        old, self._slice_of[target] = self._slice_of[target], ring
        for matches in self._entries.get(target, ()):
            self._table.modify(matches, _value(ring))
        self._give_back(old)

    def _write_ring(self, ring: tuple[int, ...]) -> Slice:
        if not ring:
            return EMPTY
        slots = self._slots.take(len(ring))
        if slots is None:
            raise exhausted(
                f"action profile {self._layout.name}: its rings are full: {len(ring)} slots are needed in one piece, "
                f"{self._slots.free_slots} of {self._layout.ring.max_entries} are free"
            )
        with refusals_of(f"action profile {self._layout.name}"):
            self._ring.update_batch(_numbers(range(slots.offset, slots.offset + slots.size)), _numbers(ring))
        return slots

    def _write_member(self, member: Member) -> Slice:
        place = self._places.take(1)
        if place is None:
            most = self._layout.members.max_entries
            raise exhausted(f"action profile {self._layout.name}: all {most} places of members are taken; try again")
        with refusals_of(f"action profile {self._layout.name}"):
            self._members.update(_numbers((place.offset,)), self._layout.member.encode(member.action))
        return place

    def _give_back(self, used: Slice) -> None:
        if used.size:
            self._slots.give_back(used)

    def _refer(self, matches: Matches, target: Target) -> None:
        self._entries.setdefault(target, {})[matches] = None
        self._reference_of[matches] = target

    def _release(self, matches: Matches) -> None:
        target = self._reference_of.pop(matches)
        del self._entries[target][matches]
        if not self._entries[target]:
            del self._entries[target]
            if isinstance(target, MemberRef):  # its slice was only for entries
                self._give_back(self._slice_of.pop(target))


def _numbers(values: Iterable[int]) -> bytes:
    held = tuple(values)
    return struct.pack(f"={len(held)}I", *held)


def _value(used: Slice) -> GroupSlice:
    return GroupSlice(offset=used.offset, size=used.size)
