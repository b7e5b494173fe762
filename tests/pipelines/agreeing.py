"""A pipeline whose tables must agree: every kind of entity tells a version, and a packet that hears two is dropped.

Meters tell whether a version is odd: without a configuration they say green, with a burst that no packet fits red.

Nothing is learned and nothing is kept, so a packet's versions are those of the entries that it has met itself.
"""

from __future__ import annotations

from functools import cache

from compiler.ir.entries import (
    ActionCall,
    Exact,
    Group,
    GroupRef,
    Lpm,
    Member,
    MeterConfig,
    TableEntry,
    Ternary,
    WeightedMember,
)
from compiler.ir.metering import Color
from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

ETHER_TYPE, PORT = 0x88B5, 3
BACKENDS = 2
"""Of each version; no two versions have one in common."""
TEXT = """
/// Tells when two tables disagree.
pipeline "agreeing" version "1" main ingress drops dropped

header_type ethernet { dst: 48  src: 48  type: 16 }
header_type probe { address: 32  service: 16  rest: 16 }
header ethernet: ethernet
header probe: probe
metadata {
  ingress_port: 16  by_hash: 16  by_array: 16  by_prefix: 16  by_backend: 16  by_mask: 16  by_other: 16
  by_default: 16  color: 2  entry_color: 2  line_color: 2
}

state start {
  extract ethernet
  select ethernet.type
  case 0x88b5 -> probe
  default -> accept
}
state probe { extract probe  default -> accept }

action 0x01000001 hash_says(1 version: 16, 2 color: 2) {
  meta.by_hash = param.version
  meta.color = param.color
  execute_direct into meta.entry_color
}
action 0x01000002 array_says(1 version: 16) { meta.by_array = param.version }
action 0x01000003 prefix_says(1 version: 16) { meta.by_prefix = param.version }
action 0x01000004 backend_says(1 version: 16) { meta.by_backend = param.version }
action 0x01000005 mask_says(1 version: 16) { meta.by_mask = param.version }
action 0x01000006 other_says(1 version: 16) { meta.by_other = param.version }
action 0x01000007 miss() { }
action 0x01000008 default_says(1 version: 16) { meta.by_default = param.version }

table 0x02000001 by_hash {
  key 1 address: exact(probe.address)
  action hash_says in_entries
  action miss as_default
  default miss
  size 16
  counter 0x13000001
  meter 0x15000001 bytes
}
/// A hash again, met last.
table 0x02000006 by_other {
  key 1 address: exact(probe.address)
  action other_says in_entries
  action miss as_default
  default miss
  size 16
}
table 0x02000002 by_array {
  key 1 service: exact(probe.service)
  action array_says in_entries
  action miss as_default
  default miss
  size 16
}
/// Nested prefixes that come and go.
table 0x02000003 by_prefix {
  key 1 address: lpm(probe.address)
  action prefix_says in_entries
  action miss as_default
  default miss
  size 16
}
table 0x02000004 by_backend {
  key 1 service: exact(probe.service)
  action backend_says in_entries
  action miss as_default
  default miss
  size 16
  selector 0x11000001 members size 64 max_group_size 16
    hash(probe.address)
}
table 0x02000005 by_mask {
  key 1 address: ternary(probe.address)
  action mask_says in_entries
  action miss as_default
  default miss
  size 16
}

/// Nothing but its default entry.
table 0x02000007 by_default {
  key 1 address: exact(probe.address)
  action miss in_entries
  action default_says as_default
  default default_says(0) modifiable
  size 16
  counter 0x13000007
}

counter 0x12000001 dropped size 8
/// Bytes of each port.
meter 0x14000001 line size 8 bytes
/// Two versions met one packet.
drop_reason 1 mixture
/// All tables agree.
drop_reason 2 agreement

hot control ingress {
  if valid(probe) {
    apply by_hash
    apply by_array
    apply by_prefix
    apply by_backend
    apply by_mask
    apply by_default
    execute line meta.ingress_port into meta.line_color
    apply by_other
    if meta.by_hash != meta.by_array { drop mixture }
    if meta.by_hash != meta.by_prefix { drop mixture }
    if meta.by_hash != meta.by_backend { drop mixture }
    if meta.by_hash != meta.by_mask { drop mixture }
    if meta.by_hash != meta.by_default { drop mixture }
    if meta.by_hash != meta.by_other { drop mixture }
    if meta.color != meta.entry_color { drop mixture }
    if meta.color != meta.line_color { drop mixture }
    drop agreement
  }
}
"""


@cache
def agreeing_pipeline() -> Pipeline:
    made = from_text(TEXT)
    check(made)
    return made


ADDRESS, SERVICE = 0x0A000001, 7
PROBE = (bytes(12) + ETHER_TYPE.to_bytes(2, "big") + ADDRESS.to_bytes(4, "big") + bytes((0, SERVICE))).ljust(64, b"\0")


def plain_entries(version: int) -> tuple[TableEntry, ...]:
    """Of the tables whose entry stays and changes its value."""
    address, service = (Exact(value=ADDRESS),), (Exact(value=SERVICE),)
    return (
        TableEntry(
            table="by_hash",
            matches=address,
            action=ActionCall(action="hash_says", arguments=(version, Color.RED if version % 2 else Color.GREEN)),
            meter=meter(version),
        ),
        TableEntry(table="by_array", matches=service, action=_says("array", version)),
        TableEntry(table="by_other", matches=address, action=_says("other", version)),
    )


def meter(version: int) -> MeterConfig | None:
    return MeterConfig(cir=0, cburst=1, pir=0, pburst=1) if version % 2 else None


def default(version: int) -> TableEntry:
    return TableEntry(table="by_default", matches=(), action=_says("default", version))


def prefix(version: int) -> TableEntry:
    """Each version has a prefix of its own; with the others gone it is the one that covers the address."""
    length = 8 + version % 24
    value = ADDRESS >> 32 - length << 32 - length
    return TableEntry(
        table="by_prefix", matches=(Lpm(value=value, prefix_len=length),), action=_says("prefix", version)
    )


def masked(version: int) -> TableEntry:
    """Under a mask of its own, as prefixes are."""
    mask = (1 << 32) - 1 ^ 1 << version % 8 + 8
    matches = (Ternary(value=ADDRESS & mask, mask=mask),)
    return TableEntry(table="by_mask", matches=matches, priority=1 + version % 3, action=_says("mask", version))


def members(version: int) -> tuple[Member, ...]:
    first = 1 + version * BACKENDS
    return tuple(Member(selector="members", id=first + at, action=_says("backend", version)) for at in range(BACKENDS))


def group(version: int) -> Group:
    weighted = tuple(WeightedMember(member_id=member.id, weight=1) for member in members(version))
    return Group(selector="members", id=1, members=weighted)


def backend() -> TableEntry:
    return TableEntry(table="by_backend", matches=(Exact(value=SERVICE),), action=GroupRef(group_id=1))


def _says(what: str, version: int) -> ActionCall:
    return ActionCall(action=f"{what}_says", arguments=(version,))
