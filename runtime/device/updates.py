"""The updates of a Write, one at a time: decode, check, ask the target, note.

What becomes of a batch is for `runtime.device.batch`; here every step notes in the log how to undo it, as the target
does (`runtime.device.undo`). Called by `runtime.device.configs`, with no other writer in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from finsy.proto import p4r

from compiler.ir.entries import EntryKey, Group, GroupRef, Member, MemberRef, WeightedMember
from runtime.device.batch import CONTINUE, Atomicity, Batch, Outcomes, apply_batch
from runtime.device.cells import checked_index
from runtime.device.contents import Contents, TableContents
from runtime.device.digestentries import DigestWriter
from runtime.device.meterwrites import MeterWriter, check_meter_of_default, entry_meter
from runtime.device.records import ZERO, ActionSet, Row, RowAction, RowKey, Tally
from runtime.device.refusals import denied, invalid, unimplemented
from runtime.device.replicationentries import ReplicationWriter
from runtime.device.runs import Runs
from runtime.device.schema import Schema, TableCodec, cookie_of
from runtime.device.selectorcontents import SelectorContents
from runtime.device.slices import Steps, at_once
from runtime.device.target import Instance
from runtime.device.translation import Ports
from runtime.device.watching import check_watch, decode_watch

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
MAX_COUNT = (1 << 63) - 1


class Writer:
    """Applies updates to one pipeline's tables."""

    def __init__(self, schema: Schema, contents: Contents, instance: Instance) -> None:
        self._schema = schema
        self._contents = contents
        self._instance = instance
        self._undo = instance.undo
        self.runs = Runs(schema, contents, instance)
        self._meters = MeterWriter(schema, contents, instance)
        self._digests = DigestWriter(schema, contents, instance.undo)
        self._replication = ReplicationWriter(schema, contents, instance)

    def apply_all(
        self, updates: Sequence[p4r.Update], atomicity: Atomicity = CONTINUE, raw: bytes | None = None
    ) -> Outcomes:
        """`raw` as of a `Batch`. Raises INVALID_ARGUMENT for an atomicity that there is not."""
        return at_once(self.steps(Batch(updates, atomicity, raw)))

    def steps(self, batch: Batch) -> Steps[Outcomes]:
        """The same with pauses: see `runtime.device.batch`."""
        return apply_batch(batch, self._apply, self._instance, self.runs)

    def apply(self, update: p4r.Update) -> None:
        """One update by itself. Raises `RefusedError`; nothing has changed then."""
        (refusal,) = self.apply_all([update])
        if refusal is not None:
            raise refusal

    def _apply(self, update: p4r.Update) -> None:
        if update.type not in (INSERT, MODIFY, DELETE):
            raise invalid("the update has no type: it is one of INSERT, MODIFY, DELETE")
        entity = update.entity
        match entity.WhichOneof("entity"):
            case None:
                raise invalid("the update has no entity")
            case "table_entry":
                self._table_entry(update.type, entity.table_entry)
            case "action_profile_member":
                self._member(update.type, entity.action_profile_member)
            case "action_profile_group":
                self._group(update.type, entity.action_profile_group)
            case "counter_entry":
                self._counter(update.type, entity.counter_entry)
            case "direct_counter_entry":
                self._direct_counter(update.type, entity.direct_counter_entry)
            case "digest_entry":
                self._digests.entry(update.type, entity.digest_entry)
            case "packet_replication_engine_entry":
                self._replication.entry(update.type, entity.packet_replication_engine_entry)
            case "meter_entry":
                self._meters.cells(update.type, entity.meter_entry)
            case "direct_meter_entry":
                self._meters.of_entry(update.type, entity.direct_meter_entry)
            case kind:
                raise unimplemented(f"{kind}: this device has none")

    # table entries

    def _table_entry(self, kind: int, entry: p4r.TableEntry) -> None:
        codec = self._schema.table(entry.table_id)
        if entry.is_const:
            raise invalid(f"table {codec.name}: is_const is the device's to set")
        if entry.is_default_action:
            self._default_entry(kind, entry, codec)
            return
        key = codec.decode_key(entry)
        if codec.is_learned:
            self._learned_entry(kind, codec, codec.entry_key(key))
        elif kind == DELETE:
            self._delete_entry(codec, key)
        else:
            _check_idle(entry, codec)
            tally = self._tally_of(entry, codec)
            if kind == INSERT:
                self._insert_entry(entry, codec, tally)
            else:
                self._modify_entry(entry, codec, tally)

    def _default_entry(self, kind: int, entry: p4r.TableEntry, codec: TableCodec) -> None:
        if kind != MODIFY:
            raise invalid(f"table {codec.name}: the default entry is always there, it can only be modified")
        codec.check_default_key(entry)
        _check_idle(entry, codec)
        if entry.idle_timeout_ns:
            raise invalid(f"table {codec.name}: the default entry has no idle timeout")
        if codec.table.has_const_default:
            raise denied(f"table {codec.name}: the default action {codec.table.default_action} is constant")
        check_meter_of_default(codec, entry)
        self._modify_default(entry, codec)

    def _modify_default(self, entry: p4r.TableEntry, codec: TableCodec) -> None:
        """Without an action it becomes again what it was at first, and its counter is 0."""
        table, tally, row = self._contents.tables[codec.name], self._tally_of(entry, codec), None
        if entry.HasField("action"):
            action = codec.decode_default(entry.action)
            table.check_default(action)
            row = Row(b"", action, entry.metadata, cookie_of(entry))
        elif codec.counts_misses:
            tally = tally or ZERO
        self._instance.modify_entry(codec.default_entry(row))
        self._undo.note(partial(table.set_default, table.default))
        table.set_default(row)
        if tally is not None:
            self._instance.set_direct_tally(codec.default_key, tally)

    def _learned_entry(self, kind: int, codec: TableCodec, key: EntryKey) -> None:
        if kind != DELETE:
            raise denied(f"table {codec.name} is learned: the data plane fills it, entries can be read and deleted")
        # Not NOT_FOUND when it is gone: ageing takes entries away at any time and a delete takes both halves of a pair,
        # so a controller that reads all tables and deletes what it read (finsy's delete_all) would always fail.
        self._instance.delete_learned(key)

    def _insert_entry(self, entry: p4r.TableEntry, codec: TableCodec, tally: Tally | None) -> None:
        if not codec.matches:
            raise invalid(f"table {codec.name} has no match fields: it has nothing but its default entry")
        key = codec.decode_key(entry)
        action = codec.decode_action(entry.action)
        table = self._contents.tables[codec.name]
        table.check_new(key, action)
        self._check_watches(codec, action)
        row = self._hidden(table.selector, _row(entry, codec, key, action))
        self._instance.insert_entry(codec.entry(row))
        table.add(row)
        self._undo.note(partial(table.remove, row.key))
        if tally is not None:
            self._instance.set_direct_tally(codec.entry_key(row.key), tally)

    def _modify_entry(self, entry: p4r.TableEntry, codec: TableCodec, tally: Tally | None) -> None:
        table = self._contents.tables[codec.name]
        old = table.find(codec.decode_key(entry))
        if entry.HasField("action"):
            action = codec.decode_action(entry.action)
            table.check_changed(old, action)
            row = self._hidden(table.selector, _row(entry, codec, old.key, action))
            self._instance.modify_entry(codec.entry(row))
            table.replace(row)
            self._undo.note(partial(table.replace, old))
            self._drop_hidden(table.selector, old)
        else:
            self._modify_meter(entry, codec, table, old)
        if tally is not None:
            self._instance.set_direct_tally(codec.entry_key(old.key), tally)
        if entry.HasField("meter_counter_data"):
            self._instance.clear_direct_meter_tallies(codec.entry_key(old.key))

    def _modify_meter(self, entry: p4r.TableEntry, codec: TableCodec, table: TableContents, old: Row) -> None:
        """Without an action only direct resources change; a meter without a configuration gets its default one."""
        meter = entry_meter(codec, entry, old.action)
        if meter == old.meter:
            return
        row = replace(old, meter=meter)
        self._instance.modify_entry(codec.entry(row))
        table.replace(row)
        self._undo.note(partial(table.replace, old))

    def _delete_entry(self, codec: TableCodec, key: RowKey) -> None:
        table = self._contents.tables[codec.name]
        old = table.find(key)
        table.check_removable(old)
        self._instance.delete_entry(codec.entry_key(key))
        table.remove(old.key)
        self._undo.note(partial(table.add, old))
        self._drop_hidden(table.selector, old)

    def _check_watches(self, codec: TableCodec, action: RowAction) -> None:
        for one in action.actions if isinstance(action, ActionSet) else ():
            check_watch(one.watch, self._instance.has_port, f"table {codec.name}, action set")

    def _hidden(self, selector: SelectorContents | None, row: Row) -> Row:
        """The row with members and a group of its own when its action is a set."""
        if selector is None or not isinstance(row.action, ActionSet):
            return row
        ids = selector.take_hidden_ids(len(row.action.actions) + 1)
        self._undo.note(partial(selector.give_back_hidden_ids, ids))
        whole, name = replace(row, hidden_group=ids[-1]), selector.selector.name
        for member_id, one in zip(ids, row.action.actions, strict=False):
            self._instance.insert_member(Member(selector=name, id=member_id, action=one.call))
        self._instance.insert_group(hidden_group(name, whole, row.action))
        return whole

    def _drop_hidden(self, selector: SelectorContents | None, row: Row) -> None:
        if selector is None or not isinstance(row.action, ActionSet):
            return
        self._instance.delete_group(selector.selector.name, row.hidden_group)
        for member in hidden_group(selector.selector.name, row, row.action).members:
            self._instance.delete_member(selector.selector.name, member.member_id)

    def _tally_of(self, entry: p4r.TableEntry, codec: TableCodec) -> Tally | None:
        if not entry.HasField("counter_data"):
            return None
        if codec.table.counter_id is None:
            raise invalid(f"table {codec.name} has no direct counter")
        return _decode_tally(entry.counter_data, f"table {codec.name}")

    # members and groups

    def _member(self, kind: int, given: p4r.ActionProfileMember) -> None:
        selector, codec = self._schema.selector(given.action_profile_id)
        contents = self._contents.selectors[selector.name]
        if not given.member_id:
            raise invalid(f"action profile {selector.name}: member id is missing")
        if kind == DELETE:
            contents.check_unused(MemberRef(member_id=given.member_id))
            self._instance.delete_member(selector.name, given.member_id)
            self._undo.note(partial(contents.add_member, contents.remove_member(given.member_id)))
            return
        if not given.HasField("action"):
            raise invalid(f"action profile {selector.name}, member {given.member_id}: the action is missing")
        member = Member(selector=selector.name, id=given.member_id, action=codec.choice.decode_for_entry(given.action))
        if kind == INSERT:
            contents.check_new_member(member)
            self._instance.insert_member(member)
            self._undo.note(partial(contents.remove_member, member.id))
        else:
            contents.check_changed_member(member)
            self._instance.modify_member(member)
            self._undo.note(partial(contents.add_member, contents.members[member.id]))
        contents.add_member(member)

    def _group(self, kind: int, given: p4r.ActionProfileGroup) -> None:
        selector, codec = self._schema.selector(given.action_profile_id)
        contents = self._contents.selectors[selector.name]
        where = f"action profile {selector.name}, group {given.group_id}"
        if not given.group_id:
            raise invalid(f"action profile {selector.name}: group id is missing")
        if kind == DELETE:
            contents.check_unused(GroupRef(group_id=given.group_id))
            self._instance.delete_group(selector.name, given.group_id)
            self._undo.note(partial(contents.add_group, contents.remove_group(given.group_id)))
            return
        if not 0 <= given.max_size <= selector.max_group_size:
            raise invalid(f"{where}: max_size {given.max_size} is not within 1 to {selector.max_group_size}")
        group = Group(
            selector=selector.name,
            id=given.group_id,
            members=_decode_members(given, where, codec.ports, self._instance.has_port),
            max_size=given.max_size,
        )
        if kind == INSERT:
            contents.check_new_group(group)
            self._instance.insert_group(group)
            self._undo.note(partial(contents.remove_group, group.id))
        else:
            contents.check_changed_group(group)
            self._instance.modify_group(group)
            self._undo.note(partial(contents.add_group, contents.groups[group.id]))
        contents.add_group(group)

    # counters

    def _counter(self, kind: int, given: p4r.CounterEntry) -> None:
        counter = self._schema.counter(given.counter_id)
        if kind != MODIFY:
            raise invalid(f"counter {counter.name}: its cells are always there, they can only be modified")
        first, count = 0, counter.size
        if given.HasField("index"):
            first, count = checked_index(f"counter {counter.name}", counter.size, given.index.index), 1
        if given.HasField("data"):
            tally = _decode_tally(given.data, f"counter {counter.name}")
            self._instance.set_tallies(counter.name, first, count, tally)

    def _direct_counter(self, kind: int, given: p4r.DirectCounterEntry) -> None:
        codec = self._schema.table(given.table_entry.table_id)
        if codec.table.counter_id is None:
            raise invalid(f"table {codec.name} has no direct counter")
        if kind != MODIFY:
            raise invalid(
                f"table {codec.name}: a direct counter comes and goes with its entry, it can only be modified"
            )
        if given.table_entry.is_default_action:
            self._default_counter(given, codec)
            return
        key = codec.decode_key(given.table_entry)
        if codec.is_learned:
            raise denied(f"table {codec.name} is learned: its counters are the data plane's")
        self._contents.tables[codec.name].find(key)
        if given.HasField("data"):
            tally = _decode_tally(given.data, f"table {codec.name}")
            self._instance.set_direct_tally(codec.entry_key(key), tally)

    def _default_counter(self, given: p4r.DirectCounterEntry, codec: TableCodec) -> None:
        if not codec.counts_misses:
            raise unimplemented(f"table {codec.name}: packets that miss are not counted")
        codec.check_default_key(given.table_entry)
        if given.HasField("data"):
            self._instance.set_direct_tally(codec.default_key, _decode_tally(given.data, f"table {codec.name}"))


