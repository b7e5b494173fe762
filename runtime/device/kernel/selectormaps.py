"""Members and groups of a selector in its maps: an array of member actions, and slices of rings and cycles.

Nothing that packets read is changed in place: a group gets a new slice, a changed member a new place, then the table's
entries are pointed there, on the side that no packet reads. The old places rest until no packet can hold them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import repeat

from compiler.ir.entries import Group, GroupRef, Member, MemberRef
from compiler.ir.turns import Slots, living_cycle, living_slots, slots_of_one
from compiler.printers.layout import GroupSlice, SelectorLayout
from runtime.bpf.maps import Map
from runtime.device.kernel.countednumbers import CountedNumbers
from runtime.device.kernel.mapfaults import refusals_of
from runtime.device.kernel.packing import call_packer
from runtime.device.kernel.ringfiller import RingFiller
from runtime.device.kernel.ringslots import STRIDE, RingSlots, strided
from runtime.device.kernel.selectorpins import Kept, Target
from runtime.device.kernel.sides import Sides
from runtime.device.kernel.slices import Slice, Slices
from runtime.device.kernel.tablemaps import Matches, TableMap
from runtime.device.kernel.ternarymaps import TernaryMap
from runtime.device.refusals import RefusedError, exhausted
from runtime.device.target import done_one_by_one
from runtime.device.undo import UndoLog

EMPTY = Slice(offset=0, size=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ring:
    """The ring of a group, and the cycle of turns behind it, as places in the array of members (`strided`)."""

    slots: bytes
    cycle_size: int = 0

    @property
    def size(self) -> int:
        return len(self.slots) // STRIDE


def _ring(slots: Slots, places: Mapping[int, int]) -> _Ring:
    return _Ring(slots=strided([places[member] for member in slots.members]), cycle_size=slots.cycle_size)


class SelectorMaps:
    """One selector, and the table whose entries refer to it."""

    def __init__(
        self,
        selector: SelectorLayout,
        ring: Map,
        members: Map,
        table: TableMap | TernaryMap,
        sides: Sides,
        undo: UndoLog,
        down_ports: Container[int] = (),
        numbers: CountedNumbers | None = None,
        filler: RingFiller | None = None,
    ) -> None:
        """`down_ports` are those that are down now; whoever changes them has groups rebuilt.

        `numbers` are those by which learned entries count for members, where they do. `filler` makes rings of members
        whose ports are all up; without it they are made here.
        """
        self._filler = filler
        self._down_ports = down_ports
        self._layout = selector
        self._in_turn = selector.turns is not None
        self._sides = sides
        self._undo = undo
        self._ring = RingSlots(ring)
        self._members = members
        self._numbers = numbers
        self._table = table
        self._slots = Slices(selector.ring.max_entries)
        self._places = Slices(selector.members.max_entries)
        sides.add_resting(self._slots)
        sides.add_resting(self._places)
        self._pack_member = call_packer(selector.member)
        self._unwritten: dict[int, bytes] | None = None
        """Members that this batch puts into the map before packets see it, by place; None where it has none yet."""
        self._place_of: dict[int, int] = {}
        """Where in the array of members each one is, by member id."""
        self._groups: dict[int, Group] = {}
        self._slice_of: dict[Target, Slice] = {}
        self._entries: dict[Target, dict[Matches, None]] = {}
        """The entries that refer to a group or member, in the order of their coming."""
        self._reference_of: dict[Matches, Target] = {}
        self._expected: dict[Target, Slice] = {}
        self._expected_places: dict[int, int] = {}

    def close(self) -> None:
        """The map of the ring may be closed after this."""
        self._ring.close()

    def expect(self, found: Kept) -> None:
        """Packets read these maps already; what is kept of them is about to come. Before anything is inserted."""
        self.expect_numbers(found.numbers)
        self._expected = found.slices
        self._expected_places = dict(found.places)
        self._slots.occupy(found.read, found.slices.values())
        led_to = (place for place in found.led_to if place < self._layout.members.max_entries)
        self._places.occupy(map(_single, led_to), map(_single, found.places.values()))

    def expect_numbers(self, numbers: Mapping[int, int]) -> None:
        """By which entries that go on count for members that are about to come, by id. Before any is inserted."""
        if self._numbers is not None:
            self._numbers.expect(numbers)

    def counts(self) -> dict[int, int] | None:
        """How many learned entries count for each member, by id; None where they count for none."""
        return None if self._numbers is None else self._numbers.counts()

    # members and groups

    def insert_member(self, member: Member) -> None:
        if self._numbers is not None:
            self._numbers.take(member.id)
        place = self._expected_places.pop(member.id, None)
        self._undo.put(self._place_of, member.id, self._write_member(member) if place is None else place)

    def insert_members(self, members: Sequence[Member]) -> int:
        """As if they came one after the other. Returns how many there are places for."""
        if self._expected_places:
            return done_one_by_one(self.insert_member, members, self._undo)
        places = self._take_places(len(members))
        ids = [member.id for member in members[: len(places)]]
        self._undo.note(partial(self._forget_members, ids))
        numbers = self._numbers.take_many(ids) if self._numbers is not None else repeat(0)
        pack = self._pack_member
        actions = (member.action for member in members)
        self._write_later({place: pack(call, number) for place, call, number in zip(places, actions, numbers)})  # noqa: B905
        self._place_of.update(zip(ids, places, strict=True))
        return len(ids)

    def _forget_members(self, ids: Sequence[int]) -> None:
        for member_id in ids:
            self._place_of.pop(member_id, None)

    def modify_member(self, member: Member) -> None:
        """Every group that has it, and every entry that names it, is led to the new place."""
        old, new = self._place_of[member.id], self._write_member(member)
        self._undo.put(self._place_of, member.id, new)
        rings = {target: self._write_ring(self._ring_for(target)) for target in self._users_of(member.id)}
        for target, ring in rings.items():
            self._lead_to(target, ring)
        self._give_back(self._places, _single(old))

    def delete_member(self, member_id: int) -> None:
        if self._numbers is not None:
            self._numbers.give_back(member_id)
        self._give_back(self._places, _single(self._undo.pop(self._place_of, member_id)))

    def insert_group(self, group: Group) -> None:
        target = GroupRef(group_id=group.id)
        ring = self._expected.pop(target, None) or self._write_ring(self._ring_of(group))
        self._undo.put(self._slice_of, target, ring)
        self._undo.put(self._groups, group.id, group)

    def modify_group(self, group: Group) -> None:
        ring = self._write_ring(self._ring_of(group))
        self._undo.put(self._groups, group.id, group)
        self._lead_to(GroupRef(group_id=group.id), ring)

    def delete_group(self, group_id: int) -> None:
        self._undo.pop(self._groups, group_id)
        self._give_back(self._slots, self._undo.pop(self._slice_of, GroupRef(group_id=group_id)))

    # groups whose members watch ports

    def groups_that_watch(self, ports: Collection[int]) -> list[Group]:
        return [group for group in self._groups.values() if not group.watched_ports.isdisjoint(ports)]

    def following(self, ports: Collection[int]) -> list[Callable[[], None]]:
        """What is to be done now that these ports have changed, step by step."""
        return [partial(self.rebuild_group, group.id) for group in self.groups_that_watch(ports)]

    def rebuild_group(self, group_id: int) -> None:
        """A ring by the ports as they are now. Where there is no room for a new slice, the old one is overwritten.

        A packet looks at one slot alone, so it meets the old member or the new one there, too.
        """
        target = GroupRef(group_id=group_id)
        ring, old = self._ring_for(target), self._slice_of[target]
        try:
            self._lead_to(target, self._write_ring(ring))
        except RefusedError:
            if (ring.size, ring.cycle_size) != (old.size, old.cycle):
                raise
            with self._refusals():
                self._ring.overwrite(old.offset, ring.slots)

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

    def _ring_of(self, group: Group) -> _Ring:
        members, down = group.members, self._down_ports
        places = {one.member_id: self._place_of[one.member_id] for one in members}
        ring = None
        if self._filler is not None and not any(port in down for port in group.watched_ports):
            with self._refusals():
                ring = self._filler.fill(members, places)
        if ring is None:
            return _ring(living_slots(members, down, in_turn=self._in_turn), places)
        if not self._in_turn:
            return _Ring(slots=ring)
        cycle = living_cycle(members, ())
        return _Ring(slots=ring + strided([places[number] for number in cycle]), cycle_size=len(cycle))

    def _ring_for(self, target: Target) -> _Ring:
        match target:
            case MemberRef():
                number = target.member_id
                return _ring(slots_of_one(number, in_turn=self._in_turn), {number: self._place_of[number]})
            case GroupRef():
                return self._ring_of(self._groups[target.group_id])

    def _slice_for(self, target: Target) -> Slice:
        """The slice of a group, or the slice of one slot that an entry with a single member has."""
        if target not in self._slice_of:
            ring = self._expected.pop(target, None) or self._write_ring(self._ring_for(target))
            self._undo.put(self._slice_of, target, ring)
        return self._slice_of[target]

    def _lead_to(self, target: Target, ring: Slice) -> None:
        """Lead all entries to a new slice, and let the old one rest."""
        old = self._slice_of[target]
        self._undo.put(self._slice_of, target, ring)
        for matches in self._entries.get(target, ()):
            self._table.modify(matches, _value(ring))
        self._give_back(self._slots, old)

    def _write_ring(self, ring: _Ring) -> Slice:
        wanted = ring.size
        if not wanted:
            return EMPTY
        found = self._slots.take(wanted)
        if found is None:  # but for what the batches before have given back
            self._sides.release_all()
            found = self._slots.take(wanted)
        if found is None:
            raise exhausted(
                f"action profile {self._layout.name}: its rings are full: {wanted} slots are needed in one piece, "
                f"{self._slots.free_slots} of {self._layout.ring.max_entries} are free"
            )
        slots = Slice(offset=found.offset, size=wanted, cycle=ring.cycle_size)
        self._undo.note(partial(self._slots.give_back, slots))
        with self._refusals():
            self._ring.fill(slots.offset, ring.slots)
        return slots

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals_of(f"action profile {self._layout.name}")

    def _write_member(self, member: Member) -> int:
        places = self._take_places(1)
        if not places:
            most = self._layout.members.max_entries
            raise exhausted(f"action profile {self._layout.name}: all {most} places of members are taken; try again")
        number = self._numbers.of(member.id) if self._numbers is not None else 0
        self._write_later({places[0]: self._pack_member(member.action, number)})
        return places[0]

    def _take_places(self, count: int) -> list[int]:
        """Of so many members; fewer when there are no more, not even of those that batches before have given back."""
        places = self._places.take_single(count)
        if len(places) < count:
            self._sides.release_all()
            places += self._places.take_single(count - len(places))
        self._undo.note(partial(self._give_back_places, places))
        return places

    def _give_back_places(self, places: Iterable[int]) -> None:
        for place in places:
            self._places.give_back(_single(place))

    def _write_later(self, values: Mapping[int, bytes]) -> None:
        """With all others of this batch; those taken back before are written as well, to places that nobody reads."""
        if self._unwritten is None:
            self._unwritten = {}
            self._undo.note(self._write_none)
            self._undo.at_commit(self._write_members)
        self._unwritten.update(values)

    def _write_none(self) -> None:
        self._unwritten = None

    def _write_members(self) -> None:
        unwritten, self._unwritten = self._unwritten, None
        if unwritten:
            places = struct.pack(f"={len(unwritten)}I", *unwritten)
            with self._refusals():
                self._members.update_batch(places, b"".join(unwritten.values()))

    def _give_back(self, slices: Slices, used: Slice) -> None:
        if used.size:
            slices.give_back(used)
            self._undo.note(partial(slices.keep, used))

    def _refer(self, matches: Matches, target: Target) -> None:
        self._undo.put(self._entries.setdefault(target, {}), matches, None)
        self._undo.put(self._reference_of, matches, target)

    def _release(self, matches: Matches) -> None:
        target = self._undo.pop(self._reference_of, matches)
        entries = self._entries[target]
        self._undo.pop(entries, matches)
        if not entries and isinstance(target, MemberRef):  # its slice was only for entries
            self._give_back(self._slots, self._undo.pop(self._slice_of, target))


def _single(place: int) -> Slice:
    return Slice(offset=place, size=1)


def _value(used: Slice) -> GroupSlice:
    return GroupSlice(offset=used.offset, size=used.size, cycle=used.cycle)
