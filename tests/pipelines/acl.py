"""A pipeline of tables whose entries have priorities: every kind of match, mixed, counted, with a selector."""

from __future__ import annotations

from functools import cache

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

ETHER_TYPE = 0x88B5
TEXT = """
/// Says what becomes of probes.
pipeline "acl" version "1" main ingress drops dropped

header_type ethernet { dst: 48  src: 48  type: 16 }
header_type probe { wide: 128  address: 32  port: 16  kind: 8  bits: 8 }
header ethernet: ethernet
header probe: probe
metadata { ingress_port: 16  out: 16  member: 16 }

state start {
  extract ethernet
  select ethernet.type
  case 0x88b5 -> probe
  default -> accept
}
state probe { extract probe  default -> accept }

action 0x01000001 allow(1 out: 16) { meta.out = param.out }
action 0x01000002 deny() { meta.out = 0 }
action 0x01000003 miss() { }
action 0x01000004 pick(1 member: 16) { meta.member = param.member }

/// Every kind of match.
table 0x02000001 acl {
  key 1 port: exact(meta.ingress_port)
  key 2 address: lpm(probe.address)
  key 3 wide: ternary(probe.wide) as ipv6
  key 4 number: range(probe.port)
  key 5 kind: optional(probe.kind)
  action allow in_entries
  action deny in_entries
  action miss as_default
  default miss
  size 64
  counter 0x13000001
  restriction "number::low != 666; kind::mask != 0 && kind == 9 -> ::priority < 100"
}

/// A ternary key alone, with a selector.
table 0x02000002 spread {
  key 1 bits: ternary(probe.bits)
  action pick in_entries
  action miss as_default
  default miss
  size 256
  counter 0x13000002
  selector 0x11000001 members size 64 max_group_size 16
    hash(probe.address)
}

counter 0x12000001 dropped size 8
/// The list says so.
drop_reason 1 denied
/// No entry.
drop_reason 2 unlisted

hot control ingress {
  if valid(probe) {
    apply spread
    apply acl {
      hit {
        if meta.out == 0 { drop denied }
        forward meta.out + meta.member
      }
      miss { drop unlisted }
    }
  }
}
"""


@cache
def acl_pipeline() -> Pipeline:
    made = from_text(TEXT)
    check(made)
    return made


def probe(wide: int = 0, address: int = 0, number: int = 0, kind: int = 0, bits: int = 0) -> bytes:
    """A frame whose header holds these; long enough for XDP."""
    head = bytes(12) + ETHER_TYPE.to_bytes(2, "big")
    fields = ((wide, 16), (address, 4), (number, 2), (kind, 1), (bits, 1))
    return (head + b"".join(value.to_bytes(size, "big") for value, size in fields)).ljust(64, b"\xaa")
