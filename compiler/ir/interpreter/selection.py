"""Members and groups of one selector, and which member a hash picks, or a turn.

The docstrings of `compiler.ir.tables.Selector` and `Turns`, `compiler.ir.maglev` and `compiler.ir.turns` say how.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping

from compiler.ir.entries import Group, GroupRef, Member, MemberRef
from compiler.ir.interpreter.entrycheck import group_limit
from compiler.ir.interpreter.errors import AlreadyExists, InUse, InvalidEntry, NotFound, TableFull
from compiler.ir.tables import Fewest, Selector
from compiler.ir.turns import NUMBER_MASK, Slots, living_slots


class Selection:
    """`down_ports` are those that are down now, whoever changes them calls `follow`."""

    def __init__(self, selector: Selector, down_ports: Container[int] = ()) -> None:
        self.selector = selector
        self._down_ports = down_ports
        self._members: dict[int, Member] = {}
        self._groups: dict[int, Group] = {}
        self._slots: dict[int, Slots] = {}
        self._turns: Counter[int] = Counter()
        """The number of the next turn, by cell."""
        self._weight = 0
        self._references: Counter[MemberRef | GroupRef] = Counter()
        """How many table entries and groups refer to a member or group."""

    def members(self) -> tuple[Member, ...]:
        return tuple(self._members.values())

    def groups(self) -> tuple[Group, ...]:
        return tuple(self._groups.values())

    def member(self, member_id: int) -> Member:
        """Raises `NotFound`."""
        self._check_known(MemberRef(member_id=member_id))
        return self._members[member_id]

    def group(self, group_id: int) -> Group:
        """Raises `NotFound`."""
        self._check_known(GroupRef(group_id=group_id))
        return self._groups[group_id]

    def pick(self, reference: MemberRef | GroupRef, digest: int) -> Member | None:
        """The member for a 64-bit hash; None for a group that is empty, or whose members' ports are all down."""
        if isinstance(reference, MemberRef):
            return self._members[reference.member_id]
        ring = self._slots_of(reference.group_id).ring
        return self._members[ring[(digest >> 32) % len(ring)]] if ring else None

    def pick_in_turn(self, reference: MemberRef | GroupRef, cell: int) -> Member | None:
        """The member whose turn it is by the number of a cell; None as from `pick`, which takes no turn."""
        cycle = (reference.member_id,) if isinstance(reference, MemberRef) else self._slots_of(reference.group_id).cycle
        if not cycle:
            return None
        number = self._turns[cell]
        self._turns[cell] = number + 1 & NUMBER_MASK
        return self._members[cycle[number % len(cycle)]]

    def pick_fewest(self, reference: MemberRef | GroupRef, number: int, counts: Mapping[int, int]) -> Member | None:
        """The one with fewer of `counts`, by member id, of the two that a drawn number means; None as from `pick`."""
        if isinstance(reference, MemberRef):
            return self._members[reference.member_id]
        cycle = self._slots_of(reference.group_id).cycle
        if not cycle:
            return None
        first, second = (cycle[slot] for slot in Fewest.slots(number, len(cycle)))
        return self._members[second if counts.get(second, 0) < counts.get(first, 0) else first]

    def set_turn(self, cell: int, number: int) -> None:
        """The number of the next turn of a cell."""
        self._turns[cell] = number

    def _slots_of(self, group_id: int) -> Slots:
        if group_id not in self._slots:
            members, in_turn = self._groups[group_id].members, self.selector.turns is not None
            self._slots[group_id] = living_slots(members, self._down_ports, in_turn=in_turn)
        return self._slots[group_id]

    def follow(self, port: int) -> None:
        """A port has gone down or come up."""
        for group in self._groups.values():
            if port in group.watched_ports:
                self._slots.pop(group.id, None)

    def insert_member(self, member: Member) -> None:
        if member.id in self._members:
            raise AlreadyExists(f"selector {self.selector.name} has member {member.id} already")
        if len(self._members) >= self.selector.size:
            raise self._full(f"selector {self.selector.name} is full: it holds {self.selector.size} members")
        self._members[member.id] = member

    def modify_member(self, member: Member) -> None:
        self._check_known(MemberRef(member_id=member.id))
        self._members[member.id] = member

    def delete_member(self, member_id: int) -> None:
        self._check_unused(MemberRef(member_id=member_id))
        del self._members[member_id]

    def insert_group(self, group: Group) -> None:
        if group.id in self._groups:
            raise AlreadyExists(f"selector {self.selector.name} has group {group.id} already")
        self._check_group(group, old_weight=0)
        self._put_group(group)

    def modify_group(self, group: Group) -> None:
        self._check_known(GroupRef(group_id=group.id))
        old = self._groups[group.id]
        if group.max_size != old.max_size:
            raise InvalidEntry(f"{self._name(GroupRef(group_id=group.id))}: max_size is fixed while the group exists")
        self._check_group(group, old_weight=_weight(old))
        self._take_group(group.id)
        self._put_group(group)

    def delete_group(self, group_id: int) -> None:
        self._check_unused(GroupRef(group_id=group_id))
        self._take_group(group_id)

    def check_reference(self, reference: MemberRef | GroupRef) -> None:
        """Raises `NotFound`."""
        self._check_known(reference)

    def refer(self, reference: MemberRef | GroupRef) -> None:
        self._references[reference] += 1

    def release(self, reference: MemberRef | GroupRef) -> None:
        self._references[reference] -= 1

    def _check_group(self, group: Group, *, old_weight: int) -> None:
        for member in group.members:
            self._check_known(MemberRef(member_id=member.member_id))
        name, weight, limit = self._name(GroupRef(group_id=group.id)), _weight(group), group_limit(self.selector, group)
        if weight > limit:
            raise self._full(f"{name} has a weight of {weight}, at most {limit} is possible")
        if self._weight - old_weight + weight > self.selector.size:
            raise self._full(
                f"selector {self.selector.name} is full: its groups hold a weight of {self.selector.size} together"
            )

    def _put_group(self, group: Group) -> None:
        self._groups[group.id] = group
        self._weight += _weight(group)
        for member in group.members:
            self.refer(MemberRef(member_id=member.member_id))

    def _take_group(self, group_id: int) -> None:
        group = self._groups.pop(group_id)
        self._slots.pop(group_id, None)
        self._weight -= _weight(group)
        for member in group.members:
            self.release(MemberRef(member_id=member.member_id))

    def _name(self, reference: MemberRef | GroupRef) -> str:
        match reference:
            case MemberRef(member_id=member_id):
                return f"member {member_id} of selector {self.selector.name}"
            case GroupRef(group_id=group_id):
                return f"group {group_id} of selector {self.selector.name}"

    def _check_known(self, reference: MemberRef | GroupRef) -> None:
        match reference:
            case MemberRef(member_id=member_id):
                known = member_id in self._members
            case GroupRef(group_id=group_id):
                known = group_id in self._groups
        if not known:
            raise NotFound(f"there is no {self._name(reference)}")

    def _check_unused(self, reference: MemberRef | GroupRef) -> None:
        self._check_known(reference)
        if self._references[reference]:
            raise InUse(f"{self._name(reference)} is in use")

    def _full(self, message: str) -> TableFull:
        return TableFull(message, name=self.selector.name, size=self.selector.size)


def _weight(group: Group) -> int:
    return sum(member.weight for member in group.members)
