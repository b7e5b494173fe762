"""Updates of a batch that are handed to the target together: the same kind of update to entries of the same table.

New members of an action profile are handed over so, too (`runtime.device.memberruns`).
Most batches are many like updates. Each is recognised by its bytes (`runtime.device.wireforms`), checked against the
contents and noted there, one by one and in order; the target is then given all of a run at once, which for the kernel
is one system call and not a thousand. What is not recognised or does not pass its check is not taken: the caller does
it alone, the plain way, after the runs before it are finished. So no run holds an update that is refused, unless the
target itself refuses; what the target has not done is taken back and left to the caller as well.

Several runs may be open at once (specification, "Batching and Ordering of Updates": the order within a batch is the
server's affair), but an entry is in one of them only, and they are finished in the order in which they were begun.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from itertools import repeat
from typing import Any, Protocol, TypeGuard

from finsy.proto import p4r

from runtime.device.contents import Contents, TableContents
from runtime.device.memberruns import MemberRun
from runtime.device.records import ActionSet, Row, RowAction, RowKey
from runtime.device.refusals import RefusedError
from runtime.device.schema import Schema
from runtime.device.selectorcontents import SelectorContents
from runtime.device.target import Instance
from runtime.device.wireforms import Recognised
from runtime.device.wireupdates import PROFILE, TABLE, Answer, Given, Read, Source, WireUpdates

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE


class AnyRun(Protocol):
    """Of entries, or of members."""

    @property
    def kind(self) -> int: ...

    @property
    def keys(self) -> Collection[RowKey | int]:
        """Of the entries, or ids of the members."""
        ...

    def take(self, place: int, recognised: Any) -> bool: ...
    def hand_over(self, instance: Instance) -> list[int]: ...
    def is_slow(self, instance: Instance) -> bool:
        """Whether the target takes them one by one."""
        ...

    def take_back(self) -> None: ...


class Run:
    """Updates of one kind to one table, checked and noted in its contents."""

    __slots__ = ("_is_plain", "_old", "_size", "_there", "kind", "places", "rows", "table")

    def __init__(self, kind: int, table: TableContents) -> None:
        self.kind = kind
        self.table = table
        self.places: list[int] = []
        """Of the updates in their batch."""
        self.rows: dict[RowKey, Row] = {}
        """As they are to be; for DELETE, as they were."""
        self._old: list[Row] = []
        self._is_plain, self._there, self._size = table.is_plain, table.rows, table.codec.table.size

    @property
    def keys(self) -> Collection[RowKey]:
        return self.rows

    def take(self, place: int, recognised: Recognised) -> bool:
        """Whether the update passes its check. It is noted then.

        Most entries are in a plain table, for which what `_change_entry` does is written out: each call counts.
        """
        key, action, metadata, cookie = recognised
        if not self._is_plain:
            row = self._change_entry(key, action, metadata, cookie)
        elif self.kind == INSERT:
            if key in self._there or action is None or len(self._there) >= self._size:
                return False
            row = self._there[key] = Row(key, action, metadata, cookie)
        elif self.kind == DELETE:
            row = self._there.pop(key, None)
        else:
            row = self._changed_row(key, action, metadata, cookie) if self.kind == MODIFY else None
        if row is None:
            return False
        self.places.append(place)
        self.rows[key] = row
        return True

    def _changed_row(self, key: RowKey, action: RowAction | None, metadata: bytes, cookie: int) -> Row | None:
        old = self._there.get(key)
        if old is None or action is None:
            return None
        self._old.append(old)
        row = self._there[key] = Row(key, action, metadata, cookie)
        return row

    def _change_entry(self, key: RowKey, action: RowAction | None, metadata: bytes, cookie: int) -> Row | None:
        """Note an entry as the update makes it; for DELETE, as it was. None: the update is not for a run."""
        table, kind = self.table, self.kind
        old = table.rows.get(key)
        try:
            if kind == INSERT and old is None and action is not None:
                table.check_new(key, action)
                row = Row(key, action, metadata, cookie)
                table.add(row)
            elif kind == MODIFY and _is_plain(old) and action is not None:
                table.check_changed(old, action)
                row = Row(key, action, metadata, cookie)
                table.replace(row)
                self._old.append(old)
            elif kind == DELETE and _is_plain(old):
                row = old
                table.check_removable(row)
                table.remove(key)
            else:
                return None
        except RefusedError:
            return None
        return row

    def hand_over(self, instance: Instance) -> list[int]:
        """Have the target do it. Returns the places of updates that it has not done; they are forgotten."""
        codec, rows = self.table.codec, list(self.rows.values())
        if self.kind == INSERT:
            done = instance.insert_rows(codec, rows)
        elif self.kind == MODIFY:
            done = instance.modify_rows(codec, rows)
        else:
            done = instance.delete_rows(codec, rows)
        self._forget(done, len(rows))
        instance.undo.note(partial(self._forget, 0, done))
        return self.places[done:]

    def is_slow(self, instance: Instance) -> bool:
        return not instance.takes_many(self.table.codec.name)

    def take_back(self) -> None:
        """None of it has taken effect after all."""
        self._forget(0, len(self.rows))

    def _forget(self, first: int, end: int) -> None:
        for at, row in reversed(list(enumerate(self.rows.values()))[first:end]):
            if self.kind == INSERT:
                self.table.remove(row.key)
            elif self.kind == MODIFY:
                self.table.replace(self._old[at])
            else:
                self.table.add(row)


class _RunsOf:
    """What is open of one table, or of one profile's members: at most one run a kind, and what is in there."""

    __slots__ = ("contents", "keys", "open", "read", "stands_alone")

    def __init__(self, contents: TableContents | SelectorContents, read: Read) -> None:
        self.contents = contents
        self.read = read
        self.open: dict[int, AnyRun] = {}
        self.keys: set[RowKey | int] = set()
        self.stands_alone = isinstance(contents, SelectorContents) or contents.references is not None
        """What others may refer to, or refers to others, waits for all that came before: the target may refuse that."""

    def begin(self, kind: int) -> AnyRun | None:
        """None where updates of a kind are not for runs."""
        if isinstance(self.contents, TableContents):
            return Run(kind, self.contents)
        return MemberRun(self.contents) if kind == INSERT else None


