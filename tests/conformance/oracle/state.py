"""What one forwarding pipeline holds, as controllers know it. Rows and groups are immutable, so a copy is cheap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from finsy.proto import p4r

from tests.conformance.oracle.judgement import Judgement
from tests.conformance.oracle.program import Profile, Program, Table
from tests.conformance.oracle.references import MULTICAST, Wanted, check_unused, check_wanted, offered_by, wanted_by
from tests.conformance.oracle.values import Match, encode_matches, to_bytes

RowKey: TypeAlias = tuple[Match, int]
"""Match and priority."""
Tally: TypeAlias = tuple[int, int]
"""Packets and bytes."""
Cell: TypeAlias = Tally | p4r.MeterConfig | None
"""Of an indexed counter, or of an indexed meter; None is a meter's default configuration."""
ZERO: Tally = (0, 0)
NOTHING_METERED = p4r.MeterCounterData(green=p4r.CounterData(), yellow=p4r.CounterData(), red=p4r.CounterData())
"""Of every meter: no packets pass a device that is fuzzed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """Where the specification leaves it to the device: what this one says that it does (docs/device.md)."""

    device_id: int = 1
    learned: frozenset[int] = frozenset()
    """Tables that the data plane fills."""
    initial: tuple[p4r.TableEntry, ...] = ()
    """Entries of the P4 program, which P4Info does not carry."""
    ports: frozenset[int] = frozenset()
    controller_port: int = 0
    """The one that is no link, and that members cannot watch."""
    port_names: frozenset[bytes] = frozenset()
    """Of a pipeline whose ports are translated: what `watch_port` may be ("Port Translation for PSA Extern APIs")."""
    atomicities: frozenset[int] = frozenset(p4r.WriteRequest.Atomicity.values())
    has_replication: bool = False
    metering: frozenset[int] = frozenset()
    """Actions that execute their table's meter, which P4Info does not say ("Known Limitations")."""
    may_run_out: bool = False
    """Whether what `size` promises may be refused with RESOURCE_EXHAUSTED all the same, as "TableEntry" allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A table entry; of a default entry `match` is empty."""

    match: Match = ()
    priority: int = 0
    action: p4r.TableAction
    metadata: bytes = b""
    cookie: int = 0
    idle_timeout_ns: int = 0
    tally: Tally = ZERO
    meter: p4r.MeterConfig | None = None
    is_const: bool = False
    is_default: bool = False

    @property
    def key(self) -> RowKey:
        return self.match, self.priority

    def encoded(self, table: Table, asked: p4r.TableEntry) -> p4r.TableEntry:
        """As a read shows it ("Direct Resources": what was not asked for is not set)."""
        made = p4r.TableEntry(
            table_id=table.id,
            match=encode_matches(table, self.match),
            priority=self.priority,
            action=self.action,
            metadata=self.metadata,
            idle_timeout_ns=self.idle_timeout_ns,
            is_default_action=self.is_default,
            is_const=self.is_const,
        )
        if self.cookie:
            made.controller_metadata = self.cookie  # pyright: ignore[reportDeprecated]
        if asked.HasField("counter_data") and table.counter and (table.counts_misses or not self.is_default):
            made.counter_data.CopyFrom(counter_data(self.tally))
        if asked.HasField("meter_config") and table.meter and self.meter is not None:
            made.meter_config.CopyFrom(self.meter)
        if asked.HasField("meter_counter_data") and table.meter and not self.is_default:
            made.meter_counter_data.CopyFrom(NOTHING_METERED)
        if asked.HasField("time_since_last_hit") and table.has_timeout and not self.is_default:
            made.time_since_last_hit.SetInParent()
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    max_size: int
    members: tuple[p4r.ActionProfileGroup.Member, ...]


@dataclass(slots=True)
class Array:
    """Cells of which most are alike."""

    size: int
    common: Cell = None
    special: dict[int, Cell] = field(default_factory=lambda: {})

    def set(self, index: int | None, value: Cell) -> None:
        """One cell, or all of them."""
        if index is None:
            self.common, self.special = value, {}
        else:
            self.special[index] = value

    def cells(self, index: int | None) -> Iterator[tuple[int, Cell]]:
        for at in range(self.size) if index is None else (index,):
            yield at, self.special.get(at, self.common)

    def copy(self) -> Array:
        return Array(self.size, self.common, dict(self.special))


