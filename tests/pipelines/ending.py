"""A pipeline that learns which version its policy had, and a table that says which one it has: they must agree."""

from __future__ import annotations

from functools import cache

from compiler.ir.entries import ActionCall, EntryKey, Exact, TableEntry
from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check
from tests.pipelines.agreeing import ADDRESS, ETHER_TYPE, PORT, PROBE

TEXT = """
/// Tells when what was learned and the policy disagree.
pipeline "ending" version "1" main ingress drops dropped

header_type ethernet { dst: 48  src: 48  type: 16 }
header_type probe { address: 32  service: 16  rest: 16 }
header ethernet: ethernet
header probe: probe
metadata { ingress_port: 16  by_flow: 16  by_policy: 16 }

state start {
  extract ethernet
  select ethernet.type
  case 0x88b5 -> probe
  default -> accept
}
state probe { extract probe  default -> accept }

store known {
  size 64  ways 4
  profile 1 fresh: timeout_ms 60000 rank 0
  profile 2 used: timeout_ms 60000 rank 0
  events seen
  on fresh seen -> used
}

action 0x01000001 was(1 version: 16) { meta.by_flow = param.version  advance seen }
action 0x01000002 decides(1 version: 16) { meta.by_flow = param.version }
action 0x01000003 says(1 version: 16) { meta.by_policy = param.version }
action 0x01000004 miss() { }

table 0x02000001 flow {
  key 1 address: exact(probe.address)
  action was in_entries
  action miss as_default
  default miss
  size 32
  counter 0x13000001
  store known
}
table 0x02000002 deciding {
  key 1 service: exact(probe.service)
  key 2 rest: exact(probe.rest)
  action decides in_entries
  action miss as_default
  default miss
  size 16
}
/// Met last.
table 0x02000003 policy {
  key 1 address: exact(probe.address)
  action says in_entries
  action miss as_default
  default miss
  size 16
}

counter 0x12000001 dropped size 8
/// What was learned is of another version than the policy.
drop_reason 1 mixture
drop_reason 2 agreement
drop_reason 3 full

control ingress {
  if valid(probe) {
    apply flow {
      miss {
        apply deciding
        learn flow was(meta.by_flow) profile 1:8 full { drop full }
      }
    }
    apply policy
    if meta.by_flow != meta.by_policy { drop mixture }
    drop agreement
  }
}
"""


@cache
def ending_pipeline() -> Pipeline:
    made = from_text(TEXT)
    check(made)
    return made


FLOW = EntryKey(table="flow", matches=(Exact(value=ADDRESS),))
SERVICE = int.from_bytes(PROBE[18:20], "big")


def entries(version: int) -> tuple[TableEntry, ...]:
    named = (Exact(value=SERVICE), Exact(value=0))
    return (
        TableEntry(table="deciding", matches=named, action=ActionCall(action="decides", arguments=(version,))),
        TableEntry(
            table="policy",
            matches=(Exact(value=ADDRESS),),
            action=ActionCall(action="says", arguments=(version,)),
        ),
    )


__all__ = ["ETHER_TYPE", "FLOW", "PORT", "PROBE", "ending_pipeline", "entries"]
