"""P4Info by id, in the words of the specification's section "P4Info Objects"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from finsy.proto import p4i

from tests.conformance.oracle.references import Referring, referring
from tests.conformance.oracle.restrictions import restriction_of

ENTRY_ONLY, DEFAULT_ONLY = p4i.ActionRef.TABLE_ONLY, p4i.ActionRef.DEFAULT_ONLY
_TYPES = p4i.MatchField


class Kind(Enum):
    """How a field is matched; the value is the name of its message in `FieldMatch`."""

    EXACT = "exact"
    LPM = "lpm"
    TERNARY = "ternary"
    RANGE = "range"
    OPTIONAL = "optional"


_KINDS = {
    _TYPES.EXACT: Kind.EXACT,
    _TYPES.LPM: Kind.LPM,
    _TYPES.TERNARY: Kind.TERNARY,
    _TYPES.RANGE: Kind.RANGE,
    _TYPES.OPTIONAL: Kind.OPTIONAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A match field or an action parameter. `width_bits` is 0 for what is translated from a string."""

    id: int
    name: str
    width_bits: int
    kind: Kind = Kind.EXACT
    is_translated: bool = False
    """`p4runtime_translation`: which values there are is between controller and device."""

    @property
    def highest(self) -> int:
        return (1 << self.width_bits) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    id: int
    name: str
    params: Mapping[int, Value]
    restriction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    id: int
    name: str
    fields: Mapping[int, Value]
    scopes: Mapping[int, int]
    """`ActionRef.scope` by action id."""
    const_default: int
    initial_default: p4i.TableActionCall
    profile: int
    """Id of its action profile, 0 for a direct table."""
    counter: int
    meter: int
    size: int
    has_timeout: bool
    is_const: bool
    restriction: str

    @property
    def has_priority(self) -> bool:
        return any(field.kind in (Kind.TERNARY, Kind.RANGE, Kind.OPTIONAL) for field in self.fields.values())

    @property
    def counts_misses(self) -> bool:
        """Whether the default entry has a direct counter: this device says of those that can be modified."""
        return bool(self.counter) and not self.const_default


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    id: int
    name: str
    tables: tuple[int, ...]
    has_groups: bool
    size: int
    max_group_size: int
    counts_weights: bool
    """`sum_of_weights`, also when unset; else `sum_of_members`."""
    max_member_weight: int
    weights_disallowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """An indexed counter or meter. `type` is `MeterSpec.Type`."""

    id: int
    name: str
    size: int
    type: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Everything that has an id."""

    tables: Mapping[int, Table]
    actions: Mapping[int, Action]
    profiles: Mapping[int, Profile]
    counters: Mapping[int, Cells]
    meters: Mapping[int, Cells]
    meter_types: Mapping[int, int]
    """`MeterSpec.Type` of direct meters."""
    digests: frozenset[int]
    packet_out: Mapping[int, int]
    """Widths of the metadata of a packet-out, by id."""
    names: Mapping[int, str]
    referring: Referring

    def may_use(self, profile: Profile) -> Mapping[int, int]:
        """The scopes of the actions that members of a profile may have: those of its tables, which are the same."""
        return self.tables[profile.tables[0]].scopes if profile.tables else {}


def program(info: p4i.P4Info) -> Program:
    counters = {one.preamble.id for one in info.direct_counters}
    meters = {one.preamble.id: int(one.spec.type) for one in info.direct_meters}
    parts = (info.tables, info.actions, info.action_profiles, info.counters, info.meters, info.digests)
    return Program(
        tables={one.preamble.id: _table(one, counters, set(meters), info) for one in info.tables},
        actions={one.preamble.id: _action(one, info) for one in info.actions},
        profiles={one.preamble.id: _profile(one) for one in info.action_profiles},
        counters={
            one.preamble.id: Cells(id=one.preamble.id, name=one.preamble.name, size=one.size) for one in info.counters
        },
        meters={
            one.preamble.id: Cells(id=one.preamble.id, name=one.preamble.name, size=one.size, type=int(one.spec.type))
            for one in info.meters
        },
        meter_types=meters,
        digests=frozenset(one.preamble.id for one in info.digests),
        packet_out={
            field.id: field.bitwidth
            for header in info.controller_packet_metadata
            if header.preamble.name == "packet_out"
            for field in header.metadata
        },
        names={one.preamble.id: one.preamble.name for part in parts for one in part},
        referring=referring(info),
    )


def _table(given: p4i.Table, counters: set[int], meters: set[int], info: p4i.P4Info) -> Table:
    direct = given.direct_resource_ids
    fields = {field.id: _field(field, info) for field in given.match_fields}
    return Table(
        id=given.preamble.id,
        name=given.preamble.name,
        fields=fields,
        scopes={ref.id: int(ref.scope) for ref in given.action_refs},
        const_default=given.const_default_action_id,
        initial_default=given.initial_default_action,
        profile=given.implementation_id,
        counter=next((one for one in direct if one in counters), 0),
        meter=next((one for one in direct if one in meters), 0),
        size=given.size,
        has_timeout=given.idle_timeout_behavior == p4i.Table.NOTIFY_CONTROL,
        is_const=given.is_const_table,
        restriction=restriction_of(given.preamble.annotations),
    )


def _action(given: p4i.Action, info: p4i.P4Info) -> Action:
    params = {param.id: _param(param, info) for param in given.params}
    restriction = restriction_of(given.preamble.annotations)
    return Action(id=given.preamble.id, name=given.preamble.name, params=params, restriction=restriction)


def _field(given: p4i.MatchField, info: p4i.P4Info) -> Value:
    width_bits, is_translated = _sdn_width(given.bitwidth, given.type_name.name, info)
    kind = _KINDS[given.match_type]
    return Value(id=given.id, name=given.name, width_bits=width_bits, kind=kind, is_translated=is_translated)


def _param(given: p4i.Action.Param, info: p4i.P4Info) -> Value:
    width_bits, is_translated = _sdn_width(given.bitwidth, given.type_name.name, info)
    return Value(id=given.id, name=given.name, width_bits=width_bits, is_translated=is_translated)


def _profile(given: p4i.ActionProfile) -> Profile:
    return Profile(
        id=given.preamble.id,
        name=given.preamble.name,
        tables=tuple(given.table_ids),
        has_groups=given.with_selector,
        size=given.size,
        max_group_size=given.max_group_size,
        counts_weights=not given.HasField("sum_of_members"),
        max_member_weight=given.sum_of_members.max_member_weight,
        weights_disallowed=given.weights_disallowed,
    )


def _sdn_width(width_bits: int, type_name: str, info: p4i.P4Info) -> tuple[int, bool]:
    """Width on the wire, and whether it is translated ("Translation of Match Fields"): that of the SDN type then."""
    spec = info.type_info.new_types.get(type_name) if type_name else None
    if spec is None or not spec.HasField("translated_type"):
        return width_bits, False
    return spec.translated_type.sdn_bitwidth, True