@dataclass(slots=True)
class Forwarding:
    """The state of one pipeline."""

    known: Program
    declared: Declared
    rows: dict[int, dict[RowKey, Row]]
    defaults: dict[int, Row]
    members: dict[int, dict[int, p4r.Action]]
    groups: dict[int, dict[int, Group]]
    counters: dict[int, Array]
    meters: dict[int, Array]
    multicast: dict[int, p4r.MulticastGroupEntry] = field(default_factory=dict[int, p4r.MulticastGroupEntry])
    clones: dict[int, p4r.CloneSessionEntry] = field(default_factory=dict[int, p4r.CloneSessionEntry])
    digests: dict[int, p4r.DigestEntry] = field(default_factory=dict[int, p4r.DigestEntry])

    def copy(self) -> Forwarding:
        return replace(
            self,
            rows={number: dict(rows) for number, rows in self.rows.items()},
            defaults=dict(self.defaults),
            members={number: dict(members) for number, members in self.members.items()},
            groups={number: dict(groups) for number, groups in self.groups.items()},
            counters={number: array.copy() for number, array in self.counters.items()},
            meters={number: array.copy() for number, array in self.meters.items()},
            multicast=dict(self.multicast),
            clones=dict(self.clones),
            digests=dict(self.digests),
        )

    # references

    def check_wanted(
        self, table: int, matches: Sequence[p4r.FieldMatch], action: p4r.TableAction, found: Judgement
    ) -> None:
        """Whether all is there that an entry refers to; of a member or the default entry `matches` is empty."""
        if self.known.referring.is_any:
            wanted = wanted_by(self.known.referring, table, matches, _calls(action))
            check_wanted(wanted, self._offered(None), found)

    def check_unused(self, table: Table, row: Row, found: Judgement) -> None:
        """Whether something else refers to an entry."""
        if self.known.referring.is_any:
            mine = offered_by(self.known.referring, table.id, encode_matches(table, row.match))
            check_unused(mine, self._offered(row), self._wanted(row), found)

    def _offered(self, without: Row | None) -> list[tuple[str, dict[str, bytes]]]:
        known = self.known
        entries = [
            offered_by(known.referring, number, encode_matches(known.tables[number], row.match))
            for number, rows in self.rows.items()
            for row in rows.values()
            if row is not without
        ]
        return entries + [(MULTICAST, {"multicast_group_id": to_bytes(number)}) for number in self.multicast]

    def _wanted(self, without: Row) -> set[Wanted]:
        known, found = self.known, set[Wanted]()
        for number, rows in self.rows.items():
            for row in rows.values():
                if row is not without:
                    match = encode_matches(known.tables[number], row.match)
                    found |= wanted_by(known.referring, number, match, _calls(row.action))
        for number, row in self.defaults.items():
            found |= wanted_by(known.referring, number, (), _calls(row.action))
        for number, members in self.members.items():
            for action in members.values():
                found |= wanted_by(known.referring, known.profiles[number].tables[0], (), [action])
        return found

    def rows_of(self, profile: Profile) -> Iterator[Row]:
        for number in profile.tables:
            yield from self.rows[number].values()


def _calls(action: p4r.TableAction) -> list[p4r.Action]:
    """The actions that an entry has of its own."""
    if action.HasField("action"):
        return [action.action]
    return [one.action for one in action.action_profile_action_set.action_profile_actions]


def forwarding(known: Program, declared: Declared) -> Forwarding:
    """What is there just after a pipeline was committed, but for the entries of the P4 program."""
    return Forwarding(
        known=known,
        declared=declared,
        rows={number: {} for number in known.tables},
        defaults={number: initial_default(table) for number, table in known.tables.items()},
        members={number: {} for number in known.profiles},
        groups={number: {} for number in known.profiles},
        counters={number: Array(cells.size, ZERO) for number, cells in known.counters.items()},
        meters={number: Array(cells.size) for number, cells in known.meters.items()},
    )


def initial_default(table: Table) -> Row:
    """As P4Info says it; without one the table's default is `NoAction`, which P4Info names as well."""
    given = table.initial_default
    params = [p4r.Action.Param(param_id=one.param_id, value=one.value) for one in given.arguments]
    action = p4r.Action(action_id=given.action_id or table.const_default, params=params)
    return Row(action=p4r.TableAction(action=action), is_default=True, is_const=bool(table.const_default))


def counter_data(tally: Tally) -> p4r.CounterData:
    return p4r.CounterData(packet_count=tally[0], byte_count=tally[1])


def canonical(entity: p4r.Entity) -> bytes:
    """Equal for messages that differ in the order of repeated fields alone ("Read-Write Symmetry"), and in times."""
    kind = entity.WhichOneof("entity")
    if kind in ("table_entry", "direct_counter_entry", "direct_meter_entry", "action_profile_group"):
        ordered = p4r.Entity()
        ordered.CopyFrom(entity)
        match kind:
            case "table_entry":
                _order_entry(ordered.table_entry)
            case "direct_counter_entry":
                _order_entry(ordered.direct_counter_entry.table_entry)
            case "direct_meter_entry":
                _order_entry(ordered.direct_meter_entry.table_entry)
            case _:
                members = sorted(ordered.action_profile_group.members, key=_bytes)
                del ordered.action_profile_group.members[:]
                ordered.action_profile_group.members.extend(members)
        entity = ordered
    return _bytes(entity)


def _order_entry(entry: p4r.TableEntry) -> None:
    if entry.HasField("time_since_last_hit"):
        entry.time_since_last_hit.ClearField("elapsed_ns")
    matches = sorted(entry.match, key=lambda one: one.field_id)
    del entry.match[:]
    entry.match.extend(matches)
    if entry.action.HasField("action_profile_action_set"):
        actions = sorted(entry.action.action_profile_action_set.action_profile_actions, key=_bytes)
        del entry.action.action_profile_action_set.action_profile_actions[:]
        entry.action.action_profile_action_set.action_profile_actions.extend(actions)


def _bytes(message: p4r.Entity | p4r.ActionProfileAction | p4r.ActionProfileGroup.Member) -> bytes:
    return message.SerializeToString(deterministic=True)
