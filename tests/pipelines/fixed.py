"""A pipeline of tables with entries from the start, and with default entries that may be modified."""

from __future__ import annotations

from functools import cache

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

TEXT = """
/// Says what becomes of frames by their addresses.
pipeline "fixed" version "1" main ingress drops dropped

header_type ethernet { dst: 48  src: 48  type: 16 }
header ethernet: ethernet
metadata { ingress_port: 16  out: 16  kind: 16 }

state start { extract ethernet  default -> accept }

action 0x01000001 to(1 out: 16) { meta.out = param.out }
action 0x01000002 nothing() { }
action 0x01000003 call_it(1 kind: 16) { meta.kind = param.kind }

/// A constant table of every kind of match.
table 0x02000001 kinds {
  key 1 dst: ternary(ethernet.dst) as mac
  key 2 type: range(ethernet.type)
  key 3 src: optional(ethernet.src) as mac
  action call_it in_entries as_default
  default call_it(9)
  size 16
  counter 0x13000001
  const entries {
    0x10000000000 &&& 0x10000000000, _, _ priority 3 -> call_it(1)
    _, 0x800 .. 0x86ff, _ priority 2 -> call_it(2)
    _, _, 0x20000000001 priority 1 -> call_it(3)
  }
}

/// Entries to begin with, one of them for ever; what misses goes where the default entry says.
table 0x02000002 ports {
  key 1 kind: exact(meta.kind)
  key 2 src: exact(ethernet.src) as mac
  action to in_entries as_default
  action nothing in_entries as_default
  default to(5) modifiable
  size 4
  counter 0x13000002
  entries {
    const 1, 1 -> to(7)
    2, 1 -> nothing()
  }
}

/// No counter, lpm, nothing but a default.
table 0x02000003 networks {
  key 1 dst: lpm(ethernet.dst)
  action to in_entries as_default
  action nothing as_default
  default nothing modifiable
  size 4
}

counter 0x12000001 dropped size 8
/// Nothing said where to.
drop_reason 1 lost

hot control ingress {
  apply kinds
  apply ports
  apply networks
  if meta.out == 0 { drop lost }
  forward meta.out
}
"""


@cache
def fixed_pipeline() -> Pipeline:
    made = from_text(TEXT)
    check(made)
    return made


def frame(dst: int = 0, src: int = 0, kind: int = 0) -> bytes:
    """Long enough for XDP."""
    return (dst.to_bytes(6, "big") + src.to_bytes(6, "big") + kind.to_bytes(2, "big")).ljust(64, b"\xaa")
