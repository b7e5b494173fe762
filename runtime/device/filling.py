"""Contents into an instance that holds nothing yet: what is referred to first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from compiler.ir.entries import Member
from runtime.device.contents import Contents, TableContents
from runtime.device.records import ActionSet, Row
from runtime.device.selectorcontents import SelectorContents
from runtime.device.target import Advance, Instance, unwatched
from runtime.device.updates import hidden_group

AT_ONCE = 1000
"""Changes in one commit."""


def fill(instance: Instance, contents: Contents, advance: Advance = unwatched) -> None:
    """`advance` is told how many entries more are in. Raises `RefusedError`: the target cannot hold them."""
    for selector in contents.selectors.values():
        _insert_members(instance, list(selector.members.values()))
        for group in selector.groups.values():
            instance.insert_group(group)
    for meter, configs in contents.meters.items():
        for index, config in configs.items():
            instance.configure_meter(meter, index, 1, config)
    for row in (*contents.multicast_groups.values(), *contents.clone_sessions.values()):
        instance.put_replication(row.entry)
    for table in contents.tables.values():
        if table.selector is not None:
            _fill_sets(instance, table, table.selector)
        _begin_as(instance, table)
        rows = (row for key, row in table.rows.items() if key not in table.initial_keys)
        while piece := list(islice(rows, AT_ONCE)):
            _insert(instance, table, piece)
            instance.commit()
            advance(len(piece))
    instance.commit()


def _insert_members(instance: Instance, members: Sequence[Member]) -> None:
    done = instance.insert_members(members) if members else 0
    for member in members[done:]:
        instance.insert_member(member)


def _insert(instance: Instance, table: TableContents, rows: Sequence[Row]) -> None:
    """Together where the target can; who has been refused there is told why when it comes alone."""
    done = 0 if table.selector is not None else instance.insert_rows(table.codec, rows)
    for row in rows[done:]:
        instance.insert_entry(table.codec.entry(row))


def _begin_as(instance: Instance, table: TableContents) -> None:
    """What became of the entries that the instance has at first, and of the default entry."""
    for key in table.initial_keys - table.const_keys:
        if key in table.rows:
            instance.modify_entry(table.codec.entry(table.rows[key]))
        else:
            instance.delete_entry(table.codec.entry_key(key))
    if table.default is not None:
        instance.modify_entry(table.codec.default_entry(table.default))


def _fill_sets(instance: Instance, table: TableContents, selector: SelectorContents) -> None:
    """The members and groups that stand for action sets."""
    name = selector.selector.name
    for row in table.rows.values():
        if not isinstance(row.action, ActionSet):
            continue
        group = hidden_group(name, row, row.action)
        for one, weighted in zip(group.members, row.action.actions, strict=True):
            instance.insert_member(Member(selector=name, id=one.member_id, action=weighted.call))
        instance.insert_group(group)
