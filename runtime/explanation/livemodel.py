"""The interpreter's state filled from a live device: all that a controller wrote, connections as they are asked for.

A device may know a million connections, a packet asks for two of them at most. So a store reads through: what it does
not have, the device is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.ir.entries import Entries, Group
from compiler.ir.interpreter import Model
from compiler.ir.interpreter.learning import Slot, SlotStore
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Learn
from compiler.ir.walking import all_statements
from compiler.span import InternalError
from runtime.client.learnedentries import LearnedRead

FindLearned = Callable[[str, tuple[int, ...]], LearnedRead | None]
NOW_MS = 1 << 31
"""The model's time: any at which nothing is too old."""


class LiveStore(SlotStore):
    """Profiles are guessed by their timeout: two of one timeout differ in nothing that a packet can see at once.

    Where connections are, what was kept of fragments is not asked for: no packet is explained that is one.
    """

    def __init__(self, pipeline: Pipeline, name: str, seed: int, find: FindLearned) -> None:
        tables = [table for table in pipeline.tables if table.store == name]
        super().__init__(next(store for store in pipeline.stores if store.name == name), tables, seed)
        learned = {s.table: s.renews for s in all_statements(pipeline) if isinstance(s, Learn)}
        halves = [table.name for table in tables if not learned.get(table.name, True)]
        self._tables, self._ask = halves or [table.name for table in tables if table.name in learned], find

    def find(self, key: tuple[int, ...]) -> Slot | None:
        return super().find(key) or self._brought(key)

    def forget(self) -> None:
        """What packets have learned or asked for is gone."""
        while left := self.slots():
            self.remove(left[0])

    def _brought(self, key: tuple[int, ...]) -> Slot | None:
        for table in self._tables:
            read = self._ask(table, key)
            if read is not None:
                made = self.learn(table, key, read.action, self._profile_of(read), NOW_MS - read.idle_ms, ())
                return made.slot
        return None

    def _profile_of(self, read: LearnedRead) -> int:
        profiles = self.store.profiles
        found = next((profile for profile in profiles if profile.timeout_ms == read.timeout_ms), profiles[0])
        return found.id


class LiveModel(Model):
    """`find` asks the device for a learned entry."""

    def __init__(self, pipeline: Pipeline, entries: Entries, *, hash_seed: int, find: FindLearned) -> None:
        super().__init__(pipeline, hash_seed=hash_seed)
        self._live = {store.name: LiveStore(pipeline, store.name, hash_seed, find) for store in pipeline.stores}
        for change in (*entries.members, *entries.groups, *entries.table_entries):
            self.insert(change)

    def store_of(self, table: str) -> SlotStore:
        return self._live[super().store_of(table).store.name]

    def forget(self) -> None:
        """No connection is known but those of the device."""
        for store in self._live.values():
            store.forget()

    def group(self, table: str, group_id: int) -> Group:
        """The group of a table's selector."""
        return self.selection(self._selector_of(table)).group(group_id)

    def narrow(self, group: Group, member_id: int) -> None:
        """Let a group give one of its members to every packet; `modify` with the group itself takes that back."""
        chosen = tuple(member for member in group.members if member.member_id == member_id)
        self.modify(Group(selector=group.selector, id=group.id, members=chosen, max_size=group.max_size))

    def _selector_of(self, table: str) -> str:
        selector = self.names.tables[table].selector
        if selector is None:
            raise InternalError(f"table {table} has no selector")
        return selector.name
