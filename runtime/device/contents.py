"""What controllers have written into one pipeline, and the rules of what may be there together.

The checks come first (`check_*`, they change nothing), then the target is asked, then the change is noted (`add_*`,
`replace_*`, `remove_*`), and in the instance's log how to undo it. Rows, members and groups are immutable and
may be held by a read for as long as it takes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from compiler.ir.entries import Group, GroupRef, Member, MemberRef, MeterConfig
from compiler.ir.nodes import Pipeline
from compiler.ir.restriction_parsing import restriction
from compiler.ir.restrictions import Restriction
from compiler.ir.tables import InitialEntry, Selector
from runtime.device.masks import MaskCount, mask_count
from runtime.device.records import ActionSet, DigestConfig, Row, RowAction, RowKey
from runtime.device.refusals import denied, exhausted, exists, invalid, not_found, precondition
from runtime.device.schema import TableCodec
from runtime.device.timers import IdleTimers


@dataclass(slots=True)
class TableContents:
    """The entries of one table that controllers write."""

    codec: TableCodec
    selector: SelectorContents | None
    masks: MaskCount | None = None
    restriction: Restriction | None = None
    timers: IdleTimers | None = None
    """Of a table whose entries may have an idle timeout."""
    default: Row | None = None
    """The default entry, once it has been modified."""
    initial_keys: frozenset[RowKey] = frozenset()
    """Entries that the pipeline has at first."""
    const_keys: frozenset[RowKey] = frozenset()
    """Entries that the pipeline has for ever."""
    rows: dict[RowKey, Row] = field(default_factory=lambda: {})

    def find(self, key: RowKey) -> Row:
        """Raises NOT_FOUND."""
        row = self.rows.get(key)
        if row is None:
            raise not_found(f"{self.codec.shown(key)}: there is no such entry")
        return row

    def check_new(self, key: RowKey, action: RowAction) -> None:
        """Raises ALREADY_EXISTS, RESOURCE_EXHAUSTED, NOT_FOUND (member, group), INVALID_ARGUMENT (mixed styles).

        And PERMISSION_DENIED (a constant table), INVALID_ARGUMENT (what the table's restriction does not allow).
        """
        self._check_open()
        self._check_restriction(key)
        if key in self.rows:
            raise exists(f"{self.codec.shown(key)}: it is there already")
        self.check_action(action)
        size = self.codec.table.size
        if len(self.rows) >= size:
            raise exhausted(f"table {self.codec.name} is full: it holds {size} entries")
        if self.masks is not None:
            self.masks.check_new(self.codec.keys.matches_of(key))

    def _check_restriction(self, key: RowKey) -> None:
        if self.restriction is None:
            return
        keys = self.codec.keys
        violation = self.restriction.violation(keys.matches_of(key), keys.priority_of(key))
        if violation is not None:
            raise invalid(f"{self.codec.shown(key)}: violates the table's @entry_restriction: {violation}")

    def check_changeable(self, key: RowKey) -> None:
        """Whether an entry may be deleted or get another action. Raises PERMISSION_DENIED."""
        self._check_open()
        if key in self.const_keys:
            raise denied(f"{self.codec.shown(key)}: the pipeline has it as a constant entry")

    def _check_open(self) -> None:
        if self.codec.table.has_const_entries:
            raise denied(f"table {self.codec.name} is constant: its entries are the pipeline's own")

    def check_action(self, action: RowAction, replaced: RowAction | None = None) -> None:
        """Whether what the action refers to is there. `replaced` is the action that a MODIFY takes away."""
        if self.selector is not None:
            self.selector.check_use(action, replaced)

    def add(self, row: Row) -> None:
        self.rows[row.key] = row
        if self.timers is not None:
            self.timers.add(row)
        if self.masks is not None:
            self.masks.add(self.codec.keys.matches_of(row.key))
        if self.selector is not None:
            self.selector.note_use(row.action, 1)

    def replace(self, row: Row) -> None:
        old = self.rows[row.key]
        self.rows[row.key] = row
        if self.timers is not None:
            self.timers.replace(old, row)
        if self.selector is not None:
            self.selector.note_use(row.action, 1)
            self.selector.note_use(old.action, -1)

    def remove(self, key: RowKey) -> None:
        old = self.rows.pop(key)
        if self.timers is not None:
            self.timers.remove(key)
        if self.masks is not None:
            self.masks.remove(self.codec.keys.matches_of(key))
        if self.selector is not None:
            self.selector.note_use(old.action, -1)


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
    _uses: Counter[MemberRef | GroupRef] = field(default_factory=lambda: Counter())

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
            case GroupRef():
                self.find_group(reference.group_id)
        if self._uses[reference]:
            raise precondition(f"{self._named(reference)}: it is in use ({self._uses[reference]} references)")

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
            case MemberRef() | GroupRef():
                self._uses[action] += step
            case ActionSet():
                self.set_count += step
                self.total_weight += step * set_weight(action)
                self.total_actions += step * len(action.actions)
            case _:
                return

    def add_group(self, group: Group) -> None:
        """Note a new group, or new members of one."""
        if group.id in self.groups:
            self.remove_group(group.id)
        self.groups[group.id] = group
        self._note_group(group, 1)

    def remove_group(self, group_id: int) -> Group:
        """The group that was there."""
        group = self.groups.pop(group_id)
        self._note_group(group, -1)
        return group

    def take_hidden_ids(self, count: int) -> range:
        """Ids of members and groups that stand for action sets; none that was ever in use is used again."""
        first = self.next_hidden_id
        self.next_hidden_id += count
        return range(first, first + count)

    def give_back_hidden_ids(self, ids: range) -> None:
        """The last ones that were taken came to nothing: replaying what succeeded gives the same ids then."""
        self.next_hidden_id = ids.start

    def _note_group(self, group: Group, step: int) -> None:
        self.total_weight += step * _weight(group)
        for member in group.members:
            self._uses[MemberRef(member_id=member.member_id)] += step

    def _check_style(self, *, one_shot: bool) -> None:
        if one_shot and (self.members or self.groups):
            raise invalid(f"table {self.table} is programmed with members and groups; action sets cannot be mixed in")
        if not one_shot and self.set_count:
            raise invalid(f"table {self.table} is programmed with action sets; members and groups cannot be mixed in")

    def _check_group(self, group: Group, old_weight: int) -> None:
        where = self._named(GroupRef(group_id=group.id))
        for member in group.members:
            if member.member_id not in self.members:
                raise not_found(f"{where}: there is no member {member.member_id}")
        weight, most = _weight(group), group.max_size or self.selector.max_group_size
        if weight > most:
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


@dataclass(slots=True)
class Contents:
    """Everything of one pipeline, by the names of its parts. Learned tables are the target's."""

    tables: dict[str, TableContents]
    selectors: dict[str, SelectorContents]
    meters: dict[str, dict[int, MeterConfig]]
    """By index, the cells of indexed meters that have a configuration."""
    digests: dict[str, DigestConfig] = field(default_factory=lambda: {})
    """Those that controllers have asked for."""


def empty_contents(pipeline: Pipeline, codecs: tuple[TableCodec, ...]) -> Contents:
    selectors = {
        table.selector.name: SelectorContents(selector=table.selector, table=table.name)
        for table in pipeline.tables
        if table.selector is not None
    }
    tables = {
        codec.name: TableContents(
            codec=codec,
            selector=selectors[codec.table.selector.name] if codec.table.selector else None,
            masks=mask_count(codec.table),
            restriction=restriction(codec.table.restriction, codec.table) if codec.table.restriction else None,
            timers=IdleTimers() if codec.table.idle_timeout else None,
            initial_keys=frozenset(_initial_key(codec, entry) for entry in codec.table.entries),
            const_keys=frozenset(_initial_key(codec, entry) for entry in codec.table.entries if entry.is_const),
        )
        for codec in codecs
        if not codec.is_learned
    }
    for table in tables.values():
        for entry in table.codec.table.entries:
            table.add(Row(_initial_key(table.codec, entry), entry.action))
    return Contents(tables=tables, selectors=selectors, meters={meter.name: {} for meter in pipeline.meters})


def _initial_key(codec: TableCodec, entry: InitialEntry) -> RowKey:
    return codec.keys.key_of(entry.matches, entry.priority)


def set_weight(action: ActionSet) -> int:
    return sum(one.weight for one in action.actions)


def _weight(group: Group) -> int:
    return sum(member.weight for member in group.members)