class Runs:
    """Of one pipeline; nothing is open between batches."""

    def __init__(self, schema: Schema, contents: Contents, instance: Instance) -> None:
        self._instance = instance
        self._sources: dict[Source, _RunsOf] = {
            (TABLE, number): _RunsOf(contents.tables[codec.name], codec.form.read_within)
            for number, codec in schema.tables.items()
            if codec.name in contents.tables and codec.form is not None
        }
        for number, codec in schema.selectors.items():
            held = contents.tables[codec.name].selector
            if held is not None and codec.members is not None:
                self._sources[PROFILE, number] = _RunsOf(held, codec.members.read_within)
        self._wire = WireUpdates({source: runs.read for source, runs in self._sources.items()})
        self._open: list[tuple[_RunsOf, AnyRun]] = []

    @property
    def are_open(self) -> bool:
        return bool(self._open)

    @property
    def are_slow(self) -> bool:
        """Whether the target takes any of it one by one."""
        return any(run.is_slow(self._instance) for _, run in self._open)

    def recognised(self, raw: bytes | None, count: int) -> Iterator[Answer]:
        """Each of the updates in a `p4.v1.WriteRequest`. None: it is still to be tried by `recognise`.

        `NO_ENTRY`: it is about something else.
        """
        return self._wire.read(raw, count) if raw is not None else repeat(None, count)

    def recognise(self, update: p4r.Update) -> Given | None:
        """None: it is not for a run, or a member, which is recognised in its request alone."""
        entry = update.entity.table_entry  # of another kind of entity it is empty, and of no table
        source = TABLE, entry.table_id
        table = self._sources.get(source)
        if table is None:
            return None
        raw = entry.SerializeToString()
        found = table.read(raw, 0, len(raw))
        return None if found is None else (update.type, source, found)

    def take(self, place: int, given: Given) -> bool:
        """Whether the update is part of a run now; if not, nothing has happened."""
        kind, source, recognised = given
        runs, key = self._sources[source], recognised[0]
        if key in runs.keys:
            return False
        run = runs.open.get(kind)
        if run is None:
            run = runs.begin(kind) if self._may_stand_beside_others(runs) else None
            if run is None or not run.take(place, recognised):
                return False
            runs.open[kind] = run
            self._open.append((runs, run))
        elif not run.take(place, recognised):
            return False
        runs.keys.add(key)
        return True

    def _may_stand_beside_others(self, runs: _RunsOf) -> bool:
        return not self._open or not (runs.stands_alone or self._open[-1][0].stands_alone)

    def finish(self) -> list[int]:
        """Have the target do all that is open. Returns the places of updates that it has not done."""
        left: list[int] = []
        while self._open:
            left += self._open[0][1].hand_over(self._instance)
            self._close(*self._open[0])
        return sorted(left)

    def abandon(self) -> None:
        """Something unforeseen has happened: what is open never was."""
        for runs, run in self._open[::-1]:
            run.take_back()
            self._close(runs, run)

    def _close(self, runs: _RunsOf, run: AnyRun) -> None:
        self._open.remove((runs, run))
        del runs.open[run.kind]
        runs.keys.difference_update(run.keys)


def _is_plain(row: Row | None) -> TypeGuard[Row]:
    """An entry that is there, and has no members and group of its own."""
    return row is not None and not isinstance(row.action, ActionSet)
