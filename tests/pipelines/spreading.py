"""A switch that spreads packets over ports by their source: what shows which member of a group a packet is given to."""

from __future__ import annotations

from functools import cache

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

TEXT = """
/// Out of one of several ports.
pipeline "spreading" version "1" main ingress drops dropped

header_type ethernet { dst: 48  src: 48  type: 16 }
header ethernet: ethernet
metadata { ingress_port: 16  egress_port: 16 }

state start { extract ethernet default -> accept }

action 0x01000001 miss() { }
action 0x01000002 to_port(1 port: 16) { meta.egress_port = param.port }

table 0x02000001 way {
  key 1 type: exact(ethernet.type)
  action to_port in_entries
  action miss as_default
  default miss
  size 64
  selector 0x11000001 ways size 1000 max_group_size 100
    hash(ethernet.src)
}

counter 0x12000001 dropped size 8
/// No entry for the packet, or nobody to give it to.
drop_reason 1 no_way

control ingress {
  apply way { hit { forward meta.egress_port } }
  drop no_way
}
"""


@cache
def spreading() -> Pipeline:
    return check(from_text(TEXT, path="spreading.ir"))
