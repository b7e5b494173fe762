"""Updates of a batch that are handed to the target together: the same kind of update to entries of the same table.

Most batches are many like updates. Each is recognised by its bytes (`runtime.device.wireforms`), checked against the
contents and noted there, one by one and in order; the target is then given all of a run at once, which for the kernel
is one system call and not a thousand. What is not recognised or does not pass its check is not taken: the caller does
it alone, the plain way, after the runs before it are finished. So no run holds an update that is refused, unless the
target itself refuses; what the target has not done is taken back and left to the caller as well.

Several runs may be open at once (specification, "Batching and Ordering of Updates": the order within a batch is the
server's affair), but an entry is in one of them only, and they are finished in the order in which they were begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import TypeGuard

from finsy.proto import p4r

from runtime.device.contents import Contents, TableContents
from runtime.device.records import ActionSet, Row, RowAction, RowKey
from runtime.device.refusals import RefusedError
from runtime.device.schema import Schema
from runtime.device.target import Instance
from runtime.device.wireforms import Recognised
from runtime.device.wireupdates import Answer, Given, WireUpdates

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE


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
        self.take_back(done, len(rows))
        instance.undo.note(partial(self.take_back, 0, done))
        return self.places[done:]

    def take_back(self, first: int, end: int) -> None:
        """These updates have not taken effect after all."""
        for at, row in reversed(list(enumerate(self.rows.values()))[first:end]):
            if self.kind == INSERT:
                self.table.remove(row.key)
            elif self.kind == MODIFY:
                self.table.replace(self._old[at])
            else:
                self.table.add(row)


class _TableRuns:
    """What is open of one table, at most one run a kind, and the entries in there."""

    __slots__ = ("contents", "keys", "open", "read")

    def __init__(self, contents: TableContents, read: Callable[[bytes], Recognised | None]) -> None:
        self.contents = contents
        self.read = read
        self.open: dict[int, Run] = {}
        self.keys: set[RowKey] = set()


class Runs:
    """Of one pipeline; nothing is open between batches."""

    def __init__(self, schema: Schema, contents: Contents, instance: Instance) -> None:
        self._instance = instance
        forms = {
            number: codec.form
            for number, codec in schema.tables.items()
            if codec.name in contents.tables and codec.form is not None
        }
        self._tables = {
            number: _TableRuns(contents.tables[schema.tables[number].name], form.read) for number, form in forms.items()
        }
        self._wire = WireUpdates({number: form.read_within for number, form in forms.items()})
        self._open: list[Run] = []

    @property
    def are_open(self) -> bool:
        return bool(self._open)

    @property
    def are_slow(self) -> bool:
        """Whether any is of a table whose entries the target takes one by one."""
        return not all(self._instance.takes_many(run.table.codec.name) for run in self._open)

    def recognised(self, raw: bytes | None, count: int) -> Iterator[Answer]:
        """Each of the updates in a `p4.v1.WriteRequest`. None: it is still to be tried by `recognise`.

        `NO_ENTRY`: it is about something else.
        """
        return self._wire.read(raw, count) if raw is not None else repeat(None, count)

    def recognise(self, update: p4r.Update) -> Given | None:
        """None: it is not for a run."""
        entry = update.entity.table_entry  # of another kind of entity it is empty, and of no table
        table = self._tables.get(entry.table_id)
        found = table.read(entry.SerializeToString()) if table is not None else None
        return None if found is None else (update.type, entry.table_id, found)

    def take(self, place: int, given: Given) -> bool:
        """Whether the update is part of a run now; if not, nothing has happened."""
        kind, number, recognised = given
        table, key = self._tables[number], recognised[0]
        if key in table.keys:
            return False
        run = table.open.get(kind)
        if run is None:
            run = Run(kind, table.contents)
            if not self._may_stand_beside_others(run) or not run.take(place, recognised):
                return False
            table.open[kind] = run
            self._open.append(run)
        elif not run.take(place, recognised):
            return False
        table.keys.add(key)
        return True

    def _may_stand_beside_others(self, run: Run) -> bool:
        """What others may refer to, or refers to others, waits for all that came before: the target may refuse that."""
        return not self._open or not (run.table.references or self._open[-1].table.references)

    def finish(self) -> list[int]:
        """Have the target do all that is open. Returns the places of updates that it has not done."""
        left: list[int] = []
        while self._open:
            left += self._open[0].hand_over(self._instance)
            self._close(self._open[0])
        return sorted(left)

    def abandon(self) -> None:
        """Something unforeseen has happened: what is open never was."""
        for run in self._open[::-1]:
            run.take_back(0, len(run.rows))
            self._close(run)

    def _close(self, run: Run) -> None:
        self._open.remove(run)
        table = self._tables[run.table.codec.table.id]
        del table.open[run.kind]
        table.keys.difference_update(run.rows)


def _is_plain(row: Row | None) -> TypeGuard[Row]:
    """An entry that is there, and has no members and group of its own."""
    return row is not None and not isinstance(row.action, ActionSet)
