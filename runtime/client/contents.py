"""What a device holds, as `Entries`, and the updates that change it, as P4Runtime messages.

Learned tables are neither read nor written here: packets fill them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from finsy.proto import p4r

from compiler.ir.entries import Entries, Group, Member, TableEntry, WeightedMember
from compiler.ir.nodes import Pipeline
from compiler.span import InternalError
from runtime.client.plan import Entity, Kind, Step
from runtime.client.session import Session
from runtime.device.metercodec import decode_meter_config, encode_meter_config
from runtime.device.records import ActionSet, Row
from runtime.device.schema import Schema, TableCodec, schema
from runtime.device.watching import decode_watch, encode_watch

_UPDATE_TYPES = {
    Kind.INSERT: p4r.Update.INSERT,
    Kind.MODIFY: p4r.Update.MODIFY,
    Kind.DELETE: p4r.Update.DELETE,
}


class Contents:
    """Translates for one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._schema: Schema = schema(pipeline)
        self._by_name = {codec.name: codec for codec in self._schema.tables.values()}
        self._selectors = {
            codec.table.selector.name: (codec.table.selector.id, codec)
            for codec in self._schema.tables.values()
            if codec.table.selector is not None
        }

    def read(self, session: Session) -> Entries:
        """All that a control plane has put into the device."""
        members: list[Member] = []
        groups: list[Group] = []
        entries: list[TableEntry] = []
        for entity in session.read(self._wildcards()):
            match entity.WhichOneof("entity"):
                case "table_entry":
                    entries.append(self._entry(entity.table_entry))
                case "action_profile_member":
                    members.append(self._member(entity.action_profile_member))
                case "action_profile_group":
                    groups.append(self._group(entity.action_profile_group))
                case other:
                    raise InternalError(f"nobody asked for {other}")
        return Entries(members=tuple(members), groups=tuple(groups), table_entries=tuple(entries))

    def _wildcards(self) -> Iterator[p4r.Entity]:
        for profile_id in self._schema.selectors:
            yield p4r.Entity(action_profile_member=p4r.ActionProfileMember(action_profile_id=profile_id))
            yield p4r.Entity(action_profile_group=p4r.ActionProfileGroup(action_profile_id=profile_id))
        for table_id, codec in self._schema.tables.items():
            if not codec.is_learned:
                wanted = p4r.TableEntry(table_id=table_id)
                if codec.table.meter is not None:
                    wanted.meter_config.SetInParent()
                yield p4r.Entity(table_entry=wanted)

    def _entry(self, message: p4r.TableEntry) -> TableEntry:
        codec = self._schema.table(message.table_id)
        matches, priority = codec.decode_matches(message.match), codec.decode_priority(message.priority)
        action = codec.decode_action(message.action)
        if isinstance(action, ActionSet):
            raise InternalError(f"table {codec.name} holds a one-shot action set, which Turnout never writes")
        owner = message.metadata.decode(errors="replace")
        meter = None
        if message.HasField("meter_config") and codec.table.meter is not None:
            meter = decode_meter_config(message.meter_config, codec.table.meter.type, f"table {codec.name}")
        return TableEntry(table=codec.name, matches=matches, action=action, priority=priority, meter=meter, owner=owner)

    def _member(self, message: p4r.ActionProfileMember) -> Member:
        selector, codec = self._schema.selector(message.action_profile_id)
        action = codec.choice.decode_for_entry(message.action)
        return Member(selector=selector.name, id=message.member_id, action=action)

    def _group(self, message: p4r.ActionProfileGroup) -> Group:
        selector, _ = self._schema.selector(message.action_profile_id)
        where = f"action profile {selector.name}, group {message.group_id}"
        members = (
            WeightedMember(member_id=m.member_id, weight=m.weight, watch=decode_watch(m, where))
            for m in sorted(message.members, key=lambda m: m.member_id)
        )
        return Group(selector=selector.name, id=message.group_id, members=tuple(members))

    def updates(self, steps: Iterable[Step]) -> Iterator[p4r.Update]:
        for step in steps:
            update = p4r.Update(type=_UPDATE_TYPES[step.kind])
            self._fill(update.entity, step.entity)
            yield update

    def entity(self, entity: Entity) -> p4r.Entity:
        message = p4r.Entity()
        self._fill(message, entity)
        return message

    def _fill(self, message: p4r.Entity, entity: Entity) -> None:
        """Where it is to be: a message that is made apart is copied into each that holds it."""
        match entity:
            case TableEntry():
                self._fill_entry(message.table_entry, entity)
            case Member(selector=name, id=number, action=action):
                profile_id, codec = self._selectors[name]
                member = message.action_profile_member
                member.action_profile_id, member.member_id = profile_id, number
                codec.choice.fill(member.action, action)
            case Group(selector=name, id=number, members=members):
                group = message.action_profile_group
                group.action_profile_id, group.group_id = self._selectors[name][0], number
                for m in members:
                    encode_watch(m.watch, group.members.add(member_id=m.member_id, weight=m.weight))
            case _:
                assert_never(entity)

    def _fill_entry(self, message: p4r.TableEntry, entity: TableEntry) -> None:
        codec = self._table(entity.table)
        row = Row(codec.keys.key_of(entity.matches, entity.priority), entity.action, entity.owner.encode())
        if codec.rows is not None:
            message.MergeFromString(codec.rows.write(row))
        else:
            message.CopyFrom(codec.encode(row))
        if entity.meter is not None:
            message.meter_config.CopyFrom(encode_meter_config(entity.meter))

    def _table(self, name: str) -> TableCodec:
        if name not in self._by_name:
            raise InternalError(f"the pipeline has no table {name}")
        return self._by_name[name]
