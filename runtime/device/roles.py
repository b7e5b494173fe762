"""What a role may do, by its configuration (specification, section "Role Config").

The specification leaves the scheme open. This is the published one, Stratum's `P4RoleConfig`: ids of P4 objects that
the role alone writes, or shares with others; whether it gets packets, and which; whether it may load pipelines. A role
without a configuration may do everything. Pure; used by `runtime.device.arbitration`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from finsy.proto import p4r, stratum1
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError

from runtime.device.bytestrings import shortest
from runtime.device.refusals import RefusedError, denied, invalid

P4RoleConfig = stratum1.p4_role_config_pb2.P4RoleConfig
SCHEME = P4RoleConfig.DESCRIPTOR.full_name
MAX_IDS = 4096
"""Ids in one configuration; a pipeline has a few dozen objects."""
MAX_BYTES = 32_768
"""Of a configuration as it was given: every notification has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketFilter:
    """Packets whose metadata field of this id has this value, in the shortest form."""

    metadata_id: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleConfig:
    """A role that may not do everything."""

    given: Any
    """As the client gave it, for notifications."""
    exclusive_ids: frozenset[int] = frozenset()
    shared_ids: frozenset[int] = frozenset()
    receives_packets: bool = False
    packet_filter: PacketFilter | None = None
    can_push_pipeline: bool = False

    def covers(self, p4_id: int) -> bool:
        """Whether an object is the role's. Multicast and clone sessions (0) have no id: they are everybody's."""
        return not p4_id or p4_id in self.exclusive_ids or p4_id in self.shared_ids

    def takes_packet(self, metadata: Iterable[p4r.PacketMetadata]) -> bool:
        """Whether the role's primary is told of a packet with this metadata."""
        if not self.receives_packets or self.packet_filter is None:
            return self.receives_packets
        wanted = self.packet_filter
        return any(m.metadata_id == wanted.metadata_id and shortest(m.value) == wanted.value for m in metadata)


def read_role_config(role: str, given: Any) -> RoleConfig:
    """Raises INVALID_ARGUMENT for another scheme, and for what contradicts itself."""
    if given.ByteSize() > MAX_BYTES:
        raise invalid(f"{shown(role)}: its config has {given.ByteSize()} bytes, at most {MAX_BYTES}")
    message = P4RoleConfig()
    try:
        is_ours = given.Unpack(message)
    except DecodeError as problem:
        raise invalid(f"{shown(role)}: its config is no {SCHEME}: the bytes cannot be read") from problem
    if not is_ours:
        raise invalid(f"{shown(role)}: its config is {given.type_url or 'of no type'!r}; this device takes {SCHEME}")
    if not role:
        raise invalid("the default role may do everything; a config is for a role with a name")
    kept = Any()
    kept.CopyFrom(given)
    exclusive, shared = frozenset(message.exclusive_p4_ids), frozenset(message.shared_p4_ids)
    _check_ids(role, exclusive, shared)
    return RoleConfig(
        given=kept,
        exclusive_ids=exclusive,
        shared_ids=shared,
        receives_packets=message.receives_packet_ins,
        packet_filter=_packet_filter(role, message),
        can_push_pipeline=message.can_push_pipeline,
    )


def _check_ids(role: str, exclusive: frozenset[int], shared: frozenset[int]) -> None:
    if len(exclusive) + len(shared) > MAX_IDS:
        raise invalid(f"{shown(role)}: its config has more than {MAX_IDS} ids")
    if 0 in exclusive or 0 in shared:
        raise invalid(f"{shown(role)}: its config has the id 0, which no P4 object has")
    if both := exclusive & shared:
        raise invalid(f"{shown(role)}: its config has {_ids(both)} as exclusive and as shared")


def _packet_filter(role: str, message: P4RoleConfig) -> PacketFilter | None:
    if not message.HasField("packet_in_filter"):
        return None
    if not message.receives_packet_ins:
        raise invalid(f"{shown(role)}: its config filters packets that it does not receive")
    if not message.packet_in_filter.metadata_id or not message.packet_in_filter.value:
        raise invalid(f"{shown(role)}: its config's packet filter lacks a metadata id or a value")
    return PacketFilter(
        metadata_id=message.packet_in_filter.metadata_id, value=shortest(message.packet_in_filter.value)
    )


def check_apart(role: str, config: RoleConfig, others: Mapping[str, RoleConfig | None]) -> None:
    """Raises INVALID_ARGUMENT when an object that is one role's alone is another's, too."""
    for other_name, other in others.items():
        if other is None or other_name == role:
            continue
        ours = config.exclusive_ids & (other.exclusive_ids | other.shared_ids)
        theirs = config.shared_ids & other.exclusive_ids
        if ours:
            raise invalid(f"{shown(role)} cannot have {_ids(ours)} to itself: {shown(other_name)} has it")
        if theirs:
            raise invalid(f"{shown(role)} cannot share {_ids(theirs)}: {shown(other_name)} has it to itself")


def refusal_of(role: str, config: RoleConfig, entity: p4r.Entity) -> RefusedError | None:
    """Why a role may not write an entity, None if it may."""
    p4_id = object_id(entity)
    if config.covers(p4_id):
        return None
    return denied(f"{shown(role)} may not write P4 object 0x{p4_id:08x}: its config does not have it")


def object_id(entity: p4r.Entity) -> int:
    """The id of the P4 object that an entity is of; of a direct resource, its table's. 0 where there is none."""
    match entity.WhichOneof("entity"):
        case "table_entry":
            return entity.table_entry.table_id
        case "action_profile_member":
            return entity.action_profile_member.action_profile_id
        case "action_profile_group":
            return entity.action_profile_group.action_profile_id
        case "meter_entry":
            return entity.meter_entry.meter_id
        case "direct_meter_entry":
            return entity.direct_meter_entry.table_entry.table_id
        case "counter_entry":
            return entity.counter_entry.counter_id
        case "direct_counter_entry":
            return entity.direct_counter_entry.table_entry.table_id
        case "value_set_entry":
            return entity.value_set_entry.value_set_id
        case "register_entry":
            return entity.register_entry.register_id
        case "digest_entry":
            return entity.digest_entry.digest_id
        case "extern_entry":
            return entity.extern_entry.extern_id
        case _:
            return 0


def shown(role: str) -> str:
    return f"role {role!r}" if role else "the default role"


def _ids(ids: Iterable[int]) -> str:
    return ", ".join(f"0x{one:08x}" for one in sorted(ids)[:4])
