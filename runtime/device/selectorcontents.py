"""Members and groups of one selector, or its one-shot sets, and the rules of what may be there together.

A part of `runtime.device.contents`, and used as that is: checks first, then the target, then the change is noted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from compiler.ir.entries import Group, GroupRef, Member, MemberRef
from compiler.ir.tables import Selector
from runtime.device.records import ActionSet, RowAction
from runtime.device.referring import Referring, add_uses, check_claims, note_claims
from runtime.device.refusals import exhausted, exists, invalid, not_found, precondition


@dataclass(slots=True)
class SelectorContents:
    """Members and groups of one selector, or its one-shot sets: never both (specification, one-shot programming)."""

    selector: Selector
    table: str
    members: dict[int, Member] = field(default_factory=lambda: {})
    groups: dict[int, Group] = field(default_factory=lambda: {})
    set_count: int = 0
    """Entries with an action set."""
    total_weight: int = 0
    """Of all groups and action sets."""
    total_actions: int = 0
    """Members that action sets stand for."""
    next_hidden_id: int = 1
    references: Referring | None = None
    """Of members that may refer to entries."""
    _member_uses: Counter[int] = field(default_factory=lambda: Counter())
    """By id: entries and groups with the member."""
    _group_uses: Counter[int] = field(default_factory=lambda: Counter())

    @property
    def member_count(self) -> int:
        """Those that sets stand for among them."""
        return len(self.members) + self.total_actions

    def find_member(self, member_id: int) -> Member:
        """Raises NOT_FOUND."""
        if member_id not in self.members:
            raise not_found(f"{self._named(MemberRef(member_id=member_id))}: there is no such member")
        return self.members[member_id]

    def find_group(self, group_id: int) -> Group:
        """Raises NOT_FOUND."""
        if group_id not in self.groups:
            raise not_found(f"{self._named(GroupRef(group_id=group_id))}: there is no such group")
        return self.groups[group_id]

    def check_new_member(self, member: Member) -> None:
        self._check_style(one_shot=False)
        if member.id in self.members:
            raise exists(f"{self._named(MemberRef(member_id=member.id))}: it is there already")
        if len(self.members) >= self.selector.size:
            raise exhausted(f"action profile {self.selector.name} is full: it holds {self.selector.size} members")
        self._check_references(member)

    def check_changed_member(self, member: Member) -> None:
        self.find_member(member.id)
        self._check_references(member)

    def _check_references(self, member: Member) -> None:
        if self.references is not None:
            claims = self.references.claims((), member.action)
            check_claims(self._named(MemberRef(member_id=member.id)), claims)

    def check_new_group(self, group: Group) -> None:
        self._check_style(one_shot=False)
        if group.id in self.groups:
            raise exists(f"{self._named(GroupRef(group_id=group.id))}: it is there already")
        self._check_group(group, 0)

    def check_changed_group(self, group: Group) -> None:
        old = self.find_group(group.id)
        if group.max_size != old.max_size:
            where = self._named(GroupRef(group_id=group.id))
            raise invalid(f"{where}: max_size is {old.max_size} since its insert and cannot become {group.max_size}")
        self._check_group(group, _weight(old))

    def check_unused(self, reference: MemberRef | GroupRef) -> None:
        """Raises NOT_FOUND, and FAILED_PRECONDITION while an entry or a group refers to it."""
        match reference:
            case MemberRef():
                self.find_member(reference.member_id)
                uses = self._member_uses[reference.member_id]
            case GroupRef():
                self.find_group(reference.group_id)
                uses = self._group_uses[reference.group_id]
        if uses:
            raise precondition(f"{self._named(reference)}: it is in use ({uses} references)")

    def check_use(self, action: RowAction, replaced: RowAction | None) -> None:
        match action:
            case MemberRef():
                self._check_style(one_shot=False)
                self.find_member(action.member_id)
            case GroupRef():
                self._check_style(one_shot=False)
                self.find_group(action.group_id)
            case ActionSet():
                self._check_style(one_shot=True)
                self._check_set(action, replaced if isinstance(replaced, ActionSet) else None)
            case _:
                return

    def note_use(self, action: RowAction, step: int) -> None:
        match action:
            case MemberRef():
                add_uses(self._member_uses, action.member_id, step)
            case GroupRef():
                add_uses(self._group_uses, action.group_id, step)
            case ActionSet():
                self.set_count += step
                self.total_weight += step * set_weight(action)
                self.total_actions += step * len(action.actions)
            case _:
                return

    def add_member(self, member: Member) -> None:
        """Note a new member, or another action of one."""
        old = self.members.get(member.id)
        self.members[member.id] = member
        self._note_references(member, 1)
        if old is not None:
            self._note_references(old, -1)

    def remove_member(self, member_id: int) -> Member:
        """The member that was there."""
        member = self.members.pop(member_id)
        self._note_references(member, -1)
        return member

    def _note_references(self, member: Member, step: int) -> None:
        if self.references is not None:
            note_claims(self.references.claims((), member.action), step)

    def add_group(self, group: Group) -> None:
        """Note a new group, or new members of one."""
        old = self.groups.get(group.id)
        self.groups[group.id] = group
        self._note_group(old, group)

    def remove_group(self, group_id: int) -> Group:
        """The group that was there."""
        group = self.groups.pop(group_id)
        self._note_group(group, None)
        return group

    def take_hidden_ids(self, count: int) -> range:
        """Ids of members and groups that stand for action sets; none that was ever in use is used again."""
        first = self.next_hidden_id
        self.next_hidden_id += count
        return range(first, first + count)

    def give_back_hidden_ids(self, ids: range) -> None:
        """The last ones that were taken came to nothing: replaying what succeeded gives the same ids then."""
        self.next_hidden_id = ids.start

    def _note_group(self, old: Group | None, new: Group | None) -> None:
        """Of a thousand members, one is another one as a rule."""
        self.total_weight += _weight(new) - _weight(old)
        before, now = _ids(old), _ids(new)
        for member_id in now - before:
            add_uses(self._member_uses, member_id, 1)
        for member_id in before - now:
            add_uses(self._member_uses, member_id, -1)

    def _check_style(self, *, one_shot: bool) -> None:
        if one_shot and (self.members or self.groups):
            raise invalid(f"table {self.table} is programmed with members and groups; action sets cannot be mixed in")
        if not one_shot and self.set_count:
            raise invalid(f"table {self.table} is programmed with action sets; members and groups cannot be mixed in")

    def _check_group(self, group: Group, old_weight: int) -> None:
        for member in group.members:
            if member.member_id not in self.members:
                where = self._named(GroupRef(group_id=group.id))
                raise not_found(f"{where}: there is no member {member.member_id}")
        weight, most = _weight(group), group.max_size or self.selector.max_group_size
        if weight > most:
            where = self._named(GroupRef(group_id=group.id))
            raise exhausted(f"{where}: the weights sum to {weight}, at most {most} are possible")
        self._check_total(weight - old_weight)

    def _check_set(self, action: ActionSet, replaced: ActionSet | None) -> None:
        old_weight, old_count = (set_weight(replaced), len(replaced.actions)) if replaced else (0, 0)
        self._check_total(set_weight(action) - old_weight)
        if self.total_actions + len(action.actions) - old_count > self.selector.size:
            raise exhausted(f"action profile {self.selector.name} is full: it holds {self.selector.size} members")

    def _check_total(self, more: int) -> None:
        if self.total_weight + more > self.selector.size:
            name, size = self.selector.name, self.selector.size
            raise exhausted(f"action profile {name} is full: the weights of all groups sum to {size} at most")

    def _named(self, reference: MemberRef | GroupRef) -> str:
        match reference:
            case MemberRef():
                return f"action profile {self.selector.name}, member {reference.member_id}"
            case GroupRef():
                return f"action profile {self.selector.name}, group {reference.group_id}"


def set_weight(action: ActionSet) -> int:
    return sum(one.weight for one in action.actions)


def _weight(group: Group | None) -> int:
    return sum([member.weight for member in group.members]) if group is not None else 0


def _ids(group: Group | None) -> set[int]:
    return {member.member_id for member in group.members} if group is not None else set()
