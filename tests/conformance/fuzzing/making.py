"""Updates and read requests that are well formed, most of them about what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finsy.proto import p4r

from tests.conformance.fuzzing.dice import Dice
from tests.conformance.oracle.profiles import CONTROLLER_NAME
from tests.conformance.oracle.program import DEFAULT_ONLY, ENTRY_ONLY, Kind, Profile, Table, Value
from tests.conformance.oracle.state import Forwarding, Row
from tests.conformance.oracle.values import Match, encode_matches, to_bytes

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
TYPES = (INSERT, INSERT, INSERT, MODIFY, MODIFY, DELETE)
NAMES = (b"rep16", b"up1", b"nowhere")
"""Strings of translated types; some are ports of a device whose ports have names."""
HIGHEST_PRIORITY = (1 << 31) - 1
MANY_CELLS = 1024
"""An array with more is read by index alone: reading all of it takes longer than everything else."""


class Maker:
    """For one state, which it reads and does not change."""

    def __init__(self, dice: Dice, state: Forwarding) -> None:
        self._dice = dice
        self._state = state
        self._known = state.known

    def update(self) -> p4r.Update:
        made = p4r.Update(type=self._dice.one(TYPES))
        kinds = [self._entry, self._entry, self._entry, self._entry, self._default]
        if self._known.profiles:
            kinds += [self._member, self._group]
        if self._known.counters:
            kinds.append(self._counter)
        if any(table.counter for table in self._known.tables.values()):
            kinds.append(self._direct_counter)
        if self._known.meters:
            kinds.append(self._meter)
        if self._known.meter_types:
            kinds.append(self._direct_meter)
        if self._known.digests:
            kinds.append(self._digest)
        if self._state.declared.has_replication:
            kinds += [self._multicast, self._clone]
        self._dice.one(kinds)(made)
        return made

    # table entries

    def _table(self) -> Table:
        return self._dice.one(list(self._known.tables.values()))

    def _row(self, table: Table) -> Row | None:
        """One that is there, if there is any."""
        rows = list(self._state.rows[table.id].values())
        return self._dice.one(rows) if rows else None

    def _entry(self, update: p4r.Update) -> None:
        table, entry = self._table(), update.entity.table_entry
        self._key(table, entry, is_there=update.type != INSERT)
        if update.type == DELETE:
            return
        if update.type == INSERT or not self._dice.rarely(5):
            self._action(table, entry.action)
        self._content(table, entry)

    def _key(self, table: Table, entry: p4r.TableEntry, *, is_there: bool) -> None:
        entry.table_id = table.id
        row = self._row(table) if is_there and not self._dice.rarely(8) else None
        match = self._match(table) if row is None else row.match
        entry.match.extend(encode_matches(table, match))
        if row is not None:
            entry.priority = row.priority
        elif table.has_priority:
            entry.priority = HIGHEST_PRIORITY if self._dice.rarely(10) else 1 + self._dice.below(3)

    def _match(self, table: Table) -> Match:
        fields = [field for field in table.fields.values() if field.kind is Kind.EXACT or not self._dice.rarely(3)]
        drawn = ((field.id, self._numbers(field)) for field in fields)
        return tuple(sorted((number, numbers) for number, numbers in drawn if numbers))

    def _numbers(self, field: Value) -> tuple[int | bytes, ...]:
        """None of them is a field that does not care."""
        if field.is_translated and not field.width_bits:
            return (self._dice.one(NAMES),)
        number = self._dice.number(field.width_bits)
        match field.kind:
            case Kind.EXACT | Kind.OPTIONAL:
                return (number,)
            case Kind.LPM:
                prefix_len = self._dice.one((field.width_bits, 1, field.width_bits // 2 or 1))
                return number >> (field.width_bits - prefix_len) << (field.width_bits - prefix_len), prefix_len
            case Kind.TERNARY:
                mask = self._dice.one((field.highest, 1, self._dice.number(field.width_bits)))
                return (number & mask, mask) if mask else ()
            case Kind.RANGE:
                low, high = sorted((number, self._dice.number(field.width_bits)))
                return () if (low, high) == (0, field.highest) else (low, high)

    def _content(self, table: Table, entry: p4r.TableEntry) -> None:
        """What an entry may carry beside its key and its action."""
        if self._dice.rarely(4):
            entry.metadata = self._dice.bytes(3)
            entry.controller_metadata = self._dice.below(3)  # pyright: ignore[reportDeprecated]
        if table.counter and self._dice.rarely(4):
            self._tally(entry.counter_data)
        if table.meter and self._dice.rarely(3):
            self._meter_config(self._known.meter_types[table.meter], entry.meter_config)
        if table.has_timeout and table.id not in self._state.declared.learned and self._dice.rarely(2):
            entry.idle_timeout_ns = self._dice.one((10**12, 1, 1 << 62))

    def _action(self, table: Table, into: p4r.TableAction) -> None:
        if not table.profile:
            self._call(table.scopes, into.action)
            return
        profile = self._known.profiles[table.profile]
        # Whoever has members does not program in one shot, so most sets are written while there are none.
        there = bool(self._state.members[profile.id])
        if profile.has_groups and self._dice.rarely(6) == there:
            self._set(profile, table, into.action_profile_action_set)
        elif profile.has_groups and self._state.groups[profile.id] and self._dice.below(2):
            into.action_profile_group_id = self._dice.one(list(self._state.groups[profile.id]))
        else:
            into.action_profile_member_id = self._dice.one([*self._state.members[profile.id], 1, 2])

    def _call(self, scopes: Mapping[int, int], into: p4r.Action, *, as_default: bool = False) -> None:
        forbidden = ENTRY_ONLY if as_default else DEFAULT_ONLY
        allowed = [number for number, scope in scopes.items() if scope != forbidden] or list(scopes)
        into.action_id = self._dice.one(allowed)
        for param in self._known.actions[into.action_id].params.values():
            into.params.add(param_id=param.id, value=to_bytes(self._numbers(param)[0]))

    def _set(self, profile: Profile, table: Table, into: p4r.ActionProfileActionSet) -> None:
        into.SetInParent()
        for _ in range(self._dice.below(4)):
            one = into.action_profile_actions.add(weight=0 if profile.weights_disallowed else 1 + self._dice.below(3))
            self._call(table.scopes, one.action)
            self._watch(one)

    def _watch(self, one: p4r.ActionProfileAction | p4r.ActionProfileGroup.Member) -> None:
        """Every few members depend on a port."""
        ports = sorted(self._state.declared.ports - {self._state.declared.controller_port})
        if not ports or not self._dice.rarely(3):
            return
        port = self._dice.one((*ports[:3], ports[-1]))
        if self._dice.below(3):
            names = sorted(self._state.declared.port_names)
            one.watch_port = self._dice.one(names) if names else to_bytes(port)
        else:
            one.watch = port  # pyright: ignore[reportDeprecated]

    def _default(self, update: p4r.Update) -> None:
        table, entry = self._table(), update.entity.table_entry
        update.type = MODIFY
        entry.table_id, entry.is_default_action = table.id, True
        if not self._dice.rarely(4):
            self._call(table.scopes, entry.action.action, as_default=True)
            if self._dice.rarely(4):
                entry.metadata = self._dice.bytes(3)
        if table.counter and self._dice.rarely(4):
            self._tally(entry.counter_data)

    # members and groups

    def _profile(self) -> Profile:
        return self._dice.one(list(self._known.profiles.values()))

    def _member(self, update: p4r.Update) -> None:
        profile, made = self._profile(), update.entity.action_profile_member
        made.action_profile_id = profile.id
        there = list(self._state.members[profile.id])
        made.member_id = self._dice.one(there) if update.type != INSERT and there else 1 + self._dice.below(6)
        if update.type != DELETE:
            self._call(self._known.may_use(profile), made.action)

    def _group(self, update: p4r.Update) -> None:
        profile, made = self._profile(), update.entity.action_profile_group
        made.action_profile_id = profile.id
        groups, members = self._state.groups[profile.id], list(self._state.members[profile.id])
        made.group_id = self._dice.one(list(groups)) if update.type != INSERT and groups else 1 + self._dice.below(4)
        if update.type == DELETE:
            return
        old = groups.get(made.group_id)
        made.max_size = old.max_size if old and update.type == MODIFY else self._max_size(profile)
        chosen = [number for number in members if self._dice.below(2)]
        for number in chosen[: made.max_size or 3]:
            weight = 0 if profile.weights_disallowed else 1 + self._dice.below(2)
            self._watch(made.members.add(member_id=number, weight=weight))

    def _max_size(self, profile: Profile) -> int:
        return self._dice.one((profile.max_group_size, 1, min(4, profile.max_group_size)))

    # counters and meters

    def _tally(self, into: p4r.CounterData) -> None:
        into.packet_count = self._dice.one((1, 0, (1 << 63) - 1))
        into.byte_count = self._dice.number(32)

    def _counter(self, update: p4r.Update) -> None:
        counter = self._dice.one(list(self._known.counters.values()))
        update.type, update.entity.counter_entry.counter_id = MODIFY, counter.id
        if counter.size > MANY_CELLS or not self._dice.rarely(5):
            update.entity.counter_entry.index.index = self._dice.below(counter.size)
        self._tally(update.entity.counter_entry.data)

    def _direct_counter(self, update: p4r.Update) -> None:
        table = self._dice.one([table for table in self._known.tables.values() if table.counter])
        update.type = MODIFY
        self._key(table, update.entity.direct_counter_entry.table_entry, is_there=True)
        self._tally(update.entity.direct_counter_entry.data)

    def _meter(self, update: p4r.Update) -> None:
        meter = self._dice.one(list(self._known.meters.values()))
        update.type, update.entity.meter_entry.meter_id = MODIFY, meter.id
        if meter.size > MANY_CELLS or not self._dice.rarely(5):
            update.entity.meter_entry.index.index = self._dice.below(meter.size)
        if not self._dice.rarely(4):
            self._meter_config(meter.type, update.entity.meter_entry.config)

    def _direct_meter(self, update: p4r.Update) -> None:
        table = self._dice.one([table for table in self._known.tables.values() if table.meter])
        update.type = MODIFY
        self._key(table, update.entity.direct_meter_entry.table_entry, is_there=True)
        if not self._dice.rarely(4):
            self._meter_config(self._known.meter_types[table.meter], update.entity.direct_meter_entry.config)

    def _meter_config(self, kind: int, into: p4r.MeterConfig) -> None:
        rate, burst = self._dice.one((1000, 1, 10**9)), self._dice.one((100, 1, 10**6))
        into.cir, into.cburst, into.pir, into.pburst = rate, burst, rate, burst
        if kind == 0 and self._dice.below(2):  # two rates
            into.pir, into.pburst = rate * 2, burst * 2
        if kind == 1 and self._dice.below(2):  # one rate, three colours
            into.eburst = burst

    # replication and digests

    def _multicast(self, update: p4r.Update) -> None:
        made = update.entity.packet_replication_engine_entry.multicast_group_entry
        there = list(self._state.multicast)
        made.multicast_group_id = self._dice.one(there) if update.type != INSERT and there else 1 + self._dice.below(4)
        if update.type != DELETE:
            self._replicas(made.replicas)
            made.metadata = self._dice.bytes(2)

    def _clone(self, update: p4r.Update) -> None:
        made = update.entity.packet_replication_engine_entry.clone_session_entry
        there = list(self._state.clones)
        made.session_id = self._dice.one(there) if update.type != INSERT and there else 1 + self._dice.below(4)
        if update.type != DELETE:
            self._replicas(made.replicas)
            made.packet_length_bytes = self._dice.one((0, 64, 1500))

    def _replicas(self, into: Any) -> None:
        declared = self._state.declared
        ports = [to_bytes(one) for one in (*sorted(declared.ports)[:3], declared.controller_port)]
        ports = [*sorted(declared.port_names), CONTROLLER_NAME] if declared.port_names else ports
        for instance in range(self._dice.below(4)):
            port = self._dice.one(ports)
            made = into.add(port=port, instance=self._dice.one((instance, 0)))
            for backup in range(self._dice.below(3) if self._dice.rarely(2) else 0):
                place = p4r.BackupReplica(port=self._dice.one(ports), instance=10 * instance + 10 + backup)
                if place.port != port:
                    made.backup_replicas.append(place)

    def _digest(self, update: p4r.Update) -> None:
        made = update.entity.digest_entry
        made.digest_id = self._dice.one(sorted(self._known.digests))
        if update.type != DELETE:
            made.config.max_list_size = self._dice.one((1, 0, 100))
            made.config.max_timeout_ns = self._dice.one((0, 10**9))
            made.config.ack_timeout_ns = self._dice.one((10**9, 0))

    # streams

    def message(self) -> p4r.StreamMessageRequest:
        """A packet-out with all that P4Info asks for, or an acknowledgement."""
        if self._dice.rarely(4):
            acked = self._dice.one([1, *sorted(self._known.digests)])
            return p4r.StreamMessageRequest(digest_ack=p4r.DigestListAck(digest_id=acked, list_id=self._dice.below(3)))
        made = p4r.StreamMessageRequest(packet=p4r.PacketOut(payload=bytes(60)))
        for number, width_bits in self._known.packet_out.items():
            value = self._dice.number(width_bits) if width_bits else self._dice.one(NAMES)
            made.packet.metadata.add(metadata_id=number, value=to_bytes(value))
        return made

    # reads

    def request(self) -> p4r.Entity:
        """A read request: a wildcard, or one with filters."""
        made = p4r.Entity()
        kinds = [self._ask_entry, self._ask_entry, self._ask_entry, self._ask_profile, self._ask_counter, self._ask_any]
        if self._state.declared.has_replication:
            kinds.append(self._ask_replication)
        self._dice.one(kinds)(made)
        return made

    def _ask_entry(self, made: p4r.Entity) -> None:
        asked = made.table_entry
        if self._dice.rarely(4):
            asked.SetInParent()
            return
        table = self._table()
        asked.table_id = table.id
        if table.counter and self._dice.below(2):
            asked.counter_data.SetInParent()
        if table.meter and self._dice.below(2):
            asked.meter_config.SetInParent()
            asked.meter_counter_data.SetInParent()
        if table.has_timeout and self._dice.below(2):
            asked.time_since_last_hit.SetInParent()
        match self._dice.below(6):
            case 1:
                asked.ClearField("table_id")
                self._key(table, asked, is_there=True)
            case 2:
                asked.is_default_action = True
                asked.ClearField("time_since_last_hit")
            case 3 if not table.profile:
                asked.action.action.action_id = self._dice.one(list(table.scopes))
            case 4:
                asked.priority = self._dice.below(4)
            case 5:
                asked.metadata = self._dice.bytes(1)
                asked.controller_metadata = self._dice.below(3)  # pyright: ignore[reportDeprecated]
            case _:
                pass

    def _ask_profile(self, made: p4r.Entity) -> None:
        profile = self._dice.one([0, *self._known.profiles])
        key = self._dice.below(4) if profile else 0
        if self._dice.below(2):
            made.action_profile_member.action_profile_id, made.action_profile_member.member_id = profile, key
        else:
            made.action_profile_group.action_profile_id, made.action_profile_group.group_id = profile, key

    def _ask_counter(self, made: p4r.Entity) -> None:
        small = [counter for counter in self._known.counters.values() if counter.size <= MANY_CELLS]
        match self._dice.below(3):
            case 0 if self._known.counters:
                counter = self._dice.one(list(self._known.counters.values()))
                made.counter_entry.counter_id = counter.id
                made.counter_entry.index.index = self._dice.below(counter.size)
            case 1 if small:
                made.counter_entry.counter_id = self._dice.one(small).id
            case _:
                table = self._dice.one([*self._known.tables.values()])
                asked = made.direct_counter_entry.table_entry
                if table.counter and self._dice.below(2):
                    self._key(table, asked, is_there=True)
                else:
                    asked.SetInParent()

    def _ask_replication(self, made: p4r.Entity) -> None:
        asked, number = made.packet_replication_engine_entry, self._dice.below(5)
        if self._dice.below(2):
            asked.multicast_group_entry.multicast_group_id = number
        else:
            asked.clone_session_entry.session_id = number

    def _ask_any(self, made: p4r.Entity) -> None:
        """Any kind by its name alone, but for what would be long."""
        names = [field.name for field in made.DESCRIPTOR.fields if field.name not in ("counter_entry", "meter_entry")]
        getattr(made, self._dice.one(names)).SetInParent()