def _row(entry: p4r.TableEntry, codec: TableCodec, key: RowKey, action: RowAction) -> Row:
    return Row(
        key,
        action,
        entry.metadata,
        cookie_of(entry),
        meter=entry_meter(codec, entry, action),
        idle_timeout_ns=entry.idle_timeout_ns,
    )


def _check_idle(entry: p4r.TableEntry, codec: TableCodec) -> None:
    if not codec.table.idle_timeout and (entry.idle_timeout_ns or entry.HasField("time_since_last_hit")):
        raise invalid(f"table {codec.name} has no idle timeout: its entries stay until they are deleted")
    if entry.HasField("time_since_last_hit"):
        raise invalid(f"table {codec.name}: time_since_last_hit is the device's to tell")
    if entry.idle_timeout_ns < 0:
        raise invalid(f"table {codec.name}: idle_timeout_ns is {entry.idle_timeout_ns}, it is not negative")


def _decode_tally(data: p4r.CounterData, where: str) -> Tally:
    if data.packet_count < 0 or data.byte_count < 0:
        raise invalid(f"{where}: a counter is not negative ({data.packet_count} packets, {data.byte_count} bytes)")
    return Tally(data.packet_count, data.byte_count)


def _decode_members(
    given: p4r.ActionProfileGroup, where: str, ports: Ports | None, has_port: Callable[[int], bool]
) -> tuple[WeightedMember, ...]:
    members: dict[int, WeightedMember] = {}
    for one in given.members:
        number, weight, watch = one.member_id, one.weight, None
        if not number:
            raise invalid(f"{where}: member id is missing")
        if number in members:
            raise invalid(f"{where}: member {number} is there twice; its weight says how often it counts")
        if weight <= 0:
            raise invalid(f"{where}: member {number} has weight {weight}; a weight is above 0")
        if one.WhichOneof("watch_kind") is not None:
            watch = decode_watch(one, f"{where}, member {number}", ports)
            check_watch(watch, has_port, f"{where}, member {number}")
        members[number] = WeightedMember(member_id=number, weight=weight, watch=watch)
    return tuple(members.values())


def hidden_group(selector: str, row: Row, action: ActionSet) -> Group:
    """The group of a set: its members have the ids just below the group's own."""
    first = row.hidden_group - len(action.actions)
    members = tuple(
        WeightedMember(member_id=first + at, weight=one.weight, watch=one.watch)
        for at, one in enumerate(action.actions)
    )
    return Group(selector=selector, id=row.hidden_group, members=members)
