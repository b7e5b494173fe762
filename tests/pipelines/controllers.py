"""A switch by destination address, some of whose packets go to the controller; controllers send packets as well."""

from __future__ import annotations

from functools import cache

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

TEXT = """
/// Forwards by destination, asks the controller.
pipeline "controllers" version "1" main ingress drops dropped

header_type ethernet { dst: 48  src: 48  type: 16 }
header ethernet: ethernet
metadata { ingress_port: 16  egress_port: 16  fate: 8  reason: 6  src: 48 }

/// Where a packet came in, and why it is not forwarded.
packet_in 0x04000001 { 1 ingress_port: 16  2 reason: 6  4 entropy: 10 }
/// Straight out of a port, or into the pipeline.
packet_out 0x04000002 { 1 egress_port: 16  2 submit_to_ingress: 1  3 unused: 7 }

state start { extract ethernet default -> accept }

action 0x01000001 miss() { }
/// Out of a port.
action 0x01000002 to_port(1 port: 16) { meta.fate = 1  meta.egress_port = param.port }
/// To the controller, with another source address to show that it gets the packet as it is then.
action 0x01000003 to_controller(1 reason: 6, 2 src: 48 as mac) {
  meta.fate = 2
  meta.reason = param.reason
  meta.src = param.src
}

/// What becomes of packets to an address.
table 0x02000001 destination {
  key 1 address: exact(ethernet.dst) as mac
  action to_port in_entries
  action to_controller in_entries
  action miss as_default
  default miss
  size 1024
  counter 0x13000001
}

counter 0x12000001 dropped size 8
/// No entry for the destination.
drop_reason 1 unknown_destination
/// The controller has no room for more packets.
drop_reason 2 controller_full

/// All of it.
control ingress {
  apply destination { hit {
    if meta.fate == 1 { forward meta.egress_port }
    if meta.fate == 2 {
      ethernet.src = meta.src
      punt full controller_full { reason = meta.reason  ingress_port = meta.ingress_port }
    }
    drop unknown_destination
  } }
  drop unknown_destination
}
"""


@cache
def controllers() -> Pipeline:
    """A packet that misses is dropped, and so is one that nobody wants."""
    return check(from_text(TEXT))
